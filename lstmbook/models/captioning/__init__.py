"""Sentences about films.

from lstmbook.datasets.captioned import cast, in_order, stills
from lstmbook.datasets.vocabulary import SentenceVocabulary
from lstmbook.models.captioning import *
actors = cast("train")
network = FrameCNN((1, 32, 32))                # sees, before it is shown a film
Spotter(network, len(actors.actors)).fit(stills(actors, 12000, 0), held_out)
films = in_order(actors, 3000, generator=0)
words = SentenceVocabulary.of(films.captions)
seen = Seen(network).fit(films.frames[:300])
model = captioner(words, network.output_size, "attention", source=seen)
model.fit(films.pairs())
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
