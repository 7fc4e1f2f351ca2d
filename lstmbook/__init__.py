"""lstmbook: the models, data and checks of the book on long short-term memory.

import lstmbook as lb
layer = lb.Recurrent(lb.LSTMCell(8, 32))
y, state = layer(x)                     # x [batch, time, 8]
"""

import importlib

from .cells import (
    PRESETS,
    AdditiveAttention,
    AttentionCell,
    AttentionContext,
    AttentionGates,
    AttentionLSTMState,
    AttentionState,
    Cell,
    ConvLSTMCell,
    FGRState,
    GRUCell,
    GRUGates,
    GRUState,
    LSTMCell,
    LSTMGates,
    LSTMSpec,
    LSTMState,
    MGUCell,
    MGUGates,
    MGUState,
    MultiplicativeAttention,
    RNNCell,
    RNNGates,
    RNNState,
    UniformAttention,
    lstm_update,
)
from .recurrent import Bidirectional, Recurrent, Stack, Trace

__version__ = "0.1.0"

# Imported when first used, so that `import lstmbook` costs little more than torch.
_SUBMODULES = (
    "audio",
    "claims",
    "counterpoint",
    "ctc",
    "datasets",
    "diagnostics",
    "edits",
    "interop",
    "models",
    "notebook",
    "onnx",
    "plotting",
    "reference",
    "scale",
    "scores",
    "search",
    "synthesis",
    "timing",
    "training",
    "weights",
)
_LAZY = {
    "check": "claims",
    "not_run": "claims",
    "save": "interop",
    "load": "interop",
    "pretrained": "weights",
    "glue": "notebook",
    "spread": "notebook",
    "pick": "scale",
    "seed_everything": "scale",
    "device": "scale",
}

__all__ = [
    "PRESETS",
    "AdditiveAttention",
    "AttentionCell",
    "AttentionContext",
    "AttentionGates",
    "AttentionLSTMState",
    "AttentionState",
    "Bidirectional",
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
    "Recurrent",
    "Stack",
    "Trace",
    "UniformAttention",
    "lstm_update",
    *_LAZY,
]


def __getattr__(name):
    if name in _SUBMODULES:
        return importlib.import_module(f".{name}", __name__)
    if name in _LAZY:
        return getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)
    raise AttributeError(f"module 'lstmbook' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_SUBMODULES, *_LAZY])
