"""The plain recurrent cell: h_t = act(W x_t + R h_{t-1} + b)."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from .cell import Cell

ACTIVATIONS = {"tanh": torch.tanh, "relu": torch.relu}


class RNNState(NamedTuple):
    """h: [batch, hidden]."""

    h: Tensor


class RNNGates(NamedTuple):
    """A plain cell has no gates; a: [batch, hidden] is its pre-activation."""

    a: Tensor


class RNNCell(Cell):
    """The simple recurrent cell, tanh or relu.

    Source: Elman 1990; the relu form Le, Jaitly and Hinton 2015.

    input_size, hidden_size: D and H
    activation: "tanh" or "relu"
    bias: whether there is a bias b
    learn_initial_state: whether the state before the first input is learned
    """

    State = RNNState

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        activation: str = "tanh",
        *,
        bias: bool = True,
        learn_initial_state: bool = False,
    ):
        if activation not in ACTIVATIONS:
            raise ValueError(
                f"activation={activation!r}: choose one of {sorted(ACTIVATIONS)}"
            )
        super().__init__(
            input_size,
            hidden_size,
            hidden_size,
            hidden_size,
            bias=bias,
            learn_initial_state=learn_initial_state,
        )
        self.activation = activation
        self.reset_parameters()

    def step(self, z: Tensor, state: RNNState, ctx=None):
        """z: [batch, hidden]; returns (RNNState, RNNGates)."""
        a = z + F.linear(state.h, self.R)
        return RNNState(ACTIVATIONS[self.activation](a)), RNNGates(a)

    def library(self):
        return f"rnn_{self.activation}", "torch's kernel computes this cell"

    def config(self) -> dict:
        return super().config() | {"activation": self.activation}
