"""Deep layers, in one direction or both."""

from torch import nn

from ...cells import GRUCell, LSTMCell, RNNCell
from ...recurrent import Bidirectional, Recurrent, Stack

CELLS = {"lstm": LSTMCell, "gru": GRUCell, "rnn": RNNCell}


def deep_layer(
    input_size: int, hidden_size: int, layers: int = 1, cell: str = "lstm",
    bidirectional: bool = False, dropout: float = 0.0,
) -> nn.Module:  # fmt: skip
    """Layers on top of one another, each in one direction or in both.

    hidden_size: of each direction; cell: "lstm", "gru" or "rnn"
    dropout: between two layers
    Source: Graves, Mohamed and Hinton 2013, sec. 2, for deep bidirectional LSTMs.
    """
    if cell not in CELLS:
        raise ValueError(f"cell={cell!r}: choose one of {sorted(CELLS)}")
    if layers < 1:
        raise ValueError(f"layers={layers}: at least one")
    ways, size, stack = 2 if bidirectional else 1, input_size, []
    for _ in range(layers):
        pair = [Recurrent(CELLS[cell](size, hidden_size)) for _ in range(ways)]
        stack.append(Bidirectional(*pair) if bidirectional else pair[0])
        size = stack[-1].output_size
    return stack[0] if layers == 1 else Stack(*stack, dropout=dropout)
