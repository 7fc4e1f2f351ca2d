"""Recurrent cells: one step of time each."""

from .attention import (
    AdditiveAttention,
    AttentionCell,
    AttentionContext,
    AttentionGates,
    AttentionLSTMState,
    AttentionState,
    MultiplicativeAttention,
    UniformAttention,
)
from .cell import Cell
from .gru import GRUCell, GRUGates, GRUState
from .lstm import (
    PRESETS,
    LSTMCell,
    LSTMGates,
    LSTMSpec,
    LSTMState,
    lstm_update,
)
from .rnn import RNNCell, RNNGates, RNNState

__all__ = [
    "PRESETS",
    "AdditiveAttention",
    "AttentionCell",
    "AttentionContext",
    "AttentionGates",
    "AttentionLSTMState",
    "AttentionState",
    "Cell",
    "GRUCell",
    "GRUGates",
    "GRUState",
    "LSTMCell",
    "LSTMGates",
    "LSTMSpec",
    "LSTMState",
    "MultiplicativeAttention",
    "RNNCell",
    "RNNGates",
    "RNNState",
    "UniformAttention",
    "lstm_update",
]
