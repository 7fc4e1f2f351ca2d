"""One sequence into another: an encoder, a decoder, and attention between them.

from lstmbook.datasets.vocabulary import SymbolVocabulary, Vocabulary
pairs = [("cat", ["K", "AE", "T"]), ...]         # what goes in, what comes out
model = Seq2Seq.of_size(Vocabulary(letters), SymbolVocabulary(phonemes)).fit(pairs)
print(model.translate("tomato", width=5))
lb.save(model, "sounds.safetensors")     # lb.load(...) gives it back, words and all
"""

import torch
from torch import Tensor, nn

from ..cells import (
    AdditiveAttention,
    AttentionCell,
    GRUCell,
    LSTMCell,
    MultiplicativeAttention,
    UniformAttention,
)
from ..modes import evaluating
from ..recurrent import Bidirectional, Recurrent, last_output
from .writer import Writer, size_of

CELLS = {"lstm": LSTMCell, "gru": GRUCell}


class Seq2Seq(Writer):
    """An encoder that reads the source, and a decoder that writes the target.

    source: what sources are made of: a vocabulary, its size, or None for tensors of
        numbers [time, ...]; target: a vocabulary, or its size; both as in `Writer`
    encoder: a layer; its outputs are the memory, its last state starts the decoder
    decoder: an `AttentionCell` over memories as wide as the encoder's output. A
        `UniformAttention` gets the encoder's last state as the only thing to
        read: the fixed vector of Cho et al. 2014
    dropout: share of the embeddings and of the output set to zero in training; of
        sources that are tensors of numbers nothing is

        state, ctx = model.encode(source, lengths)
        logits, state = model(ids, state, ctx)        # ids [batch, time]

    Source: Bahdanau et al. 2015; the readout is one linear layer in place of their
    maxout, and the decoder starts from both ends of the source.
    """

    def __init__(
        self, source, target, encoder: nn.Module, decoder: AttentionCell,
        dropout: float = 0.0,
    ):  # fmt: skip
        super().__init__(source, target)
        if decoder.memory_size != encoder.output_size:
            raise ValueError(
                f"the decoder reads memories of width {decoder.memory_size}, the "
                f"encoder gives {encoder.output_size}: make memory_size that"
            )
        self.source_embedding = (
            nn.Embedding(size_of(source), encoder.input_size)
            if self.reads_ids
            else None
        )
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

        source: ids [batch, time], or what the encoder reads, [batch, time, ...]
        """
        x = source
        if self.source_embedding is not None:
            if source.dim() != 2 or source.is_floating_point():
                raise ValueError(
                    f"source is {source.dtype} {tuple(source.shape)}: give ids "
                    "[batch, time]"
                )
            x = self.dropout(self.source_embedding(source))
        memory, last = self.encoder(x, None, lengths)
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

    def config(self) -> dict:
        return {
            "source": self.source,
            "target": self.target,
            "encoder": self.encoder,
            "decoder": self.decoder.cell,
            "dropout": self.dropout.p,
        }
