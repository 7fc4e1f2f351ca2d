"""Captioners of the usual sizes, what they say, and how good it is."""

from typing import NamedTuple

from torch import Tensor

from ...cells import AdditiveAttention, LSTMCell, UniformAttention
from ...recurrent import Bidirectional, Recurrent
from ..seq2seq import Seq2Seq
from ..writer import Writer
from .frames import FrameCNN, MeanPool, OfFrames
from .s2vt import S2VT

KINDS = ("attention", "s2vt", "mean")


def captioner(
    words, shape: int | tuple[int, int, int], kind: str = "attention", *,
    hidden_size: int = 128, embedding_size: int = 32, bidirectional: bool = False,
    dropout: float = 0.0, forget_bias: float = 3.0, source=None,
) -> Writer:  # fmt: skip
    """A model that writes a sentence about a film.

    words: a `SentenceVocabulary`
    shape: (channels, height, width) of frames, for a `FrameCNN` that learns with the
        rest; or the number of features of a frame, where these are given
    kind: "attention", an encoder and a decoder that looks back at every frame before
        each word; "s2vt", one stack that reads and then writes; "mean", the same
        decoder from the mean of all frames, which knows no order
    hidden_size: of each layer of LSTM (of both directions together)
    bidirectional: of the encoder with attention
    forget_bias: where the forget gates start. What was seen in the first frames is
        needed many steps later: 3 keeps 95 % of the cell a step, 1 only 73 %
    source: what a film goes through before the model reads it, such as `Seen` or a
        `VideoReader`; None where films are given as tensors

    All learn with `fit` from pairs (frames, sentence) and write with `translate`, as a
    `Seq2Seq` does. Sources: "s2vt", Venugopalan, Rohrbach et al. 2015; attention over
    time, Yao et al. 2015, sec. 3, here over recurrent features of the frames; the mean,
    Venugopalan, Xu et al. 2015.
    """
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r}: choose one of {KINDS}")
    if bidirectional and (kind != "attention" or hidden_size % 2):
        raise ValueError(
            f"kind={kind!r}, hidden_size={hidden_size}: both directions are for "
            "'attention', with a hidden size that has a half for each"
        )
    H, E = hidden_size, embedding_size

    def cell(size, width=H):
        return LSTMCell(size, width, forget_bias=forget_bias)

    if isinstance(shape, int):
        frames, F = None, shape
    else:
        frames = FrameCNN(shape)
        F = frames.output_size
    if kind == "s2vt":
        first, second = Recurrent(cell(F)), Recurrent(cell(H + E))
        return S2VT(source, words, frames, first, second, dropout)
    if kind == "mean":
        layer, look = MeanPool(F), UniformAttention
    elif bidirectional:
        layer = Bidirectional(*(Recurrent(cell(F, H // 2)) for _ in range(2)))
        look = AdditiveAttention
    else:
        layer, look = Recurrent(cell(F)), AdditiveAttention
    M = layer.output_size
    decoder = look(cell(E + M), M)
    return Seq2Seq(source, words, OfFrames(frames, layer, dropout), decoder, dropout)


class Caption(NamedTuple):
    """What a model says about a film.

    text: the sentence
    log_probability: the model's own, in nats, with the end of the sentence
    attention: [words + 1, frames], where it looked before each word and before the
        end; None for models that do not look
    """

    text: str
    log_probability: float
    attention: Tensor | None


def describe(model: Writer, film, *, width: int = 1, **options) -> list[Caption]:
    """What a model says about one film: up to `width` sentences, the best first.

    film: frames [time, channels, height, width], features [time, F], or what
        `model.source` reads
    width, options: of the beam, as in `model.search`
    """
    (found,) = model.search([film], width=width, **options)
    looks = isinstance(model, Seq2Seq) and not isinstance(
        model.decoder.cell, UniformAttention
    )
    return [
        Caption(
            model.target.decode(h.ids), h.log_probability,
            model.alignment(film, h.ids) if looks else None,
        )
        for h in found
    ]  # fmt: skip


class CaptionScores(NamedTuple):
    """exact: share of sentences that are a reference word for word; bleu: BLEU-4."""

    exact: float
    bleu: float


def caption_scores(written, references) -> CaptionScores:
    """How good sentences are.

    written: a sentence for each film
    references: for each film the right sentence, or a list of right ones

    BLEU is of the whole corpus, up to four words, without smoothing, from torchmetrics
    (Papineni et al. 2002); it is 0 where no four words running are right.
    """
    from torchmetrics.functional.text import bleu_score

    right = [[r] if isinstance(r, str) else list(r) for r in references]
    written = list(written)
    if len(written) != len(right) or not right or not all(right):
        raise ValueError(
            f"{len(written)} sentences and {len(right)} films with references: give "
            "one sentence for each film, and at least one reference"
        )
    exact = sum(w in r for w, r in zip(written, right, strict=True)) / len(right)
    return CaptionScores(exact, float(bleu_score(written, right)))
