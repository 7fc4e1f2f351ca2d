"""Recurrent cells: one step of time each."""

from .cell import Cell
from .conv import ConvLSTMCell
from .gru import GRUCell, GRUGates, GRUState
from .lstm import (
    PRESETS,
    FGRState,
    LSTMCell,
    LSTMGates,
    LSTMSpec,
    LSTMState,
    lstm_update,
)
from .rnn import RNNCell, RNNGates, RNNState

__all__ = [
    "PRESETS",
    "Cell",
    "ConvLSTMCell",
    "FGRState",
    "GRUCell",
    "GRUGates",
    "GRUState",
    "LSTMCell",
    "LSTMGates",
    "LSTMSpec",
    "LSTMState",
    "RNNCell",
    "RNNGates",
    "RNNState",
    "lstm_update",
]
