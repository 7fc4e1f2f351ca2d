"""States are NamedTuples of tensors: each of these is one function for every cell."""

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
