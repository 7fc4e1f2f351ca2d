"""One sequence into another: an encoder, a decoder, and attention between them.

from lstmbook.datasets.vocabulary import SymbolVocabulary, Vocabulary
pairs = [("cat", ["K", "AE", "T"]), ...]         # what goes in, what comes out
model = Seq2Seq.of_size(Vocabulary(letters), SymbolVocabulary(phonemes)).fit(pairs)
print(model.translate("tomato", width=5))
lb.save(model, "sounds.safetensors")     # lb.load(...) gives it back, words and all
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from ..cells import (
    AdditiveAttention,
    AttentionCell,
    GRUCell,
    LSTMCell,
    MultiplicativeAttention,
    UniformAttention,
)
from ..datasets.batches import pad
from ..modes import evaluating
from ..recurrent import Bidirectional, Recurrent, last_output
from ..search import beam_search, greedy

CELLS = {"lstm": LSTMCell, "gru": GRUCell}
LEFT_OUT = -100  # what the loss does not count, as in torch


class Pairs(NamedTuple):
    """A batch to learn from.

    source: ids [batch, source time], or vectors [batch, source time, features]
    lengths: [batch], real steps of each source
    target: ids [batch, time], each behind the boundary symbol
    """

    source: Tensor
    lengths: Tensor
    target: Tensor


class Seq2Seq(nn.Module):
    """An encoder that reads the source, and a decoder that writes the target.

    source: what sources are made of: a vocabulary (anything with `encode` and
        len), its size for sources that are ids, or None for sources that are
        vectors [time, features] already (pictures, sound)
    target: a vocabulary with `decode` too, or its size
    encoder: a layer; its outputs are the memory, its last state starts the decoder
    decoder: an `AttentionCell` over memories as wide as the encoder's output. A
        `UniformAttention` gets the encoder's last state as the only thing to
        read: the fixed vector of Cho et al. 2014
    dropout: share of the embeddings and of the output set to zero in training

        state, ctx = model.encode(source, lengths)
        logits, state = model(ids, state, ctx)        # ids [batch, time]

    The second line is all there is to decoding: with the whole target it is teacher
    forcing, with a symbol at a time it is greedy or beam search (`lstmbook.search`).
    One symbol beyond the target's V, `boundary`, begins and ends every target.

    Source: Bahdanau et al. 2015; the readout is one linear layer in place of their
    maxout, and the decoder starts from both ends of the source.
    """

    def __init__(
        self, source, target, encoder: nn.Module, decoder: AttentionCell,
        dropout: float = 0.0,
    ):  # fmt: skip
        super().__init__()
        if decoder.memory_size != encoder.output_size:
            raise ValueError(
                f"the decoder reads memories of width {decoder.memory_size}, the "
                f"encoder gives {encoder.output_size}: make memory_size that"
            )
        self.source, self.target = source, target
        self.source_embedding = (
            None if source is None else nn.Embedding(_size(source), encoder.input_size)
        )
        self.boundary = _size(target)
        self.target_embedding = nn.Embedding(self.boundary + 1, decoder.input_size)
        self.encoder, self.decoder = encoder, Recurrent(decoder)
        self.bridge = nn.Linear(encoder.output_size, sum(decoder.cell.state_sizes()))
        self.output = nn.Linear(decoder.output_size, self.boundary + 1)
        self.dropout = nn.Dropout(dropout)

    @classmethod
    def of_size(
        cls, source, target, hidden_size: int = 128, *,
        attention: str | None = "additive", embedding_size: int = 64,
        cell: str = "lstm", bidirectional: bool = True, dropout: float = 0.0,
    ):  # fmt: skip
        """The usual model, with one layer each.

        hidden_size: of the decoder, and of the memory (a half each way)
        attention: "additive", "multiplicative", or None for the fixed vector
        cell: "lstm" or "gru"
        """
        if attention not in ("additive", "multiplicative", None):
            raise ValueError(
                f"attention={attention!r}: choose 'additive', 'multiplicative' or None"
            )
        if cell not in CELLS:
            raise ValueError(f"cell={cell!r}: choose one of {sorted(CELLS)}")
        if bidirectional and hidden_size % 2:
            raise ValueError(f"hidden_size={hidden_size} has no half for each way")
        if source is None:
            raise ValueError("sources that are vectors need an encoder of your own")
        H, E, kind = hidden_size, embedding_size, CELLS[cell]
        if bidirectional:
            ways = [Recurrent(kind(E, H // 2)) for _ in range(2)]
            encoder = Bidirectional(*ways)
        else:
            encoder = Recurrent(kind(E, H))
        wrap = {
            "additive": AdditiveAttention,
            "multiplicative": MultiplicativeAttention,
            None: UniformAttention,
        }[attention]
        return cls(source, target, encoder, wrap(kind(E + H, H), H), dropout)

    def encode(self, source: Tensor, lengths: Tensor | None = None):
        """Read sources; returns (state, ctx), what the decoder starts from.

        source: ids [batch, time], or vectors [batch, time, features]
        """
        x = source
        if self.source_embedding is not None:
            if source.dim() != 2 or source.is_floating_point():
                raise ValueError(
                    f"source is {source.dtype} {tuple(source.shape)}: give ids "
                    "[batch, time]"
                )
            x = self.source_embedding(source)
        memory, last = self.encoder(self.dropout(x), None, lengths)
        summary, cell = last_output(last), self.decoder.cell
        start = torch.tanh(self.bridge(summary)).split(cell.cell.state_sizes(), 1)
        state = cell.start(cell.cell.State(*start))
        if isinstance(cell, UniformAttention):
            memory, lengths = summary.unsqueeze(1), None
        return state, cell.begin(len(memory), memory, lengths)

    def forward(self, ids: Tensor, state, ctx):
        """The next symbols: ids [batch, time] -> logits [batch, time, V + 1], state."""
        y, state = self.decoder(
            self.dropout(self.target_embedding(ids)), state, memory=ctx
        )
        return self.output(self.dropout(y)), state

    def fit(
        self, pairs, valid=None, *, epochs: float = 10, batch_size: int = 64,
        learning_rate: float = 4e-3, patience: int | None = None, checks: int = 10,
        seed: int | None = None, progress: bool = True, **options,
    ):  # fmt: skip
        """Train on pairs by teacher forcing.

        pairs: [(source, target), ...], each as its vocabulary takes it, or ids
        valid: the same, held out; every tenth pair unless given. The weights with
            the lowest loss on it are kept, `checks` looks in all
        learning_rate: at its top; it falls to zero along a cosine
        patience: stop after so many looks without a better one
        seed: of the order of the batches and of torch's random numbers (dropout)
        options: for `lstmbook.training.trainer` (clip, checkpoint, precision ...)

        Returns the model, in evaluation mode. What happened is in
        `model.training_record`: {"updates": made, "valid": [(update, nats), ...]}.
        """
        from ..training import fit_by_length

        pairs = self._encode_pairs(pairs)
        if valid is None:
            valid = pairs[::10]
            pairs = [p for k, p in enumerate(pairs) if k % 10]
        else:
            valid = self._encode_pairs(valid)
        if not pairs or not valid:
            raise ValueError(
                f"{len(pairs)} pairs to train on and {len(valid)} to validate on: "
                "give at least one of each"
            )
        return fit_by_length(
            self, pairs, valid, self._collate, epochs=epochs, batch_size=batch_size,
            steps=_steps, seed=seed, network=_TeacherForcing(self),
            learning_rate=learning_rate, checks=checks, patience=patience,
            progress=progress, **options,
        )  # fmt: skip

    def search(
        self, sources, *, width: int = 1, max_length: int | None = None,
        batch_size: int = 256, **options,
    ):  # fmt: skip
        """What the model would write, for each source: hypotheses, best first.

        sources: a list, each as the source vocabulary takes it, or ids
        width: of the beam; 1 is greedy
        max_length: symbols at most; twice the longest source and ten unless given
        options: for `lstmbook.search.beam_search` (penalty, min_length)

        Returns a list of lists of `Hypothesis`.
        """
        found, device = [], self.output.weight.device
        sources = [self._encode(s, "source", k) for k, s in enumerate(sources)]
        for rows in torch.arange(len(sources)).split(batch_size):
            batch, lengths = pad([sources[k] for k in rows])
            with evaluating(self), torch.no_grad():
                state, ctx = self.encode(batch.to(device), lengths.to(device))
            common = {
                "end": self.boundary, "state": state, "ctx": ctx,
                "max_length": max_length or 2 * batch.shape[1] + 10,
            }  # fmt: skip
            start = torch.full((len(rows), 1), self.boundary)
            if width == 1:
                options.pop("penalty", None)  # no two lengths are compared
                found += [[h] for h in greedy(self, start, **common, **options)]
            else:
                found += beam_search(self, start, width=width, **common, **options)
        return found

    def translate(self, sources, **options):
        """The best target for one source or for a list; options as in `search`."""
        one = isinstance(sources, str | Tensor)
        found = self.search([sources] if one else sources, **options)
        ids = [hypotheses[0].ids for hypotheses in found]
        written = ids if isinstance(self.target, int) else map(self.target.decode, ids)
        return next(iter(written)) if one else list(written)

    @torch.no_grad()
    def alignment(self, source, target) -> Tensor:
        """Where the decoder looked while it wrote a target: [time + 1, source time].

        The last row belongs to the end of the target.
        """
        [(source, target)] = self._encode_pairs([(source, target)])
        device = self.output.weight.device
        with evaluating(self):
            state, ctx = self.encode(source[None].to(device))
            ids = nn.functional.pad(target, (1, 0), value=self.boundary)[None]
            x = self.target_embedding(ids.to(device))
            _, _, trace = self.decoder(x, state, memory=ctx, trace=True)
        return trace.gates.attention[0].cpu()

    def _encode_pairs(self, pairs):
        return [
            (self._encode(s, "source", k), self._encode(t, "target", k))
            for k, (s, t) in enumerate(pairs)
        ]

    def _encode(self, sequence, kind: str, k: int) -> Tensor:
        vocabulary = getattr(self, kind)
        if isinstance(sequence, Tensor):
            found = sequence
        elif vocabulary is None or isinstance(vocabulary, int):
            found = torch.as_tensor(sequence)
        else:
            found = vocabulary.encode(sequence)
        if kind == "source" and len(found) == 0:
            raise ValueError(f"source {k} is empty: there is nothing to read")
        if vocabulary is None:
            return found
        if found.dim() != 1 or (found.is_floating_point() and len(found)):
            raise ValueError(
                f"{kind} {k} is {found.dtype} {tuple(found.shape)}: give ids [time]"
            )
        size = _size(vocabulary)
        if len(found) and not 0 <= int(found.min()) <= int(found.max()) < size:
            raise ValueError(
                f"{kind} {k} has ids from {int(found.min())} to {int(found.max())}, "
                f"the model has {size} symbols: 0 to {size - 1}"
            )
        return found.long()

    def _collate(self, pairs, training=False):
        sources, targets = zip(*pairs, strict=True)
        source, lengths = pad(sources)
        begin = nn.functional.pad
        given = [begin(t, (1, 0), value=self.boundary) for t in targets]
        wanted = [begin(t, (0, 1), value=self.boundary) for t in targets]
        given = pad_sequence(given, True, self.boundary)
        return Pairs(source, lengths, given), pad_sequence(wanted, True, LEFT_OUT)

    def config(self) -> dict:
        return {
            "source": self.source,
            "target": self.target,
            "encoder": self.encoder,
            "decoder": self.decoder.cell,
            "dropout": self.dropout.p,
        }


class _TeacherForcing(nn.Module):
    """The whole model as `Task` calls it, with a batch of pairs as its input."""

    def __init__(self, model: Seq2Seq):
        super().__init__()
        self.model = model

    def forward(self, pairs: Pairs, state=None, lengths=None):
        start = self.model.encode(pairs.source, pairs.lengths)
        return self.model(pairs.target, *start)


def _steps(pair) -> int:
    return len(pair[0]) + len(pair[1])


def _size(vocabulary) -> int:
    return vocabulary if isinstance(vocabulary, int) else len(vocabulary)
