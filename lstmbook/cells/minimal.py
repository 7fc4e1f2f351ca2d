"""Recurrent units with fewer gates than the GRU."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from .cell import Cell
from .gru import GRUCell


class MGUState(NamedTuple):
    """h: [batch, hidden]."""

    h: Tensor


class MGUGates(NamedTuple):
    """z update gate, n candidate; each [batch, hidden]."""

    z: Tensor
    n: Tensor


class MGUCell(Cell):
    """The minimal gated unit: a GRU whose reset gate is r = 1 - z.

    z = sigma(W_z x + R_z h + b_z)
    n = tanh(W_n x + R_n ((1 - z) ⊙ h) + b_n)
    h_t = (1 - z) ⊙ n + z ⊙ h_{t-1}

    What is about to be replaced is what the candidate may read. The paper writes
    f = 1 - z and calls it a forget gate; in this book a gate called f keeps at 1,
    so the gate has the letter and the sense of the GRU's. Weights from elsewhere
    come with the opposite sign in the rows of z: 1 - sigma(a) = sigma(-a).

    W: [2 hidden, input_size], R: [2 hidden, hidden], b: [2 hidden], in the order z n.
    Source: Zhou, Wu, Zhang and Zhou 2016.
    """

    State = MGUState

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        bias: bool = True,
        learn_initial_state: bool = False,
    ):
        super().__init__(
            input_size,
            hidden_size,
            2 * hidden_size,
            hidden_size,
            bias=bias,
            learn_initial_state=learn_initial_state,
        )
        self.reset_parameters()

    def step(self, z: Tensor, state: MGUState, ctx=None):
        """z: [batch, 2 hidden]; returns (MGUState, MGUGates)."""
        h = state.h
        z_u, z_n = z.chunk(2, dim=1)
        R_u, R_n = self.R.chunk(2)
        u = torch.sigmoid(z_u + F.linear(h, R_u))
        n = torch.tanh(z_n + F.linear((1 - u) * h, R_n))
        return MGUState((1 - u) * n + u * h), MGUGates(u, n)

    @torch.no_grad()
    def as_gru(self) -> GRUCell:
        """The same function as a GRU that resets before the product.

        Its reset gate has the weights of the update gate with the opposite sign.
        It owns half as many weights again, and copies of them.
        """
        gru = GRUCell(
            self.input_size,
            self.hidden_size,
            "before",
            bias=self.b is not None,
            learn_initial_state=self.initial is not None,
        ).to(self.W)
        for name in ("W", "R", "b"):
            if (mine := getattr(self, name)) is not None:
                u, n = mine.chunk(2)
                getattr(gru, name).copy_(torch.cat([-u, u, n]))
        if self.initial is not None:
            gru.initial[0].copy_(self.initial[0])
        return gru
