"""The contract of a recurrent cell, cut where time cuts it.

`lift` is what needs no state and is done for all time steps at once; `step` is
what does. Whatever knows about sequences (lengths, resets, direction, chunks)
lives in `lstmbook.recurrent` and serves every cell.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Cell(nn.Module):
    """One step of a recurrent network, with weights W, R and b.

    A subclass sets `rows` (the height of W), `out` (the width of R) and
    `State` (a NamedTuple of tensors, each `[batch, size]`), and writes `step`.

    W: [rows, input_size]   from the input
    R: [rows, out]          from the output of the step before
    b: [rows]               one bias; a second one would add nothing to the sum

    A cell of pictures sets two kernels before `__init__`; they are the further axes
    of W and R, and its input and state have as many axes behind their channels.
    """

    State: type
    input_kernel: tuple[int, ...] = ()
    state_kernel: tuple[int, ...] = ()

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        rows: int,
        out: int,
        *,
        bias: bool,
        learn_initial_state: bool,
    ):
        super().__init__()
        # An input of size 0 is a network that runs on by itself (a decoder, say).
        if input_size < 0 or hidden_size < 1:
            raise ValueError(
                f"input_size={input_size}, hidden_size={hidden_size}: "
                "the input needs at least 0 features and the state at least 1"
            )
        self.input_size, self.hidden_size, self.output_size = (
            input_size,
            hidden_size,
            out,
        )
        self.W = nn.Parameter(torch.empty(rows, input_size, *self.input_kernel))
        self.R = nn.Parameter(torch.empty(rows, out, *self.state_kernel))
        self.b = nn.Parameter(torch.empty(rows)) if bias else None
        self.initial = (
            nn.ParameterList(torch.zeros(n) for n in self.state_sizes())
            if learn_initial_state
            else None
        )

    @property
    def input_dims(self) -> int:
        """Axes of the input after time: 1, the features, and those of a picture."""
        return 1 + len(self.input_kernel)

    def state_sizes(self) -> tuple[int, ...]:
        """Width of each tensor of the state, in the order of `State`."""
        return (self.hidden_size,)

    def reset_parameters(self) -> None:
        """Weights uniform in ±1/sqrt(hidden_size), as in torch.nn; b 0, gains 1.

        A kernel of n places adds up n times as much: there it is hidden_size * n.
        """
        for name, weight in self.named_parameters():
            bound = 1 / math.sqrt(self.hidden_size * math.prod(weight.shape[2:]))
            if name == "b" or name.startswith("b_") or name.startswith("initial"):
                nn.init.zeros_(weight)
            elif name.startswith("gain"):
                nn.init.ones_(weight)
            else:
                nn.init.uniform_(weight, -bound, bound)

    def lift(self, x: Tensor) -> Tensor:
        """The part without state, W x + b, for any number of steps at once.

        x: [..., input_size]; returns z: [..., rows].
        """
        return F.linear(x, self.W, self.b)

    def begin(self, batch: int, memory=None, lengths: Tensor | None = None):
        """What holds for a whole sequence and not for a step (none here).

        memory: [batch, memory time, size], what an attention cell looks at, and
        lengths: [batch], how much of each row of it is real; other cells take none.
        """
        if memory is not None or lengths is not None:
            raise ValueError(
                f"{type(self).__name__} takes no memory: give x only, or wrap the cell "
                "in AdditiveAttention or MultiplicativeAttention"
            )
        return None

    def step(self, z: Tensor, state, ctx=None):
        """One step: z [batch, rows] and the state before give (state, gates)."""
        raise NotImplementedError

    def initial_state(self, batch: int, x: Tensor | None = None):
        """The state before the first input: zeros, or the learned one.

        x: the input, or what `lift` made of it. Only a cell of pictures looks at it:
            the state is as high and wide as x, and a learned one the same all over.
        """
        if x is None and self.input_dims > 1:
            raise ValueError(
                f"a {type(self).__name__} has a state as large as the picture: "
                "initial_state(batch, x)"
            )
        picture = () if self.input_dims == 1 else x.shape[1 - self.input_dims :]
        if self.initial is None:
            zeros = (self.W.new_zeros(batch, n, *picture) for n in self.state_sizes())
            return self.State(*zeros)
        learned = (s.reshape(-1, *(1 for _ in picture)) for s in self.initial)
        return self.State(*(s.expand(batch, -1, *picture) for s in learned))

    def library(self) -> tuple[str | None, str]:
        """Name of the torch kernel that computes this cell, or None and why."""
        return None, f"torch has no kernel for {type(self).__name__}"

    def library_weights(self) -> list[Tensor]:
        """The weights in the order the kernel wants them."""
        weights = [self.W, self.R]
        if self.b is not None:
            # The kernels add two biases; the second one stays zero.
            weights += [self.b, torch.zeros_like(self.b)]
        return weights

    def config(self) -> dict:
        """The arguments that build this cell again, for `lstmbook.save`."""
        return {
            "input_size": self.input_size,
            "hidden_size": self.hidden_size,
            "bias": self.b is not None,
            "learn_initial_state": self.initial is not None,
        }

    def extra_repr(self) -> str:
        return ", ".join(f"{k}={v!r}" for k, v in self.config().items())
