"""Attention cells: a NumPy oracle from the papers' equations, and their memory."""

import numpy as np
import pytest
import torch
from cases import ATTENTION, B, D, H, M, S, T, data, loss_of, make, randomised
from test_arguments import says

import lstmbook as lb

SIZES = torch.tensor([5, 1, 3, 4])
CELLS = {
    "additive": lambda **k: lb.AdditiveAttention(lb.LSTMCell(D + M, H, **k), M, 4),
    "additive gru": lambda **k: lb.AdditiveAttention(lb.GRUCell(D + M, H, **k), M),
    "uniform": lambda **k: lb.UniformAttention(lb.LSTMCell(D + M, H, **k), M),
    "general": lambda **k: lb.MultiplicativeAttention(lb.LSTMCell(D + H, H, **k), M),
    "scaled": lambda **k: lb.MultiplicativeAttention(
        lb.LSTMCell(D + H, H, "odyssey", **k), M, scaled=True
    ),
    "dot": lambda **k: lb.MultiplicativeAttention(lb.LSTMCell(D + M, M, **k), M, "dot"),
    "rnn": lambda **k: lb.MultiplicativeAttention(lb.RNNCell(D + H, H, **k), M),
}


def layer_of(name, seed=0):
    return lb.Recurrent(randomised(CELLS[name], seed))


def memory_of(seed=3, steps=S):
    g = torch.Generator().manual_seed(seed)
    memory = torch.randn(B, steps, M, generator=g, dtype=torch.double)
    return memory.requires_grad_()


# -- the oracle: one row, one step, one memory place at a time ----------------


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def lstm(w, x, h, c):
    i, f, g, o = np.split(w["W"] @ x + w["R"] @ h + w["b"], 4)
    p = w.get("p", np.zeros((3, len(c))))
    i, f = sigmoid(i + p[0] * c), sigmoid(f + p[1] * c)
    c = f * c + i * np.tanh(g)
    return sigmoid(o + p[2] * c) * np.tanh(c), c


def gru(w, x, h):
    a, m = w["W"] @ x + w["b"], w["R"] @ h
    (a_r, a_z, a_n), (m_r, m_z, m_n) = np.split(a, 3), np.split(m, 3)
    z = sigmoid(a_z + m_z)
    n = np.tanh(a_n + sigmoid(a_r + m_r) * (m_n + w["b_n"]))
    return ((1 - z) * n + z * h,)


def rnn(w, x, h):
    return (np.tanh(w["W"] @ x + w["R"] @ h + w["b"]),)


def oracle(layer, x, memory):
    """Outputs [time, out] and weights [time, memory time] of one row."""
    cell = layer.cell
    kind = {lb.LSTMCell: lstm, lb.GRUCell: gru, lb.RNNCell: rnn}[type(cell.cell)]
    w = {n: p.detach().numpy() for n, p in cell.named_parameters()}
    inner = {n.removeprefix("cell."): p for n, p in w.items() if "cell." in n}
    width = cell.cell.hidden_size
    state = (np.zeros(width),) * (2 if kind is lstm else 1)
    fed, ys, weights = np.zeros(width), [], []

    def read(query):
        scores = []
        for m in memory:
            if isinstance(cell, lb.AdditiveAttention):
                e = w["v"] @ np.tanh(w["W_a"] @ query + w["U_a"] @ m)
            elif isinstance(cell, lb.UniformAttention):
                e = 1.0
            else:
                e = query @ (w["W_a"] @ m if "W_a" in w else m)
                e = e / np.sqrt(width) if cell.scaled else e
            scores.append(np.exp(e))
        a = np.array(scores) / sum(scores)
        weights.append(a)
        return sum(a_j * m for a_j, m in zip(a, memory, strict=True))

    for x_t in x:
        if isinstance(cell, lb.MultiplicativeAttention):
            state = kind(inner, np.concatenate([x_t, fed]), *state)
            fed = np.tanh(w["W_c"] @ np.concatenate([read(state[0]), state[0]]))
            ys.append(fed)
        else:
            r = read(state[0])
            state = kind(inner, np.concatenate([x_t, r]), *state)
            ys.append(np.concatenate([state[0], r]))
    return np.array(ys), np.array(weights)


