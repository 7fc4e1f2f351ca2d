"""States are NamedTuples of tensors: each of these is one function for every cell.

At the end, what the lengths of ragged rows mean, for inputs and memories alike.
"""

import torch
from torch import Tensor


def tree_map(function, *states):
    """Apply a function to the tensors of states of one structure."""
    first = states[0]
    if isinstance(first, Tensor):
        return function(*states)
    parts = [tree_map(function, *s) for s in zip(*states, strict=True)]
    return type(first)(*parts) if hasattr(first, "_fields") else tuple(parts)


def widen(mask: Tensor, like: Tensor) -> Tensor:
    """The mask with axes of 1 added until it has as many as `like`."""
    return mask.reshape(*mask.shape, *(1,) * (like.dim() - mask.dim()))


def detach(state):
    """The same state, cut off from the graph: truncated back-propagation."""
    return tree_map(Tensor.detach, state)


def where(mask: Tensor, a, b):
    """State a in the rows where mask [batch] is True, else b.

    Chooses, where multiplying by the mask would turn an infinity into NaN.
    """
    return tree_map(lambda u, v: torch.where(widen(mask, v), u, v), a, b)


def index(state, rows: Tensor):
    """The given rows of a state, in that order (beam search)."""
    return tree_map(lambda s: s[rows], state)


def padding(lengths: Tensor, time: int) -> Tensor:
    """[batch, time] bool: True where a row has ended."""
    steps = torch.arange(time, device=lengths.device)
    return steps >= lengths.unsqueeze(1)


def check_lengths(lengths: Tensor, x: Tensor, name: str, of: str) -> None:
    """Raise when lengths [batch] are not one integer, 1 to time, for each row of x.

    x: [batch, time, ...]; name, of: what both are called in the message
    """
    B, T = x.shape[:2]
    if lengths.shape != (B,) or lengths.is_floating_point():
        raise ValueError(
            f"{name} is {lengths.dtype} {tuple(lengths.shape)}: give one "
            f"integer a row, [{B}], for {of} {tuple(x.shape)}"
        )
    # A look at the values would make a GPU wait, so only on the CPU.
    if lengths.device.type == "cpu":
        low, high = int(lengths.min()), int(lengths.max())
        if low < 1 or high > T:
            raise ValueError(
                f"{name} go from {low} to {high}, "
                f"{of} {tuple(x.shape)} has room for 1 to {T}"
            )
