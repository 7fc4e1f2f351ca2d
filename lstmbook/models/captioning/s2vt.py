"""S2VT: one stack of two layers that first reads frames and then writes words."""

import torch
from torch import Tensor, nn

from ..writer import Writer


class S2VT(Writer):
    """Sequence to sequence, video to text.

    The first layer reads a frame a step; the second reads what the first says, and
    beside it the word before. While the frames go by there are no words: zeros stand in
    their place. Then there are no more frames: zeros stand in theirs, and the same two
    layers, from the states they are in, write a word a step.

    source: None for frames or features; or a reader of files; as in `Writer`
    target: a vocabulary, or its size
    frames: [batch, time, ...] -> [batch, time, F], or None for features
    first: a layer, input_size = F
    second: a layer, input_size = first.output_size + E, E the width of a word
    dropout: share of features, words and output set to zero in training

        state, ctx = model.encode(source, lengths)    # ctx is None
        logits, state = model(ids, state)             # ids [batch, time]

    Source: Venugopalan et al. 2015, sec. 3.2 and fig. 2.
    """

    def __init__(
        self, source, target, frames: nn.Module | None, first: nn.Module,
        second: nn.Module, dropout: float = 0.0,
    ):  # fmt: skip
        super().__init__(source, target)
        if self.reads_ids:
            raise ValueError("S2VT reads frames or features: source=None, or a reader")
        width = second.input_size - first.output_size
        if width < 1:
            raise ValueError(
                f"the second layer reads {second.input_size} values, and "
                f"{first.output_size} of them come from the first: give it more, for "
                "the words"
            )
        if frames is not None and frames.output_size != first.input_size:
            raise ValueError(
                f"a frame has {frames.output_size} features, the first layer reads "
                f"{first.input_size}: make them agree"
            )
        self.frames, self.first, self.second = frames, first, second
        self.embedding = nn.Embedding(self.boundary + 1, width)
        self.output = nn.Linear(second.output_size, self.boundary + 1)
        self.dropout = nn.Dropout(dropout)

    def encode(self, source: Tensor, lengths: Tensor | None = None):
        """Read frames [batch, time, ...]; returns ((first's, second's state), None)."""
        x = source if self.frames is None else self.frames(source)
        y, first = self.first(self.dropout(x), None, lengths)
        nothing = y.new_zeros(*y.shape[:2], self.embedding.embedding_dim)
        _, second = self.second(torch.cat([y, nothing], 2), None, lengths)
        return (first, second), None

    def forward(self, ids: Tensor, state, ctx=None):
        """The next words: ids [batch, time] -> logits [batch, time, V + 1], state."""
        words = self.dropout(self.embedding(ids))
        y, first = self.first(
            words.new_zeros(*ids.shape, self.first.input_size), state[0]
        )
        y, second = self.second(torch.cat([y, words], 2), state[1])
        return self.output(self.dropout(y)), (first, second)

    def config(self) -> dict:
        return {
            "source": self.source,
            "target": self.target,
            "frames": self.frames,
            "first": self.first,
            "second": self.second,
            "dropout": self.dropout.p,
        }