@pytest.mark.parametrize("name", CELLS)
def test_the_same_numbers_as_the_oracle_at_every_memory_length(name):
    layer, x, memory = layer_of(name), data(), memory_of()
    y, _, trace = layer(x, memory=memory, memory_lengths=SIZES, trace=True)
    for row, n in enumerate(SIZES.tolist()):
        want, weights = oracle(
            layer, x[row].detach().numpy(), memory[row, :n].detach().numpy()
        )
        torch.testing.assert_close(y[row].detach(), torch.as_tensor(want))
        got = trace.gates.attention[row]
        torch.testing.assert_close(got[:, :n], torch.as_tensor(weights))
        assert (got[:, n:] == 0).all()


def test_the_oracle_tells_looking_before_from_looking_after():
    layer, x, memory = layer_of("additive"), data(), memory_of()
    y, _ = layer(x, memory=memory)
    cell = layer.cell
    _, r = cell.attend(y[:, 0, :H], cell.begin(B, memory))
    assert (y[:, 0, H:] - r).abs().max() > 1e-3


@pytest.mark.parametrize("name", CELLS)
def test_gradcheck_of_input_memory_and_weights(name):
    layer = layer_of(name)
    x, memory = data(time=3), memory_of(steps=3)
    sizes = torch.tensor([3, 1, 2, 3])

    def run(x, memory, *_):
        y, state = layer(x, memory=memory, memory_lengths=sizes)
        return (y, *state)

    assert torch.autograd.gradcheck(run, (x, memory, *layer.parameters()))


# -- the memory ---------------------------------------------------------------


