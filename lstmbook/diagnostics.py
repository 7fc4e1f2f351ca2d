"""Looking inside: how far gradients reach, what gates do, how long a cell holds.

Everything here is exact automatic differentiation: over one `step` after another,
so that it works for any cell, or from the outputs of a whole model to its inputs.
"""

import math

import torch
from torch import Tensor

from .states import tree_map


def jacobians(
    cell, x: Tensor, of: str = "h", to: str = "h", *, through=None, state=None
) -> Tensor:
    """∂(state at the end)/∂(state at every step), in full.

    x: [time, features], one sequence
    of, to: parts of the state ("h", "c"): J[t] = ∂ of_T / ∂ to_t
    through: parts that may carry a gradient from step to step; None means all.
        through=("c",) follows the cell state alone, the constant error carousel.
    Returns [time, size of `of`, size of `to`]; J[t] is taken after step t, so the
    last one is ∂ of_T / ∂ to_T (the identity when of == to). lag = T - 1 - t.
    """
    if x.dim() != 2:
        raise ValueError(f"x has shape {tuple(x.shape)}: give one [time, features]")
    if state is None:
        state = cell.initial_state(1)
    size = getattr(state, of).shape[1]
    # One copy of the sequence for every output: one backward pass gives all rows.
    state = tree_map(lambda s: s.detach().expand(size, -1), state)
    z = cell.lift(x.unsqueeze(0)).detach().expand(size, -1, -1)
    targets = []
    with torch.enable_grad():
        for t in range(len(x)):
            if through is not None:
                state = type(state)(
                    *(
                        s if name in through else s.detach()
                        for name, s in zip(state._fields, state, strict=True)
                    )
                )
            state, _ = cell.step(z[:, t], state)
            state = _watched(state)
            targets.append(getattr(state, to))
        end = getattr(state, of).diagonal().sum()
        grads = torch.autograd.grad(end, targets, allow_unused=True)
    return torch.stack(
        [
            torch.zeros_like(h) if g is None else g
            for g, h in zip(grads, targets, strict=True)
        ]
    )


def _watched(state):
    """A copy in the chain of its own: the gradient at this very point can be had."""
    return tree_map(
        lambda s: s.clone() if s.requires_grad else s.clone().requires_grad_(), state
    )


def norms(J: Tensor) -> Tensor:
    """Spectral norm of each matrix of [..., m, n]: the most it can stretch."""
    return torch.linalg.matrix_norm(J, ord=2)


def gradient_flow(layer, x: Tensor, loss) -> dict[str, Tensor]:
    """How much of a loss's gradient arrives at every step.

    layer: Recurrent; x: [batch, time, features]
    loss: function of y [batch, time, output] to a number
    Returns {"h": [time], "c": [time]} (the parts the state has): the norm of
    ∂loss/∂(state after step t), averaged over the batch.
    """
    cell = layer.cell
    state, seen, outputs = cell.initial_state(len(x)), [], []
    with torch.enable_grad():
        for z in cell.lift(x).unbind(1):
            state, _ = cell.step(z, state)
            state = _watched(state)
            seen.append(state)
            outputs.append(state.h)
        value = loss(torch.stack(outputs, dim=1))
        flat = [part for s in seen for part in s]
        grads = torch.autograd.grad(value, flat, allow_unused=True)
    names = state._fields
    zero = x.new_zeros(())
    return {
        name: torch.stack(
            [
                zero if g is None else g.norm(dim=1).mean()
                for g in grads[k :: len(names)]
            ]
        ).detach()
        for k, name in enumerate(names)
    }


def influence(model, x: Tensor) -> Tensor:
    """How strongly every output depends on every input.

    model: function of [batch, time, features] to [batch, time, outputs], or to a
        tuple that begins with it, as layers do; rows must not touch one another
    x: [time, features], one sequence
    Returns [time, time]: entry (t, s) is the Frobenius norm of ∂y_t/∂x_s, exactly 0
    where no path leads from input s to output t. Weights get no gradient.
    """
    if x.dim() != 2:
        raise ValueError(f"x has shape {tuple(x.shape)}: give one [time, features]")

    def outputs(x):
        y = model(x)
        return y if isinstance(y, Tensor) else y[0]

    with torch.no_grad():
        T, K = outputs(x.unsqueeze(0)).shape[1:]
    if len(x) != T:
        raise ValueError(f"x has {len(x)} steps, the model's output {T}: one for each")
    # One copy of the sequence for every output: one backward pass gives all rows.
    with torch.enable_grad():
        copies = x.detach().repeat(T * K, 1, 1).requires_grad_()
        y = outputs(copies).reshape(T, K, T, K)
        own = y.diagonal(dim1=0, dim2=2).diagonal(dim1=0, dim2=1).sum()
        (grads,) = torch.autograd.grad(own, copies)
    return grads.view(T, K, T, -1).square().sum((1, 3)).sqrt()


def saturation(gates, low: float = 0.1, high: float = 0.9) -> dict[str, tuple]:
    """Share of the time each unit's gate is shut (below low) or open (above high).

    gates: the gates of a trace, each [batch, time, hidden]
    Returns {gate: (shut [hidden], open [hidden])} for the gates in [0, 1]; the
    candidate is left out.
    Source: Karpathy, Johnson and Fei-Fei 2016, section 4.2.
    """
    return {
        name: ((a < low).float().mean((0, 1)), (a > high).float().mean((0, 1)))
        for name, a in gates._asdict().items()
        if name not in ("g", "n", "a")
    }


def half_life(f: Tensor) -> Tensor:
    """Steps after which half of what a cell holds is left, from its forget gate.

    f: [batch, time, hidden]; returns [hidden], log(1/2) / mean(log f).
    """
    return math.log(0.5) / f.clamp_min(1e-12).log().mean((0, 1))


def memory_horizon(norms: Tensor, share: float = 0.01) -> int:
    """The largest lag at which a gradient keeps `share` of its size at lag 0.

    norms: [time], as from `norms(jacobians(...))`, the last one being lag 0.
    """
    kept = norms.flip(0) / norms[-1] >= share
    return int(kept.long().cumprod(0).sum()) - 1
