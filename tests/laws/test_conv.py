"""The convolutional LSTM: the laws of every cell, and those of pictures."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from cases import assert_rows_as_alone, assert_same, loss_of, outcome, randomised
from torch import nn

import lstmbook as lb
from lstmbook.cells.lstm import LSTMSpec

D, H, B, T = 2, 3, 4, 5
PICTURE = (4, 5)
LENGTHS = torch.tensor([5, 2, 4, 1])
CELLS = {
    name: lambda name=name, **k: lb.ConvLSTMCell(D, H, name, **k)
    for name in ("lstm", "odyssey", "cifg", "nfg", "noaf", "lstm1997", "lstmp")
} | {
    "5 and 3": lambda **k: lb.ConvLSTMCell(
        D, H, "odyssey", input_kernel=5, state_kernel=3, **k
    ),
    "3 x 1": lambda **k: lb.ConvLSTMCell(D, H, input_kernel=(3, 1), **k),
    "1": lambda **k: lb.ConvLSTMCell(D, H, "odyssey", input_kernel=1, **k),
    "line": lambda **k: lb.ConvLSTMCell(D, H, "odyssey", dims=1, **k),
    "no bias": lambda **k: lb.ConvLSTMCell(D, H, bias=False, **k),
    "no input": lambda **k: lb.ConvLSTMCell(0, H, "odyssey", **k),
}


def make(name, seed=0, **options):
    return randomised(lambda: CELLS[name](**options), seed, bound=0.5)


def data(cell, batch=B, time=T, seed=0):
    g = torch.Generator().manual_seed(seed)
    picture = PICTURE[2 - len(cell.input_kernel) :]
    shape = (batch, time, cell.input_size, *picture)
    return torch.randn(shape, generator=g, dtype=torch.double).requires_grad_()


# -- against something independent --------------------------------------------


def sigma(a):
    return 1 / (1 + np.exp(-a))


def by_hand(cell, x):
    """y and c of a 2-D cell, place by place and channel by channel, in NumPy."""
    w = {n: p.detach().numpy() for n, p in cell.named_parameters()}
    x = x.detach().numpy()
    (batch, time, _, height, width), size = x.shape, cell.hidden_size

    def seen(picture, kernel, row, column):
        """What a kernel at (row, column) lies over; beyond the border are zeros."""
        up, left = kernel[0] // 2, kernel[1] // 2
        there = np.zeros((picture.shape[0], *kernel))
        for u in range(kernel[0]):
            for v in range(kernel[1]):
                r, c = row + u - up, column + v - left
                if 0 <= r < height and 0 <= c < width:
                    there[:, u, v] = picture[:, r, c]
        return there

    y = np.zeros((batch, time, size, height, width))
    last = np.zeros((batch, size, height, width))
    for n in range(batch):
        h = c = np.zeros((size, height, width))
        for t in range(time):
            h_new, c_new = np.zeros_like(h), np.zeros_like(c)
            for row in range(height):
                for column in range(width):
                    a = w["b"].copy()
                    for k in range(len(a)):
                        over = seen(x[n, t], cell.input_kernel, row, column)
                        a[k] += (w["W"][k] * over).sum()
                        over = seen(h, cell.state_kernel, row, column)
                        a[k] += (w["R"][k] * over).sum()
                    a_i, a_f, a_g, a_o = a.reshape(4, size)
                    old = c[:, row, column]
                    i = sigma(a_i + w["p"][0] * old)
                    f = sigma(a_f + w["p"][1] * old)
                    new = f * old + i * np.tanh(a_g)
                    o = sigma(a_o + w["p"][2] * new)
                    c_new[:, row, column] = new
                    h_new[:, row, column] = o * np.tanh(new)
            h, c = h_new, c_new
            y[n, t] = h
        last[n] = c
    return y, last


def test_the_same_numbers_as_loops_over_places():
    cell = make("5 and 3")
    x = data(cell, batch=2, time=3)
    y, state = lb.Recurrent(cell)(x)
    want, c = by_hand(cell, x)
    np.testing.assert_allclose(y.detach().numpy(), want, atol=1e-13)
    np.testing.assert_allclose(state.c.detach().numpy(), c, atol=1e-13)


def test_a_cell_with_two_gates_swapped_or_its_kernel_turned_is_another():
    for change in (lambda w: w.roll(H, 0), lambda w: w.flip(-1)):
        cell = make("5 and 3")
        x = data(cell, batch=1, time=3)
        want, _ = by_hand(cell, x)
        with torch.no_grad():
            cell.R.copy_(change(cell.R))
        y, _ = lb.Recurrent(cell)(x)
        assert (y - torch.as_tensor(want)).abs().max() > 1e-3


def as_one_vector_cell(cell, picture):
    """The same network as an LSTMCell whose matrices spell the convolutions out.

    Column by column: what does a single 1 in the input do to the pre-activations?
    """

    def matrix(weight, channels):
        eye = torch.eye(channels * math.prod(picture), dtype=torch.double)
        out = cell._convolve(eye.reshape(-1, channels, *picture), weight)
        return out.flatten(1).T

    places = math.prod(picture)
    vector = lb.LSTMCell(D * places, H * places, cell.spec).double()
    every = lambda w: w.repeat_interleave(places, dim=-1)  # noqa: E731
    return vector, {
        "W": matrix(cell.W, D),
        "R": matrix(cell.R, H),
        "b": every(cell.b),
        "p": every(cell.p),
    }


@pytest.mark.parametrize("name", ["odyssey", "5 and 3", "line"])
def test_a_big_fully_connected_cell_with_shared_weights_gradients_too(name):
    cell = make(name)
    x = data(cell)
    picture = x.shape[3:]
    vector, weights = as_one_vector_cell(cell, picture)
    y, state = lb.Recurrent(cell)(x)
    flat = torch.func.functional_call(
        lb.Recurrent(vector, "loop"),
        {f"cell.{n}": w for n, w in weights.items()},
        (x.flatten(2),),
    )
    want, want_state = flat
    torch.testing.assert_close(y.flatten(2), want)
    for a, b in zip(state, want_state, strict=True):
        torch.testing.assert_close(a.flatten(1), b)
    inputs = [x, *cell.parameters()]
    mine = torch.autograd.grad(loss_of(y.flatten(2), [s.flatten(1) for s in state]),
                               inputs)  # fmt: skip
    theirs = torch.autograd.grad(loss_of(want, want_state), inputs)
    for a, b in zip(mine, theirs, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("name", [n for n in CELLS if n != "lstm1997"])
def test_gradcheck(name):
    cell = make(name, learn_initial_state=True)
    x = data(cell, batch=2, time=2)
    layer = lb.Recurrent(cell)

    def run(x, *_):
        y, state = layer(x)
        return (y, *state)

    # Finite differences have no use for a tensor of no numbers.
    weights = [p for p in layer.parameters() if p.numel()]
    given = [x] if x.numel() else [x.detach()]
    assert torch.autograd.gradcheck(run, (*given, *weights), fast_mode=True)


# -- limits -------------------------------------------------------------------


# What has no meaning for pictures yet; the error says so.
VECTORS_ONLY = ("fgr", "lnlstm")


@pytest.mark.parametrize("name", [n for n in lb.PRESETS if n not in VECTORS_ONLY])
def test_kernels_of_one_are_an_lstm_at_every_place(name):
    torch.manual_seed(0)
    conv = lb.ConvLSTMCell(D, H, name, input_kernel=1).double()
    plain = lb.LSTMCell(D, H, name).double()
    plain.load_state_dict(
        {n: w.reshape(w.shape[:2]) for n, w in conv.state_dict().items()}
    )
    x = data(conv)
    y, state = lb.Recurrent(conv)(x)
    places = x.movedim(2, -1).permute(0, 2, 3, 1, 4).reshape(-1, T, D)
    want, want_state = lb.Recurrent(plain, "loop")(places)
    want = want.reshape(B, *PICTURE, T, -1).permute(0, 3, 4, 1, 2)
    torch.testing.assert_close(y, want, atol=1e-14, rtol=0)
    for a, b in zip(state, want_state, strict=True):
        b = b.reshape(B, *PICTURE, -1).permute(0, 3, 1, 2)
        torch.testing.assert_close(a, b, atol=1e-14, rtol=0)
    # The truncated gradient of 1997 is no derivative, and has to be the same, too.
    for mine, other in ((conv.W, plain.W), (conv.R, plain.R), (conv.b, plain.b)):
        (a,) = torch.autograd.grad(y.square().sum(), mine, retain_graph=True)
        (b,) = torch.autograd.grad(want.square().sum(), other, retain_graph=True)
        torch.testing.assert_close(a.reshape(b.shape), b)


def test_a_picture_of_one_pixel_is_an_lstm():
    conv = make("odyssey")
    plain = lb.LSTMCell(D, H, "odyssey").double()
    plain.load_state_dict({
        n: w[:, :, 1, 1] if w.dim() == 4 else w for n, w in conv.state_dict().items()
    })  # fmt: skip
    x = data(conv)[..., :1, :1]
    y, _ = lb.Recurrent(conv)(x)
    torch.testing.assert_close(y[..., 0, 0], lb.Recurrent(plain)(x[..., 0, 0])[0])


def test_a_line_is_a_picture_of_height_one():
    line = make("line")
    flat = lb.ConvLSTMCell(D, H, "odyssey", input_kernel=(1, 3)).double()
    flat.load_state_dict({
        n: w.unsqueeze(2) if w.dim() == 3 else w for n, w in line.state_dict().items()
    })  # fmt: skip
    x = data(line)
    y, _ = lb.Recurrent(line)(x)
    torch.testing.assert_close(y, lb.Recurrent(flat)(x.unsqueeze(3))[0].squeeze(3))


@pytest.mark.parametrize(("state_kernel", "reach"), [(1, 1), (3, 1 + T - 1)])
def test_news_travel_half_a_kernel_a_step(state_kernel, reach):
    cell = lb.ConvLSTMCell(1, H, input_kernel=3, state_kernel=state_kernel, dims=1)
    x = torch.zeros(1, T, 1, 21)
    bright = x.clone()
    bright[0, 0, 0, 10] = 1
    with torch.no_grad():
        changed = lb.Recurrent(cell)(x)[0] != lb.Recurrent(cell)(bright)[0]
    there = changed[0, -1].any(0).nonzero().flatten()
    assert there.tolist() == list(range(10 - reach, 10 + reach + 1))


# -- the laws of every cell ----------------------------------------------------


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("cut", [1, 3])
def test_two_chunks_equal_one(name, cut):
    cell = make(name)
    layer, x = lb.Recurrent(cell), data(cell)
    y, state = layer(x)
    y1, s = layer(x[:, :cut])
    y2, s = layer(x[:, cut:], s)
    torch.testing.assert_close(torch.cat([y1, y2], 1), y)
    for a, b in zip(s, state, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("name", CELLS)
def test_a_row_alone_equals_the_row_in_a_batch(name):
    cell = make(name)
    assert_rows_as_alone(lb.Recurrent(cell), data(cell), LENGTHS)


@pytest.mark.parametrize("filling", [1e6, float("nan"), float("inf")])
@pytest.mark.parametrize("name", [n for n in CELLS if n != "no input"])
def test_padding_changes_nothing(name, filling):
    cell = make(name)
    layer, x = lb.Recurrent(cell), data(cell)
    past = torch.arange(T) >= LENGTHS[:, None]
    pad = past.reshape(B, T, *(1 for _ in x.shape[2:]))
    filled = x.detach().masked_fill(pad, filling).requires_grad_()
    a, b = outcome(layer, x, lengths=LENGTHS), outcome(layer, filled, lengths=LENGTHS)
    assert (b["y"][past] == 0).all() and (b["gradient x"][past] == 0).all()
    assert_same(a, b)


@pytest.mark.parametrize("name", CELLS)
def test_a_reset_equals_two_sequences(name):
    cell = make(name, learn_initial_state=True)
    layer, x = lb.Recurrent(cell), data(cell)
    reset = torch.zeros(B, T, dtype=torch.bool)
    reset[1:, 2] = True
    y, state = layer(x, reset=reset)
    y1, _ = layer(x[:, :2])
    y2, s2 = layer(x[:, 2:])
    torch.testing.assert_close(y[1:], torch.cat([y1, y2], 1)[1:])
    torch.testing.assert_close(y[:1], layer(x[:1])[0])
    torch.testing.assert_close(state.c[1:], s2.c[1:])


def test_a_reset_clears_even_an_infinite_state():
    cell = make("odyssey")
    layer, x = lb.Recurrent(cell), data(cell)
    bad = cell.State(*(torch.full_like(s, float("inf"))
                       for s in cell.initial_state(B, x)))  # fmt: skip
    reset = torch.zeros(B, T, dtype=torch.bool)
    reset[:, 0] = True
    torch.testing.assert_close(layer(x, bad, reset=reset)[0], layer(x)[0])


@pytest.mark.parametrize("name", CELLS)
def test_every_parameter_gets_a_gradient(name):
    cell = make(name, learn_initial_state=True)
    y, state = lb.Recurrent(cell)(data(cell))
    loss_of(y, state).backward()
    for n, p in cell.named_parameters():
        if p.numel() and p.requires_grad:
            assert p.grad is not None and (p.grad != 0).any(), n


def test_a_trace_has_every_step_of_every_place():
    cell = make("odyssey")
    x = data(cell)
    y, _, trace = lb.Recurrent(cell)(x, trace=True)
    torch.testing.assert_close(trace.state.h, y.detach())
    for gate in trace.gates:
        assert gate.shape == (B, T, H, *PICTURE)


def test_stacks_and_directions_take_pictures():
    def layer(size):
        return lb.Recurrent(lb.ConvLSTMCell(size, H))

    torch.manual_seed(0)
    stack = lb.Stack(lb.Bidirectional(layer(D), layer(D)), layer(2 * H), dropout=0.1)
    x = torch.randn(B, T, D, *PICTURE)
    y, _ = stack.eval()(x, lengths=LENGTHS)
    assert y.shape == (B, T, H, *PICTURE)
    y1, _ = stack(x[1:2, :2])
    torch.testing.assert_close(y[1:2, :2], y1)
    assert stack.explain(x).count("convolutional") == 3
    with pytest.raises(ValueError, match="height, width"):
        stack(x[..., 0])


def test_a_saved_cell_comes_back_whole(tmp_path):
    layer = lb.Recurrent(CELLS["5 and 3"]()).eval()
    back = lb.load(lb.save(layer, tmp_path / "conv.safetensors"))
    x = torch.randn(B, T, D, *PICTURE)
    assert torch.equal(layer(x)[0], back(x)[0])
    assert back.cell.config() == layer.cell.config()


def test_under_autocast_the_cell_state_stays_float32():
    layer = lb.Recurrent(lb.ConvLSTMCell(D, H, "odyssey"))
    x = torch.randn(B, T, D, *PICTURE)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y, state = layer(x)
    assert state.c.dtype == torch.float32
    assert (y - layer(x)[0]).norm() <= 0.03 * y.norm()


def test_as_many_weights_as_torchs_convolutions():
    cell = lb.ConvLSTMCell(D, H, input_kernel=5, state_kernel=3)
    W, R = nn.Conv2d(D, 4 * H, 5), nn.Conv2d(H, 4 * H, 3, bias=False)
    count = [sum(p.numel() for p in m.parameters()) for m in (cell, W, R)]
    assert count[0] == count[1] + count[2]


# -- what does not fit ---------------------------------------------------------

X = torch.zeros(B, T, D, *PICTURE)


@dataclass(frozen=True)
class Extended(LSTMSpec):
    """A switch of the vector cell that the cell of pictures has never heard of."""

    rounding: bool = False


def layer():
    return lb.Recurrent(lb.ConvLSTMCell(D, H))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: lb.ConvLSTMCell(D, H, input_kernel=4), "input_kernel=4.*odd"),
        (lambda: lb.ConvLSTMCell(D, H, state_kernel=0), "state_kernel=0.*odd"),
        (lambda: lb.ConvLSTMCell(D, H, state_kernel=(3, 3, 3)), "3 axes.*2"),
        (lambda: lb.ConvLSTMCell(D, H, dims=3), "dims=3.*pictures"),
        (lambda: lb.ConvLSTMCell(D, H, "fgr"), "no gate_recurrence=True.*False"),
        (lambda: lb.ConvLSTMCell(D, H, "lnlstm"), "no norm='ba2016'.*'none'"),
        (lambda: lb.ConvLSTMCell(D, H, "gru"), "'gru'.*odyssey"),
        (lambda: layer()(X[..., 0]), r"\(4, 5, 2, 4\).*channels=2, height, width"),
        (lambda: layer()(X[:, :, :1]), "1 channels.*built for 2"),
        (lambda: layer()(X[..., :0]), r"\(4, 5, 2, 4, 0\).*without pixels"),
        (
            lambda: layer()(X, (torch.zeros(B, H, 4, 4),) * 2),
            r"\(4, 3, 4, 4\).*\(4, 3, 4, 5\)",
        ),
        (lambda: layer()(X, (torch.zeros(B, H),) * 2), r"\(4, 3\).*\(4, 3, 4, 5\)"),
        (lambda: layer().cell.initial_state(B), "as large as the picture"),
        (lambda: lb.Recurrent(lb.ConvLSTMCell(D, H), "fused")(X), "fused.*ConvLSTM"),
        (lambda: lb.Recurrent(lb.ConvLSTMCell(D, H), "library")(X), "convolutional"),
        (lambda: lb.ConvLSTMCell(D, H, Extended(rounding=True)), "rounding=True"),
    ],
)
def test_a_bad_argument_raises_and_says_why(call, words):
    with pytest.raises(ValueError, match=f"(?s){words}"):
        call()
