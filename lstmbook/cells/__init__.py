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
from .minimal import MGUCell, MGUGates, MGUState
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
    "ConvLSTMCell",
    "FGRState",
    "GRUCell",
    "GRUGates",
    "GRUState",
    "LSTMCell",
    "LSTMGates",
    "LSTMSpec",
    "LSTMState",
    "MGUCell",
    "MGUGates",
    "MGUState",
    "MultiplicativeAttention",
    "RNNCell",
    "RNNGates",
    "RNNState",
    "UniformAttention",
    "lstm_update",
]
