"""The gated recurrent unit, in both of its published forms."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .cell import Cell


class GRUState(NamedTuple):
    """h: [batch, hidden]."""

    h: Tensor


class GRUGates(NamedTuple):
    """r reset gate, z update gate, n candidate; each [batch, hidden]."""

    r: Tensor
    z: Tensor
    n: Tensor


class GRUCell(Cell):
    """The gated recurrent unit of Cho et al. 2014.

    The two versions of that paper differ in where the reset gate acts:

    reset="after" (version 1; torch and cuDNN): n = tanh(W_n x + b + r ⊙ (R_n h + b_n))
    reset="before" (version 3): n = tanh(W_n x + b + R_n (r ⊙ h))

    and in both h_t = (1 - z) ⊙ n + z ⊙ h_{t-1}. Only the first can do all three
    products with h at once; it alone needs a second bias, b_n, for its candidate.

    W: [3 hidden, input_size], R: [3 hidden, hidden], b: [3 hidden], in the order
    r z n; b_n: [hidden].
    """

    State = GRUState

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        reset: str = "after",
        *,
        bias: bool = True,
        learn_initial_state: bool = False,
    ):
        if reset not in ("after", "before"):
            raise ValueError(
                f"reset={reset!r}: choose 'after' (version 1 of Cho et al. 2014, "
                "torch, cuDNN) or 'before' (version 3)"
            )
        super().__init__(
            input_size,
            hidden_size,
            3 * hidden_size,
            hidden_size,
            bias=bias,
            learn_initial_state=learn_initial_state,
        )
        self.reset = reset
        self.b_n = (
            nn.Parameter(torch.empty(hidden_size))
            if bias and reset == "after"
            else None
        )
        self.reset_parameters()

    def step(self, z: Tensor, state: GRUState, ctx=None):
        """z: [batch, 3 hidden]; returns (GRUState, GRUGates)."""
        h = state.h
        z_r, z_u, z_n = z.chunk(3, dim=1)
        if self.reset == "after":
            m_r, m_u, m_n = F.linear(h, self.R).chunk(3, dim=1)
            r, u = torch.sigmoid(z_r + m_r), torch.sigmoid(z_u + m_u)
            n = torch.tanh(z_n + r * (m_n if self.b_n is None else m_n + self.b_n))
        else:
            R_r, R_u, R_n = self.R.chunk(3)
            r = torch.sigmoid(z_r + F.linear(h, R_r))
            u = torch.sigmoid(z_u + F.linear(h, R_u))
            n = torch.tanh(z_n + F.linear(r * h, R_n))
        return GRUState((1 - u) * n + u * h), GRUGates(r, u, n)

    def library(self):
        if self.reset == "before":
            return None, "torch's GRU kernel has the reset gate after the product"
        return "gru", "torch's kernel computes this cell"

    def library_weights(self) -> list[Tensor]:
        weights = [self.W, self.R]
        if self.b is not None:
            weights += [self.b, F.pad(self.b_n, (2 * self.hidden_size, 0))]
        return weights

    def config(self) -> dict:
        return super().config() | {"reset": self.reset}