@pytest.mark.parametrize("filling", [0.0, 1e6, float("nan"), float("inf")])
@pytest.mark.parametrize("name", CELLS)
def test_the_padding_of_a_memory_changes_nothing(name, filling):
    layer, x = layer_of(name), data()

    def outcome(memory, **k):
        memory = memory.detach().requires_grad_()
        y, state = layer(x, memory=memory, memory_lengths=SIZES)
        grads = torch.autograd.grad(loss_of(y, state), [x, memory, *layer.parameters()])
        return y, *state, grads[0], grads[1][:, :S], *grads[2:]

    clean = memory_of()
    more = torch.cat([clean, clean[:, :2]], 1)
    pad = torch.arange(S + 2) >= SIZES[:, None]
    more = more.masked_fill(pad.unsqueeze(2), filling)
    for a, b in zip(outcome(clean), outcome(more), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("name", CELLS)
def test_a_row_alone_with_its_memory_equals_the_row_in_a_batch(name):
    layer, x, memory = layer_of(name), data(), memory_of()
    y, state = layer(x, memory=memory, memory_lengths=SIZES)
    for row, n in enumerate(SIZES.tolist()):
        one = slice(row, row + 1)
        y1, s1 = layer(x[one], memory=memory[one, :n])
        torch.testing.assert_close(y[one], y1)
        for a, b in zip(state, s1, strict=True):
            torch.testing.assert_close(a[one], b)


@pytest.mark.parametrize("name", CELLS)
def test_chunks_with_a_prepared_memory_equal_one_run(name):
    layer, x, memory = layer_of(name), data(), memory_of()
    y, state = layer(x, memory=memory, memory_lengths=SIZES)
    ctx = layer.cell.begin(B, memory, SIZES)
    parts, s = [], None
    for x_t in x.split(1, dim=1):
        y_t, s = layer(x_t, s, memory=ctx)
        parts.append(y_t)
    torch.testing.assert_close(torch.cat(parts, 1), y)
    for a, b in zip(s, state, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("name", [n for n in CELLS if n != "uniform"])
def test_the_order_of_a_memory_does_not_matter(name):
    # A set and not a sequence: what knows about places is the encoder.
    layer, x, memory = layer_of(name), data(), memory_of()
    order = torch.tensor([3, 0, 4, 1, 2])
    a, _, t = layer(x, memory=memory, trace=True)
    b, _, u = layer(x, memory=memory[:, order], trace=True)
    torch.testing.assert_close(a, b)
    torch.testing.assert_close(t.gates.attention[:, :, order], u.gates.attention)


@pytest.mark.parametrize("name", CELLS)
def test_weights_sum_to_one_and_are_detached(name):
    layer = layer_of(name)
    trace = layer(data(), memory=memory_of(), memory_lengths=SIZES, trace=True)[2]
    a = trace.gates.attention
    assert a.shape == (B, T, S) and not a.requires_grad
    torch.testing.assert_close(a.sum(2), torch.ones(B, T, dtype=torch.double))
    fields = layer.cell.cell.State._fields
    assert trace.state._fields == ("h", "s", "c")[: 1 + len(fields)]


def test_a_memory_of_one_step_is_a_fixed_vector():
    layer, x, memory = layer_of("uniform"), data(), memory_of()
    one = memory[:, :1]
    y, _ = layer(x, memory=one)
    cell = layer.cell.cell
    z, _ = lb.Recurrent(cell)(torch.cat([x, one.expand(-1, T, -1)], 2))
    torch.testing.assert_close(y, torch.cat([z, one.expand(-1, T, -1)], 2))
    long = layer(x, memory=memory, memory_lengths=torch.ones(B, dtype=torch.int64))
    torch.testing.assert_close(long[0], y)


def test_scores_without_end_give_no_nan():
    layer, x = layer_of("general"), data()
    memory = (memory_of() * 1e6).detach().requires_grad_()
    y, state = layer(x, memory=memory, memory_lengths=SIZES)
    grads = torch.autograd.grad(loss_of(y, state), [x, memory, *layer.parameters()])
    assert all(torch.isfinite(g).all() for g in (y, *state, *grads))


@pytest.mark.parametrize("name", ["additive", "general"])
def test_a_memory_row_without_a_real_step_reads_zeros(name):
    # Lengths on a GPU are not looked at; meta tensors are no way to test it, so
    # the context is made by hand.
    layer, x, memory = layer_of(name), data(), memory_of().detach()
    ctx = layer.cell.begin(B, memory)
    pad = ctx.pad.clone()
    pad[1] = True
    blank = ctx.memory.clone()
    blank[1] = 0
    y, _ = layer(x, memory=ctx._replace(memory=blank, pad=pad))
    assert torch.isfinite(y).all()


def test_a_cell_with_a_lift_of_its_own_gives_the_same_numbers():
    class Own(lb.LSTMCell):
        def lift(self, x):
            return super().lift(x)

    torch.manual_seed(0)
    plain = lb.LSTMCell(D + M, H).double()
    own = Own(D + M, H).double()
    own.load_state_dict(plain.state_dict())
    a = lb.AdditiveAttention(plain, M, 4).double()
    b = lb.AdditiveAttention(own, M, 4).double()
    b.load_state_dict(a.state_dict())
    x, memory = data(), memory_of()
    torch.testing.assert_close(
        lb.Recurrent(a)(x, memory=memory)[0], lb.Recurrent(b)(x, memory=memory)[0]
    )


@pytest.mark.parametrize("name", ["additive", "additive gru", "general", "scaled"])
def test_the_start_is_the_wrapped_cells(name):
    cell = make(name, learn_initial_state=True)
    state = cell.initial_state(B)
    assert (state.h == 0).all() and state.h.shape == (B, cell.output_size)
    for a, b in zip(state[1:], cell.cell.initial_state(B), strict=True):
        torch.testing.assert_close(a, b)


def test_every_law_has_an_attention_cell():
    assert {"additive", "additive gru", "general", "scaled"} == set(ATTENTION)


@pytest.mark.parametrize("name", ["additive", "general"])
def test_under_autocast_the_state_stays_float32(name):
    layer = lb.Recurrent(CELLS[name]())
    x, memory = torch.randn(B, T, D), torch.randn(B, S, M)
    want, _ = layer(x, memory=memory)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y, state = layer(x, memory=memory)
    assert y.dtype == state.s.dtype == state.c.dtype == torch.float32
    assert (y - want).norm() < 0.03 * want.norm()


@pytest.mark.parametrize("name", CELLS)
def test_saved_and_loaded_it_is_the_same(name, tmp_path):
    layer, x, memory = layer_of(name), data(), memory_of()
    again = lb.load(lb.save(layer, tmp_path / "model.safetensors"))
    torch.testing.assert_close(again(x, memory=memory), layer(x, memory=memory))


# -- arguments ----------------------------------------------------------------

X, MEMORY = torch.zeros(2, 5, 4), torch.zeros(2, 6, 3)


def additive():
    return lb.Recurrent(lb.AdditiveAttention(lb.LSTMCell(7, 8), 3))


def with_prepared(rows):
    layer = additive()
    ctx = layer.cell.begin(2, MEMORY)
    return layer(X[:rows], memory=ctx)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: additive()(X), ("AdditiveAttention", "memory=", "3")),
        (lambda: additive()(X, memory=MEMORY[:1]), ("(1, 6, 3)", "batch=2")),
        (lambda: additive()(X, memory=MEMORY[..., :2]), ("(2, 6, 2)", "size=3")),
        (lambda: additive()(X, memory=MEMORY[0]), ("(6, 3)", "memory time")),
        (lambda: additive()(X, memory=MEMORY[:, :0]), ("(2, 0, 3)", "empty")),
        (
            lambda: additive()(X, memory=MEMORY, memory_lengths=torch.tensor([0, 6])),
            ("memory_lengths", "0 to 6", "(2, 6, 3)"),
        ),
        (
            lambda: additive()(X, memory=MEMORY, memory_lengths=torch.tensor([6])),
            ("memory_lengths", "(1,)", "[2]"),
        ),
        (lambda: with_prepared(1), ("2 rows", "1")),
        (
            lambda: lb.Recurrent(lb.LSTMCell(4, 6))(X, memory=MEMORY),
            ("LSTMCell", "no memory", "AdditiveAttention"),
        ),
        (
            lambda: lb.Recurrent(lb.GRUCell(4, 6))(
                X, memory_lengths=torch.tensor([6, 6])
            ),
            ("GRUCell", "no memory"),
        ),
        (lambda: lb.AdditiveAttention(lb.LSTMCell(2, 8), 3), ("=2", "plus 3")),
        (lambda: lb.AdditiveAttention(lb.LSTMCell(4, 8), 0), ("memory_size=0",)),
        (lambda: lb.AdditiveAttention(lb.LSTMCell(4, 8), 3, 0), ("size=0",)),
        (
            lambda: lb.MultiplicativeAttention(lb.LSTMCell(9, 8), 3, "concat"),
            ("'concat'", "general", "AdditiveAttention"),
        ),
        (
            lambda: lb.MultiplicativeAttention(lb.LSTMCell(9, 8), 3, "dot"),
            ("memory_size=3", "(8)", "general"),
        ),
        (
            lambda: lb.AdditiveAttention(lb.AdditiveAttention(lb.LSTMCell(9, 8), 3), 3),
            ("AdditiveAttention", "('h', 's', 'c')"),
        ),
    ],
)
def test_a_bad_argument_raises_and_says_why(call, words):
    with pytest.raises(ValueError, match=says(*words)):
        call()
