"""The convolutional LSTM: the same gates, one cell at every place of a picture.

    i = sigma(W_i * x + R_i * h + p_i c  + b_i)        * is a convolution;
    f = sigma(W_f * x + R_f * h + p_f c  + b_f)        p and b have one number
    g =  tanh(W_g * x + R_g * h          + b_g)        a channel
    c' = f c + i g
    o = sigma(W_o * x + R_o * h + p_o c' + b_o)
    h' = o tanh(c')

Shi et al. 2015, eq. 3. What goes on in one place is the LSTM, computed by the same
`lstm_update`; what is new is that a place also reads its neighbours. How far it sees
is the kernel: W's for the input, R's for the state of the step before.

Shi et al. write the peephole as a product with a weight at every place; the weight
counts that they publish have one weight a channel, and so has this cell.
"""

import math
from dataclasses import fields

from torch import Tensor
from torch.nn import functional as F

from .lstm import LSTMCell, LSTMSpec, LSTMState, lstm_update

_CONVOLUTION = {1: F.conv1d, 2: F.conv2d}
_FLAGS = {
    "input_gate",
    "forget_gate",
    "output_gate",
    "input_activation",
    "output_activation",
    "peepholes",
    "projection",
    "gradient",
}


class ConvLSTMCell(LSTMCell):
    """An LSTM cell at every place of a picture, or of a line.

    input_size, hidden_size: channels D of the input (0 for a cell that runs on
        without any) and H of the state
    spec: an LSTMSpec or the name of a preset; "odyssey", with peepholes, is the cell
        of Shi et al. 2015. A projection is a convolution with a kernel of 1; there
        is no gate recurrence and no norm
    input_kernel, state_kernel: how far W and R see: odd sizes, one number or one an
        axis; state_kernel is input_kernel unless given. Kernels of 1 make every
        place an `LSTMCell` by itself
    dims: 2 for pictures [height, width], 1 for lines [places]
    forget_bias, bias, learn_initial_state: as in `LSTMCell`; an initial state is
        learned for each channel and is the same at every place

    In a layer, x is [batch, time, D, height, width], the outputs [batch, time, H,
    height, width] and h and c [batch, H, height, width]. The border is padded with
    zeros, which a cell can tell from paper, so that it knows where the walls are.

    W: [rows, D, *input_kernel], R: [rows, H or projection, *state_kernel], b [rows]
    with the rows of spec.rows; p [n_peep, H]; P [projection, H].
    Source: Shi et al. 2015, eq. 3.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        spec: LSTMSpec | str = "lstm",
        *,
        input_kernel: int | tuple[int, ...] = 3,
        state_kernel: int | tuple[int, ...] | None = None,
        dims: int = 2,
        forget_bias: float | None = 1.0,
        bias: bool = True,
        learn_initial_state: bool = False,
    ):
        if dims not in _CONVOLUTION:
            raise ValueError(f"dims={dims}: 2 for pictures, 1 for lines")
        if state_kernel is None:
            state_kernel = input_kernel
        # Set first: they say how large W and R are.
        self.input_kernel = _kernel("input_kernel", input_kernel, dims)
        self.state_kernel = _kernel("state_kernel", state_kernel, dims)
        super().__init__(
            input_size,
            hidden_size,
            spec,
            forget_bias=forget_bias,
            bias=bias,
            learn_initial_state=learn_initial_state,
        )
        for field in fields(self.spec):
            value = getattr(self.spec, field.name)
            if field.name not in _FLAGS and value != field.default:
                raise ValueError(
                    f"a ConvLSTMCell has no {field.name}={value!r}: "
                    f"leave it at {field.default!r}"
                )

    def lift(self, x: Tensor) -> Tensor:
        """W * x + b for any number of steps at once.

        x: [..., D, height, width]; returns z: [..., rows, height, width].
        """
        dims = self.input_dims
        steps, picture = x.shape[:-dims], x.shape[1 - dims :]
        if self.input_size:
            # Time goes into the batch: one convolution for all steps.
            z = self._convolve(x.reshape(-1, *x.shape[-dims:]), self.W)
        else:  # torch has no convolution of nothing
            z = x.new_zeros(math.prod(steps), len(self.W), *picture)
        if self.b is not None:
            z = z + self._at_every_place(self.b)
        return z.reshape(*steps, *z.shape[1:])

    def step(self, z: Tensor, state: LSTMState, ctx=None):
        """z: [batch, rows, height, width]; returns (LSTMState, LSTMGates)."""
        h = state.h.detach() if self.spec.gradient == "truncated" else state.h
        pre = z + self._convolve(h, self.R)
        peep = None if self.p is None else self._at_every_place(self.p)
        c, h, gates = lstm_update(pre, state.c, self.spec, peep)
        if self.P is not None:
            # Autocast narrows products.
            h = self._convolve(h, self._at_every_place(self.P)).to(c.dtype)
        return LSTMState(h, c), gates

    def _convolve(self, x: Tensor, weight: Tensor) -> Tensor:
        padding = [k // 2 for k in weight.shape[2:]]  # as large after as before
        return _CONVOLUTION[len(padding)](x, weight, padding=padding)

    def _at_every_place(self, weight: Tensor) -> Tensor:
        return weight.reshape(*weight.shape, *(1 for _ in self.state_kernel))

    def library(self):
        return None, "torch has no kernel for a convolutional LSTM"

    def config(self) -> dict:
        return super().config() | {
            "input_kernel": self.input_kernel,
            "state_kernel": self.state_kernel,
            "dims": len(self.input_kernel),
        }


def _kernel(name: str, size, dims: int) -> tuple[int, ...]:
    sizes = (size,) * dims if isinstance(size, int) else tuple(size)
    if len(sizes) != dims:
        raise ValueError(
            f"{name}={size!r} has {len(sizes)} axes, the cell {dims} (dims={dims}): "
            f"give one number or {dims}"
        )
    if any(k < 1 or k % 2 == 0 for k in sizes):
        raise ValueError(
            f"{name}={size!r}: give odd sizes (1, 3, 5, ...), so that a place is in "
            "the middle of its kernel and the picture keeps its size"
        )
    return sizes
