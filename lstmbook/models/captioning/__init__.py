"""Sentences about films.

from lstmbook.datasets.captioned import cast, in_order
from lstmbook.datasets.vocabulary import SentenceVocabulary
from lstmbook.models.captioning import caption_scores, captioner, describe
films = in_order(cast("train"), 2000, generator=0)
words = SentenceVocabulary.of(films.captions)
model = captioner(words, (1, 32, 32), "attention").fit(films.pairs())
test = in_order(cast("test"), 200, generator=1)
print(caption_scores(model.translate(list(test.frames)), test.captions))
[caption] = describe(model, test.frames[0])    # its text, and the attention it paid
lb.save(model, "captions.safetensors")         # lb.load(...) gives it back, words too
"""

from .captions import (
    KINDS,
    Caption,
    CaptionScores,
    caption_scores,
    captioner,
    describe,
)
from .frames import FrameCNN, MeanPool, MeanState, OfFrames
from .s2vt import S2VT
from .seeing import Seen, Spotter

__all__ = [
    "KINDS",
    "S2VT",
    "Caption",
    "CaptionScores",
    "FrameCNN",
    "MeanPool",
    "MeanState",
    "OfFrames",
    "Seen",
    "Spotter",
    "caption_scores",
    "captioner",
    "describe",
]
