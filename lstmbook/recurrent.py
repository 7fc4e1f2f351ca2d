"""Layers: a cell run over time, in both directions, and stacked.

A layer is any module (x, state, lengths, reset) -> (y, state). It knows about
time; the cell does not. Always batch first:

    x        [batch, time, features], or [batch, time, channels, height, width]
             and [batch, time, channels, places] where the cell reads pictures
    lengths  [batch], real steps of each row, 1 to time; the rest is padding
    reset    [batch, time] bool; True puts the state back before that step
    y        [batch, time, output], zero at the padding
    state    the state after each row's last real step
"""

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from . import backends
from .cells.cell import Cell
from .states import check_lengths, detach, index, padding, tree_map, where, widen

__all__ = [
    "Bidirectional",
    "BidirectionalState",
    "Recurrent",
    "Stack",
    "Trace",
    "check_arguments",
    "detach",
    "flip",
    "index",
    "last_output",
    "padding",
    "tree_map",
    "where",
]


class Trace(NamedTuple):
    """State after, and gates at, every step; each tensor [batch, time, size]."""

    state: NamedTuple
    gates: NamedTuple


class BidirectionalState(NamedTuple):
    """State after the last step read: the row's end forward, its start backward."""

    forward: NamedTuple
    backward: NamedTuple


# What an x is made of, by the number of its axes after time.
_FEATURES = {1: "features", 2: "channels", 3: "channels"}
_AXES = {1: "", 2: ", places", 3: ", height, width"}


def check_arguments(x, features, lengths=None, reset=None, dims=1) -> None:
    """Raise, with the shapes, when the arguments of a layer do not fit.

    dims: axes of x after time, `cell.input_dims`
    """
    what, axes = _FEATURES[dims], _AXES[dims]
    if x.dim() != 2 + dims:
        raise ValueError(
            f"x has shape {tuple(x.shape)}: give [batch, time, {what}={features}{axes}]"
        )
    if x.shape[2] != features:
        raise ValueError(
            f"x has {x.shape[2]} {what}, the cell was built for {features} "
            f"(input_size={features}); x is {tuple(x.shape)}, "
            f"read as [batch, time, {what}{axes}]"
        )
    B, T = x.shape[:2]
    if B == 0 or T == 0:
        raise ValueError(f"x has shape {tuple(x.shape)}: no rows or no steps")
    if 0 in x.shape[3:]:
        raise ValueError(f"x has shape {tuple(x.shape)}: a picture without pixels")
    if lengths is not None:
        check_lengths(lengths, x, "lengths", "x")
    if reset is not None and (reset.shape != (B, T) or reset.dtype != torch.bool):
        raise ValueError(
            f"reset is {reset.dtype} {tuple(reset.shape)}: give bool [{B}, {T}], "
            f"one flag a step of x {tuple(x.shape)}"
        )


