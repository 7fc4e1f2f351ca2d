"""Three ways to run a cell over time, and which one a call gets.

loop     one `step` after another in Python: any cell, every trace, any derivative
library  torch's kernels (oneDNN, cuDNN): the fastest, for what they can express
fused    back-propagation through time by hand (`fused.py`): nearly every LSTM spec

All give the same numbers; a fast one exists only beside the slow one it is
tested against. `PackedSequence` is never used: right padding and a gather give
the same outputs without it.
"""

import warnings
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from .cells.lstm import LSTMCell, LSTMGates
from .states import tree_map, where

# Pre-activation that a logistic gate cannot tell from infinity, in any precision.
SHUT = 1e4


@dataclass(frozen=True)
class Backend:
    """A name, `refuses(cell, x, reset, trace)` -> why not (or None), and `run`.

    run(cell, x, state, pad, reset, trace, ctx) gives y [B, T, out]; the states at all
    steps, or None; the state after the last real step, or None where it can be
    read off the states; and the gates at all steps, or None. ctx is what the cell's
    `begin` gave: what holds for the whole sequence.
    """

    name: str
    refuses: Callable
    run: Callable


def _stack(steps):
    return tree_map(lambda *s: torch.stack(s, dim=1), *steps)


def _run_loop(cell, x, state, pad, reset, trace, ctx):
    # One unbind and not z[:, t]: the gradient of every such slice would be as large
    # as the whole of z, and the way back would cost the square of the time.
    z = cell.lift(x).unbind(1)
    start = cell.initial_state(len(x), x) if reset is not None else None
    states, gates = [], []
    for t, z_t in enumerate(z):
        if reset is not None:
            state = where(reset[:, t], start, state)
        state, g = cell.step(z_t, state, ctx)
        states.append(state)
        gates.append(g)
    states = _stack(states)
    return states.h, states, None, _stack(gates) if trace else None


def _precision_of_weights(x):
    """Autocast off: these two run in the precision of the weights.

    torch's CPU kernel in bfloat16 exists on few processors and fails on others;
    the loop follows autocast, and keeps the cell state in float32 as well.
    """
    device = x.device.type
    on = torch.is_autocast_enabled(device)
    return torch.autocast(device, enabled=False) if on else nullcontext()


def _library_refuses(cell, x, reset, trace):
    kernel, why = cell.library()
    if kernel is None:
        return why
    if trace:
        return "torch's kernel shows no gates and no states between the ends"
    if reset is not None:
        return "torch's kernel cannot put a state back on the way"
    if cell.input_size == 0:
        return "torch's kernel wants an input"
    return None


def _run_library(cell, x, state, pad, reset, trace, ctx):
    name, _ = cell.library()
    x = x.to(cell.W.dtype)
    weights = cell.library_weights()
    # On a 1-row batch of states the kernels want [layers=1, batch, size].
    hx = tuple(s.unsqueeze(0).contiguous() for s in state)
    if name == "lstm" and pad is not None:
        # The kernel returns c after the last step only. One more input, 1 at the
        # padding, shuts the input gate and opens the forget gate there: c stays
        # what it was at the row's own end, exactly, and so does its gradient.
        H = cell.hidden_size
        hold = torch.cat([x.new_full((H, 1), v) for v in (-SHUT, SHUT, 0, 0)])
        x = torch.cat([x, pad.unsqueeze(2).to(x.dtype)], dim=2)
        weights[0] = torch.cat([weights[0], hold.to(weights[0].dtype)], dim=1)
    args = (weights, cell.b is not None, 1, 0.0, cell.training, False, True)
    with warnings.catch_warnings(), _precision_of_weights(x):
        # Our one weight matrix is not a slice of cuDNN's buffer, so it is copied;
        # and with a projection torch's own CPU code runs, not oneDNN's.
        for known in ("contiguous chunk of memory", "not supported with oneDNN"):
            warnings.filterwarnings("ignore", message=f".*{known}.*")
        if name == "lstm":
            y, h, c = torch._VF.lstm(x, hx, *args)
            last = (h[0], c[0])
        else:
            y, h = getattr(torch._VF, name)(x, hx[0], *args)
            last = (h[0],)
    if pad is not None:
        rows = torch.arange(len(x), device=x.device)
        last = (y[rows, (~pad).sum(1) - 1], *last[1:])
    return y, None, cell.State(*last), None


def _fused_refuses(cell, x, reset, trace):
    if type(cell) is not LSTMCell:
        return f"the fused backend is written for LSTMCell, not {type(cell).__name__}"
    spec = cell.spec
    if spec.gate_recurrence:
        return "the fused backend has no full gate recurrence"
    if spec.norm not in ("none", "ba2016"):
        return f"the fused backend has the norm of Ba et al. 2016, not {spec.norm!r}"
    if spec.gradient != "full" and torch.is_grad_enabled():
        return "the fused backend computes the full gradient, not the truncated one"
    return None


def _run_fused(cell, x, state, pad, reset, trace, ctx):
    from .fused import lstm_forward, spec_key

    x = x.to(cell.W.dtype)
    start = cell.initial_state(len(x)) if reset is not None else (None, None)
    with _precision_of_weights(x):
        y, c, rows, *_ = lstm_forward(
            x.transpose(0, 1).contiguous(), cell.W, cell.R, cell.b, cell.p, cell.P,
            cell.gain_W, cell.gain_R, cell.gain_c, cell.b_c,
            state.h, state.c,
            None if reset is None else reset.t().contiguous(), *start,
            spec_key(cell.spec),
        )  # fmt: skip
    states = cell.State(y.transpose(0, 1), c.transpose(0, 1))
    gates = None
    if trace:
        v = dict(
            zip(cell.spec.rows, rows.transpose(0, 1).chunk(len(cell.spec.rows), 2),
                strict=True)
        )  # fmt: skip
        one = torch.ones_like(states.c)
        i = v.get("i", one)
        f = 1 - i if cell.spec.forget_gate == "coupled" else v.get("f", one)
        gates = LSTMGates(i, f, v["g"], v.get("o", one))
    return states.h, states, None, gates


LOOP = Backend("loop", lambda cell, x, reset, trace: None, _run_loop)
LIBRARY = Backend("library", _library_refuses, _run_library)
FUSED = Backend("fused", _fused_refuses, _run_fused)
_FASTEST_FIRST = (LIBRARY, FUSED, LOOP)
BACKENDS = tuple(b.name for b in _FASTEST_FIRST)


def plan(cell, x: Tensor, reset=None, trace=False, backend="auto") -> Backend:
    """The backend that will run this call.

    Raises ValueError when a named one cannot, and says why.
    """
    for b in _FASTEST_FIRST:
        if backend in ("auto", b.name):
            why = b.refuses(cell, x, reset, trace)
            if why is None:
                return b
            if backend == b.name:
                raise ValueError(f"backend={backend!r} cannot run this call: {why}")
    raise ValueError(f"backend={backend!r}: choose 'auto' or one of {BACKENDS}")


def explain(cell, x: Tensor, reset=None, trace=False, backend="auto") -> str:
    """The backend that runs, and under it why not each faster one."""
    chosen = plan(cell, x, reset, trace, backend)
    if backend != "auto":
        return f"{chosen.name} (asked for)"
    faster = _FASTEST_FIRST[: _FASTEST_FIRST.index(chosen)]
    if not faster:
        return f"{chosen.name} (the fastest)"
    why = [f"  not {b.name}: {b.refuses(cell, x, reset, trace)}" for b in faster]
    return "\n".join([chosen.name, *why])