def flip(x: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Reverse [batch, time, ...] in time, each row within its own length."""
    if lengths is None:
        return x.flip(1)
    steps = torch.arange(x.shape[1], device=x.device)
    back = lengths.unsqueeze(1) - 1 - steps
    at = torch.where(back >= 0, back, steps)  # the padding stays where it is
    return x[torch.arange(len(x), device=x.device).unsqueeze(1), at]


class Recurrent(nn.Module):
    """A cell run over time.

    cell: any `Cell`
    backend: "auto" takes the fastest that computes this call exactly; "loop",
        "library" or "fused" insists, and raises with the reason when it cannot

        y, state = layer(x, state=None, lengths=None, reset=None)
        y, state, trace = layer(x, trace=True)
        y, state = layer(x, memory=memory, memory_lengths=None)   # attention cells

    memory: [batch, memory time, size], or what the cell's `begin` made of it
    memory_lengths: [batch], real steps of each row of it
    """

    def __init__(self, cell: Cell, backend: str = "auto"):
        super().__init__()
        if backend not in ("auto", *backends.BACKENDS):
            raise ValueError(
                f"backend={backend!r}: choose 'auto' or one of {backends.BACKENDS}"
            )
        self.cell, self.backend = cell, backend

    input_size = property(lambda self: self.cell.input_size)
    output_size = property(lambda self: self.cell.output_size)
    input_dims = property(lambda self: self.cell.input_dims)

    def forward(
        self, x, state=None, lengths=None, reset=None, *, memory=None,
        memory_lengths=None, trace=False,
    ):  # fmt: skip
        check_arguments(x, self.input_size, lengths, reset, self.input_dims)
        weights = self.cell.W.dtype
        if x.dtype != weights and not torch.is_autocast_enabled(x.device.type):
            raise ValueError(
                f"x is {x.dtype}, the weights are {weights}: "
                "convert one of them (x.to(...) or layer.to(...))"
            )
        B, T = x.shape[:2]
        if state is None:
            state = self.cell.initial_state(B, x)
        else:
            self.check_state(state, B, tuple(x.shape[3:]))
            state = self.cell.State(*state)
        chosen = backends.plan(self.cell, x, reset, trace, self.backend)
        ctx = self.cell.begin(B, memory, memory_lengths)
        pad = None if lengths is None else padding(lengths.to(x.device), T)
        if pad is not None:
            # Whatever stands in the padding, NaN too, must not reach a gradient.
            x = x.masked_fill(widen(pad, x), 0)
            lengths = lengths.to(x.device)
        y, states, last, gates = chosen.run(self.cell, x, state, pad, reset, trace, ctx)
        if pad is not None:
            y = y.masked_fill(widen(pad, y), 0)
            if last is None:
                rows = torch.arange(B, device=x.device)
                last = tree_map(lambda s: s[rows, lengths - 1], states)
        elif last is None:
            last = tree_map(lambda s: s[:, -1], states)
        return (y, last, Trace(detach(states), detach(gates))) if trace else (y, last)

    def check_state(self, state, batch: int, picture: tuple[int, ...] = ()) -> None:
        """Raise when a given state does not fit the cell, the batch or the picture.

        picture: height and width of x, where the cell reads pictures
        """
        want = [(batch, n, *picture) for n in self.cell.state_sizes()]
        names = self.cell.State._fields
        if isinstance(state, Tensor) or len(state) != len(want):
            raise ValueError(
                f"state is {type(state).__name__}: "
                f"give {self.cell.State.__name__}{names}"
            )
        for name, s, w in zip(names, state, want, strict=True):
            if tuple(s.shape) != w:
                raise ValueError(
                    f"state.{name} has shape {tuple(s.shape)}, "
                    f"this cell and {'input' if picture else 'batch'} need {w}"
                )

    def explain(self, x, state=None, lengths=None, reset=None, *, trace=False) -> str:
        """Which backend would run this call, and why not a faster one."""
        return backends.explain(self.cell, x, reset, trace, self.backend)

    def config(self) -> dict:
        return {"cell": self.cell, "backend": self.backend}


class Bidirectional(nn.Module):
    """Two layers, one reading forward and one backward; outputs side by side.

    forward_layer, backward_layer: any two layers of one input size.
    y: [batch, time, forward output + backward output]

    A state cannot be carried from chunk to chunk: the backward layer would need
    the future first. Giving one raises.
    """

    def __init__(self, forward_layer: nn.Module, backward_layer: nn.Module):
        super().__init__()
        if forward_layer.input_size != backward_layer.input_size:
            raise ValueError(
                f"the forward layer takes {forward_layer.input_size} features, "
                f"the backward layer {backward_layer.input_size}: they read the same x"
            )
        self.forward_layer, self.backward_layer = forward_layer, backward_layer

    input_size = property(lambda self: self.forward_layer.input_size)
    output_size = property(
        lambda self: self.forward_layer.output_size + self.backward_layer.output_size
    )
    # A layer from elsewhere need not say it: vectors are the rule.
    input_dims = property(lambda self: getattr(self.forward_layer, "input_dims", 1))

    def forward(self, x, state=None, lengths=None, reset=None):
        if state is not None:
            raise ValueError(
                "a bidirectional layer takes no state: read backward, a chunk would "
                "need the state of the chunk after it. Feed whole sequences"
            )
        check_arguments(x, self.input_size, lengths, reset, self.input_dims)
        if lengths is not None:
            lengths = lengths.to(x.device)
        ahead, last = self.forward_layer(x, None, lengths, reset)
        if reset is not None:
            # "Before step t" read backward is "before the step that follows t - 1".
            start = torch.ones_like(reset[:, :1])
            ends = torch.cat([reset[:, 1:], start], dim=1)
            if lengths is not None:
                ends = ends & ~padding(lengths, x.shape[1])
            reset = flip(ends, lengths)
        back, first = self.backward_layer(flip(x, lengths), None, lengths, reset)
        y = torch.cat([ahead, flip(back, lengths)], dim=2)
        return y, BidirectionalState(last, first)

    def explain(self, x, state=None, lengths=None, reset=None) -> str:
        """The explanations of both directions."""
        return (
            f"forward: {self.forward_layer.explain(x, None, lengths, reset)}\n"
            f"backward: {self.backward_layer.explain(x, None, lengths, reset)}"
        )

    def config(self) -> dict:
        return {
            "forward_layer": self.forward_layer,
            "backward_layer": self.backward_layer,
        }


class Stack(nn.Module):
    """Layers on top of one another.

    layers: each takes the output of the one below
    dropout: share of the values between two layers set to zero in training;
        nothing is dropped before the first, after the last or along time
    residual: adds a layer's input to its output where both have one size

    state: a tuple, one entry a layer.
    """

    def __init__(
        self, *layers: nn.Module, dropout: float = 0.0, residual: bool = False
    ):
        super().__init__()
        if not layers:
            raise ValueError("Stack() needs at least one layer")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout={dropout}: give a share, at least 0, below 1")
        if dropout and len(layers) == 1:
            raise ValueError(
                f"dropout={dropout} acts between layers and there is only one: "
                "drop its output with nn.Dropout, or add a layer"
            )
        for k, (low, high) in enumerate(pairwise(layers)):
            if low.output_size != high.input_size:
                raise ValueError(
                    f"layer {k} gives {low.output_size} features, "
                    f"layer {k + 1} takes {high.input_size}"
                )
        self.layers = nn.ModuleList(layers)
        self.dropout, self.residual = dropout, residual

    input_size = property(lambda self: self.layers[0].input_size)
    output_size = property(lambda self: self.layers[-1].output_size)
    input_dims = property(lambda self: getattr(self.layers[0], "input_dims", 1))

    def forward(self, x, state=None, lengths=None, reset=None):
        if state is not None and len(state) != len(self.layers):
            raise ValueError(
                f"state has {len(state)} entries, the stack {len(self.layers)} layers"
            )
        last = []
        for k, layer in enumerate(self.layers):
            if k:
                x = F.dropout(x, self.dropout, self.training)
            y, s = layer(x, None if state is None else state[k], lengths, reset)
            x = x + y if self.residual and x.shape == y.shape else y
            last.append(s)
        return x, tuple(last)

    def explain(self, x, state=None, lengths=None, reset=None) -> str:
        """The explanation of every layer."""
        lines = []
        for k, layer in enumerate(self.layers):
            lines.append(f"layer {k}: {layer.explain(x, None, lengths, reset)}")
            x = x.new_empty(*x.shape[:2], layer.output_size, *x.shape[3:])
        return "\n".join(lines)

    def config(self) -> dict:
        return {
            "*layers": list(self.layers),
            "dropout": self.dropout,
            "residual": self.residual,
        }


def last_output(state) -> Tensor:
    """A layer's last output, from the state it gives back: [batch, output].

    Of a stack that of its last layer; of two directions the forward output at the
    row's end and the backward output at its start, side by side.
    """
    if isinstance(state, BidirectionalState):
        return torch.cat([last_output(way) for way in state], dim=1)
    return state.h if hasattr(state, "h") else last_output(state[-1])
