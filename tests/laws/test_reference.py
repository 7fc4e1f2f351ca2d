"""The NumPy oracle against finite differences, torch, and itself."""

import ast
import sys

import numpy as np
import pytest
import torch

from lstmbook import reference as ref

B, T, D, H = 3, 5, 2, 3

# Written out here, and not taken from the package, so that the oracle is
# tested against the papers and not against what it is the oracle of.
SPECS = {
    "lstm": {},
    "odyssey": {"peepholes": True},
    "nig": {"peepholes": True, "input_gate": False},
    "nfg": {"peepholes": True, "forget_gate": "one"},
    "nog": {"peepholes": True, "output_gate": False},
    "niaf": {"peepholes": True, "input_activation": "identity"},
    "noaf": {"peepholes": True, "output_activation": "identity"},
    "cifg": {"peepholes": True, "forget_gate": "coupled"},
    "lstm1997": {
        "forget_gate": "one",
        "input_activation": "4sigmoid-2",
        "output_activation": "2sigmoid-1",
    },
    "lstmp": {"projection": 2},
    "odyssey-projected": {"peepholes": True, "projection": 2},
    "cifg-projected": {"peepholes": True, "forget_gate": "coupled", "projection": 4},
    "relu": {"input_activation": "relu", "output_activation": "relu"},
    "no-gates": {"input_gate": False, "forget_gate": "one", "output_gate": False},
    "no-gates-peepholes": {
        "input_gate": False,
        "forget_gate": "one",
        "output_gate": False,
        "peepholes": True,
    },
    "fgr": {"peepholes": True, "gate_recurrence": True},
    "fgr-cifg": {"forget_gate": "coupled", "gate_recurrence": True, "projection": 2},
    "fgr-nig": {"input_gate": False, "gate_recurrence": True, "norm": "gatewise"},
    "ba2016": {"norm": "ba2016"},
    "ba2016-odyssey": {"norm": "ba2016", "peepholes": True, "projection": 4},
    "carried": {"norm": "carried", "peepholes": True},
    "carried-nog": {"norm": "carried", "output_gate": False},
    "gatewise": {"norm": "gatewise"},
    "gatewise-fgr": {"norm": "gatewise", "peepholes": True, "gate_recurrence": True},
}
# A truncated gradient is not the slope of the loss: it has tests of its own.
TRUNCATED = {
    f"{name}-truncated": SPECS[name] | {"gradient": "truncated"}
    for name in ("lstm1997", "odyssey", "cifg-projected")
}
# Those whose state is (h, c) and whose one step has its Jacobian written out.
PLAIN = {
    k: v for k, v in (SPECS | TRUNCATED).items()
    if not ("norm" in v or "gate_recurrence" in v)
}  # fmt: skip


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def lstm_weights(rng, spec, features=D, hidden=H):
    """Random weights in the layout of the package for a dict of flags."""
    gates = {
        "i": spec.get("input_gate", True),
        "f": spec.get("forget_gate", "learned") == "learned",
        "o": spec.get("output_gate", True),
    }
    n, proj = sum(gates.values()), spec.get("projection")
    rows = (n + 1) * hidden
    weights = {
        "W": rng.normal(size=(rows, features)),
        "R": rng.normal(size=(rows, proj or hidden)),
        "b": rng.normal(size=rows),
    }
    if spec.get("peepholes"):
        weights["p"] = rng.normal(size=(n, hidden))
    if proj:
        weights["P"] = rng.normal(size=(proj, hidden))
    if spec.get("gate_recurrence"):
        weights["G"] = rng.normal(size=(n * hidden, n * hidden))
    norm = spec.get("norm", "none")
    for name in {"none": (), "gatewise": ("a",)}.get(norm, ("W", "R")):
        weights[f"gain_{name}"] = rng.normal(size=rows)
    if norm != "none":
        weights |= {"gain_c": rng.normal(size=hidden), "b_c": rng.normal(size=hidden)}
    return weights


def lstm_case(rng, spec):
    out = spec.get("projection") or H
    gates = (H,) * 3 if spec.get("gate_recurrence") else ()
    state = tuple(rng.normal(size=(B, n)) for n in (out, H, *gates))
    x, dy = rng.normal(size=(B, T, D)), rng.normal(size=(B, T, out))
    ends = [rng.normal(size=s.shape) for s in state]
    # As lstm_backward takes them: h, c, and the gates in one.
    ends = (*ends[:2], tuple(ends[2:])) if gates else tuple(ends)
    return x, state, lstm_weights(rng, spec), dy, ends


def weighted(dy, y, ends, state):
    """The loss whose upstream gradients are dy and ends."""
    ends = (*ends[:2], *(ends[2] if len(ends) > 2 else ()))
    return (dy * y).sum() + sum((d * s).sum() for d, s in zip(ends, state, strict=True))


def gru_weights(rng, reset, features=D, hidden=H):
    weights = {
        "W": rng.normal(size=(3 * hidden, features)),
        "R": rng.normal(size=(3 * hidden, hidden)),
        "b": rng.normal(size=3 * hidden),
    }
    if reset == "after":
        weights["b_n"] = rng.normal(size=hidden)
    return weights


def rnn_case(rng):
    shapes = {"x": (B, T, D), "h0": (B, H), "W": (H, D), "R": (H, H), "b": (H,)}
    return {k: rng.normal(size=shape) for k, shape in shapes.items()}


def slopes(loss, array, eps=1e-6):
    """The gradient of loss() in array by central differences, in place."""
    gradient = np.zeros_like(array)
    for at in np.ndindex(array.shape):
        kept = array[at]
        array[at] = kept + eps
        above = loss()
        array[at] = kept - eps
        gradient[at] = (above - loss()) / (2 * eps)
        array[at] = kept
    return gradient


def assert_slopes(loss, grads, arrays):
    for name, array in arrays.items():
        expected = slopes(loss, array)
        np.testing.assert_allclose(
            grads[name], expected, rtol=1e-6, atol=1e-7, err_msg=name
        )


def assert_close(ours, theirs, tol=1e-12):
    if isinstance(theirs, torch.Tensor):
        theirs = theirs.detach().numpy()
    np.testing.assert_allclose(ours, theirs, rtol=tol, atol=tol)


# -------------------------------------------------- against finite differences


@pytest.mark.parametrize("activation", ref.ACTIVATIONS)
def test_rnn_backward_is_the_slope_of_the_loss(rng, activation):
    args = rnn_case(rng)
    dy, dh_T = rng.normal(size=(B, T, H)), rng.normal(size=(B, H))

    def loss():
        h, _ = ref.rnn_forward(**args, activation=activation)
        return (dy * h).sum() + (dh_T * h[:, -1]).sum()

    _, cache = ref.rnn_forward(**args, activation=activation)
    assert_slopes(loss, ref.rnn_backward(dy, cache, dh_T), args)


@pytest.mark.parametrize("name", SPECS)
def test_lstm_backward_is_the_slope_of_the_loss(rng, name):
    spec = SPECS[name]
    x, state, weights, dy, ends = lstm_case(rng, spec)

    def loss():
        y, last, _ = ref.lstm_forward(x, state, weights, **spec)
        return weighted(dy, y, ends, last)

    _, _, cache = ref.lstm_forward(x, state, weights, **spec)
    grads = ref.lstm_backward(dy, cache, *ends)
    starts = {f"{k}0": s for k, s in zip("hcifo", state, strict=False)}
    assert_slopes(loss, grads, dict(x=x, **starts, **weights))


def fed_with_itself(spec, cache):
    """The same net without recurrence, given as input what it had seen of itself.

    Its W is [W | R | a peephole for each gate]; its full gradient is what the
    truncated one of the net with recurrence has to be.
    """
    w, rows, peeps = cache["weights"], cache["rows"], cache["peeps"]
    parts, W = [cache["x"], cache["h_prev"]], [w["W"], w["R"]]
    if "p" in w:
        for k, p in zip(peeps, w["p"], strict=True):
            parts.append(cache["c" if k == "o" else "c_prev"])
            block = np.zeros([len(rows), H, H])
            block[rows.index(k)] = np.diag(p)
            W.append(block.reshape(-1, H))
    weights = {"W": np.concatenate(W, axis=1), "R": np.zeros_like(w["R"])}
    weights |= {k: w[k] for k in w if k in "bP"}
    flags = {k: v for k, v in spec.items() if k not in ("gradient", "peepholes")}
    return np.concatenate(parts, axis=2), weights, flags


@pytest.mark.parametrize("name", TRUNCATED)
def test_the_truncated_gradient_is_that_of_a_net_fed_with_its_own_past(rng, name):
    spec = TRUNCATED[name]
    x, state, weights, dy, ends = lstm_case(rng, spec)
    y, last, cache = ref.lstm_forward(x, state, weights, **spec)
    cut = ref.lstm_backward(dy, cache, *ends)

    u, other, flags = fed_with_itself(spec, cache)
    y2, last2, cache2 = ref.lstm_forward(u, state, other, **flags)
    assert_close(y, y2)
    assert_close(np.hstack(last), np.hstack(last2))
    whole = ref.lstm_backward(dy, cache2, *ends)
    out = state[0].shape[1]
    W = whole["W"]
    expected = {"W": W[:, :D], "R": W[:, D : D + out]}
    expected |= {k: whole[k] for k in ("b", "c0", "P") if k in whole}
    expected["x"] = whole["x"][..., :D]
    if "p" in weights:
        rows, peeps = cache["rows"], cache["peeps"]
        blocks = np.split(W[:, D + out :], len(peeps), axis=1)
        expected["p"] = np.stack(
            [np.split(block, len(rows))[rows.index(k)].diagonal()
             for k, block in zip(peeps, blocks, strict=True)]
        )  # fmt: skip
    for key, value in expected.items():
        assert_close(cut[key], value)
    assert not cut["h0"].any()

    full = {k: v for k, v in spec.items() if k != "gradient"}
    y3, _, cache3 = ref.lstm_forward(x, state, weights, **full)
    assert_close(y3, y)
    assert np.abs(ref.lstm_backward(dy, cache3, *ends)["R"] - cut["R"]).max() > 1e-3


@pytest.mark.parametrize("given_state", [True, False])
@pytest.mark.parametrize(
    "name", ["lstm", "odyssey", "cifg-projected", "gatewise-fgr", "ba2016", "carried"]
)
def test_lstm_backward_with_resets_and_lengths(rng, name, given_state):
    spec = SPECS[name]
    x, state, weights, dy, ends = lstm_case(rng, spec)
    initial = [rng.normal(size=s.shape) for s in state]
    reset = np.zeros([B, T], dtype=bool)
    reset[0, 0] = reset[0, 3] = reset[1, 2] = reset[2, 4] = True
    lengths = [5, 4, 2]  # so that the last reset falls on padding

    def run():
        return ref.lstm_forward(
            x,
            state if given_state else None,
            weights,
            **spec,
            initial=initial,
            reset=reset,
            lengths=lengths,
        )

    def loss():
        y, last, _ = run()
        return weighted(dy, y, ends, last)

    grads = ref.lstm_backward(dy, run()[2], *ends)
    arrays = {"x": x} | weights
    arrays |= {f"{k}_init": s for k, s in zip("hcifo", initial, strict=False)}
    if given_state:
        arrays |= {f"{k}0": s for k, s in zip("hcifo", state, strict=False)}
    assert_slopes(loss, grads, arrays)


@pytest.mark.parametrize("reset", ["after", "before"])
def test_gru_backward_is_the_slope_of_the_loss(rng, reset):
    x, h0, weights = (
        rng.normal(size=(B, T, D)),
        rng.normal(size=(B, H)),
        gru_weights(rng, reset),
    )
    dy, dh_T = rng.normal(size=(B, T, H)), rng.normal(size=(B, H))

    def loss():
        h, _ = ref.gru_forward(x, h0, weights, reset)
        return (dy * h).sum() + (dh_T * h[:, -1]).sum()

    grads = ref.gru_backward(dy, ref.gru_forward(x, h0, weights, reset)[1], dh_T)
    assert_slopes(loss, grads, dict(x=x, h0=h0, **weights))


def test_the_gradient_at_a_middle_step_is_that_of_a_run_begun_there(rng):
    spec = SPECS["odyssey-projected"]
    x, state, weights, dy, ends = lstm_case(rng, spec)
    _, _, cache = ref.lstm_forward(x, state, weights, **spec)
    whole = ref.lstm_backward(dy, cache, *ends)
    middle = cache["h"][:, 1], cache["c"][:, 1]
    _, _, later = ref.lstm_forward(x[:, 2:], middle, weights, **spec)
    part = ref.lstm_backward(dy[:, 2:], later, *ends)
    assert_close(whole["h"][:, 1], part["h0"] + dy[:, 1])
    # c_1 also reaches the loss through h_1.
    assert_close(whole["delta"][:, 2:], part["delta"])
    dm = whole["h"][:, 1] @ weights["P"]
    o, s = cache["o"][:, 1], np.tanh(cache["c"][:, 1])
    here = dm * o * (1 - s**2) + dm * s * o * (1 - o) * weights["p"][2]
    assert_close(whole["c"][:, 1], part["c0"] + here)


# --------------------------------------------------------------- against torch


def torch_layer(kind, weights, **options):
    """A torch.nn layer in float64 that holds our weights."""
    layer = kind(D, H, batch_first=True, dtype=torch.float64, **options)
    with torch.no_grad():
        layer.bias_hh_l0.zero_()
        names = {"W": "weight_ih_l0", "R": "weight_hh_l0", "b": "bias_ih_l0"}
        for ours, theirs in (names | {"P": "weight_hr_l0"}).items():
            if ours in weights:
                getattr(layer, theirs).copy_(torch.from_numpy(weights[ours]))
        if "b_n" in weights:
            layer.bias_hh_l0[-H:] = torch.from_numpy(weights["b_n"])
    return layer


def leaves(*arrays):
    return [torch.from_numpy(a.copy()).requires_grad_() for a in arrays]


@pytest.mark.parametrize("name", ["lstm", "lstmp"])
def test_the_lstm_is_that_of_torch(rng, name):
    spec = SPECS[name]
    x, state, weights, dy, (dh_T, dc_T) = lstm_case(rng, spec)
    layer = torch_layer(torch.nn.LSTM, weights, proj_size=spec.get("projection", 0))
    x_, h_, c_ = leaves(x, *state)
    y_, (hT_, cT_) = layer(x_, (h_[None], c_[None]))
    y, (hT, cT), cache = ref.lstm_forward(x, state, weights, **spec)
    for ours, theirs in ((y, y_), (hT, hT_[0]), (cT, cT_[0])):
        assert_close(ours, theirs)

    upstream = (torch.from_numpy(a) for a in (dy, dh_T[None], dc_T[None]))
    torch.autograd.backward((y_, hT_, cT_), tuple(upstream))
    grads = ref.lstm_backward(dy, cache, dh_T, dc_T)
    theirs = {
        "x": x_,
        "h0": h_,
        "c0": c_,
        "W": layer.weight_ih_l0,
        "R": layer.weight_hh_l0,
    }
    theirs |= {"b": layer.bias_ih_l0}
    if "P" in weights:
        theirs["P"] = layer.weight_hr_l0
    for name, tensor in theirs.items():
        assert_close(grads[name], tensor.grad)


def test_the_gru_that_resets_after_is_that_of_torch(rng):
    weights, x = gru_weights(rng, "after"), rng.normal(size=(B, T, D))
    h0, dy = rng.normal(size=(B, H)), rng.normal(size=(B, T, H))
    layer = torch_layer(torch.nn.GRU, weights)
    x_, h_ = leaves(x, h0)
    y_, _ = layer(x_, h_[None])
    y, cache = ref.gru_forward(x, h0, weights)
    assert_close(y, y_)
    y_.backward(torch.from_numpy(dy))
    grads = ref.gru_backward(dy, cache)
    theirs = {"x": x_, "h0": h_, "W": layer.weight_ih_l0, "R": layer.weight_hh_l0}
    theirs |= {"b": layer.bias_ih_l0}
    for name, tensor in theirs.items():
        assert_close(grads[name], tensor.grad)
    assert_close(grads["b_n"], layer.bias_hh_l0.grad[-H:])


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_the_rnn_is_that_of_torch(rng, activation):
    args = rnn_case(rng)
    dy = rng.normal(size=(B, T, H))
    layer = torch_layer(torch.nn.RNN, args, nonlinearity=activation)
    x_, h_ = leaves(args["x"], args["h0"])
    y_, _ = layer(x_, h_[None])
    y, cache = ref.rnn_forward(**args, activation=activation)
    assert_close(y, y_)
    y_.backward(torch.from_numpy(dy))
    grads = ref.rnn_backward(dy, cache)
    theirs = {"x": x_, "h0": h_, "W": layer.weight_ih_l0, "R": layer.weight_hh_l0}
    for name, tensor in (theirs | {"b": layer.bias_ih_l0}).items():
        assert_close(grads[name], tensor.grad)


@pytest.mark.parametrize("one, other", [("i", "f"), ("g", "o")])
def test_swapped_gates_are_noticed(rng, one, other):
    """The comparison with torch can fail: in outputs and in gradients."""
    x, state, weights, dy, _ = lstm_case(rng, {})
    rows = np.arange(4 * H).reshape(4, H)
    a, b = "ifgo".index(one), "ifgo".index(other)
    rows[[a, b]] = rows[[b, a]]
    swapped = {k: v[rows.ravel()] for k, v in weights.items()}
    layer = torch_layer(torch.nn.LSTM, weights)
    x_, h_, c_ = leaves(x, *state)
    y_, _ = layer(x_, (h_[None], c_[None]))
    y_.backward(torch.from_numpy(dy))
    y, _, cache = ref.lstm_forward(x, state, swapped)
    with pytest.raises(AssertionError):
        assert_close(y, y_)
    with pytest.raises(AssertionError):
        assert_close(ref.lstm_backward(dy, cache)["x"], x_.grad)


# --------------------------------------------------------------- RTRL and costs


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_rtrl_equals_bptt(rng, activation):
    args = rnn_case(rng) | {"x": rng.normal(size=(B, 20, D))}
    dy = rng.normal(size=(B, 20, H))
    _, cache = ref.rnn_forward(**args, activation=activation)
    bptt = ref.rnn_backward(dy, cache)
    online = ref.rtrl(**args, dLdh=dy, activation=activation)
    for name in ("W", "R", "b"):
        scale = np.abs(bptt[name]).max()
        np.testing.assert_allclose(online[name], bptt[name], atol=1e-10 * scale)


@pytest.mark.parametrize("name", PLAIN)
def test_rtrl_of_the_lstm_equals_bptt(rng, name):
    spec = PLAIN[name]
    x, state, weights, dy, _ = lstm_case(rng, spec)
    _, _, cache = ref.lstm_forward(x, state, weights, **spec)
    bptt = ref.lstm_backward(dy, cache)
    online = ref.rtrl_lstm(x, state, weights, dy, **spec)
    assert online.keys() == weights.keys()
    for key in weights:
        assert_close(online[key], bptt[key], tol=1e-10)


def test_costs_grow_as_the_paper_says():
    bptt, rtrl = ref.bptt_cost, ref.rtrl_cost
    for cost in (bptt, rtrl):
        assert cost(200, 8, 32)[0] == 2 * cost(100, 8, 32)[0]
    steps = [bptt(T, 8, 32).floats for T in (100, 200, 300)]
    assert steps[2] - steps[1] == steps[1] - steps[0] == 100 * (8 + 2 * 32)
    assert rtrl(200, 8, 32).floats == rtrl(100, 8, 32).floats
    big, small = rtrl(10, 8, 2048), rtrl(10, 8, 1024)
    assert np.log2(big.multiplications / small.multiplications) == pytest.approx(
        4, abs=0.02
    )
    assert np.log2(big.floats / small.floats) == pytest.approx(3, abs=0.02)


# ------------------------------------------------------------------- Jacobians


def test_the_rnn_jacobian_is_the_slope_of_the_step(rng):
    args = rnn_case(rng) | {"x": rng.normal(size=(B, 1, D))}
    h, _ = ref.rnn_forward(**args)
    J = ref.rnn_jacobian(h[:, 0], args["R"])
    assert J.shape == (B, H, H)
    for k in range(H):
        row = slopes(lambda k=k: ref.rnn_forward(**args)[0][..., k].sum(), args["h0"])
        np.testing.assert_allclose(J[:, k], row, atol=1e-8)


@pytest.mark.parametrize("name", PLAIN)
def test_the_lstm_jacobian_carries_the_gradient_back(rng, name):
    """Row vectors through the product of Jacobians are what backward finds."""
    spec = PLAIN[name]
    x, state, weights, dy, (dh_T, dc_T) = lstm_case(rng, spec)
    _, _, cache = ref.lstm_forward(x, state, weights, **spec)
    back = ref.lstm_backward(0 * dy, cache, dh_T, dc_T)
    v = np.concatenate([dh_T, dc_T], axis=1)
    for t in reversed(range(T)):
        v = np.einsum("bs,bsr->br", v, ref.lstm_jacobian(cache, t))
    assert_close(v, np.concatenate([back["h0"], back["c0"]], axis=1), tol=1e-10)


def test_without_recurrent_weights_the_cell_gradient_is_the_product_of_f(rng):
    x, state, weights, dy, (_, dc_T) = lstm_case(rng, {})
    weights["R"][:] = 0
    _, _, cache = ref.lstm_forward(x, state, weights)
    back = ref.lstm_backward(0 * dy, cache, dc_T=dc_T)
    assert_close(back["c0"], dc_T * cache["f"].prod(axis=1), tol=1e-15)


# ----------------------------------------------------- resets, lengths, chunks


@pytest.mark.parametrize("name", ["lstm", "odyssey", "lstmp"])
def test_a_reset_makes_two_sequences(rng, name):
    spec = SPECS[name]
    x, state, weights, dy, ends = lstm_case(rng, spec)
    initial = rng.normal(size=state[0].shape[1]), rng.normal(size=H)
    reset = np.zeros([B, T], dtype=bool)
    reset[:, 2] = True
    y, last, cache = ref.lstm_forward(
        x, state, weights, **spec, initial=initial, reset=reset
    )
    y1, _, first = ref.lstm_forward(x[:, :2], state, weights, **spec)
    y2, last2, second = ref.lstm_forward(
        x[:, 2:], None, weights, **spec, initial=initial
    )
    assert_close(y, np.concatenate([y1, y2], axis=1))
    assert_close(np.hstack(last), np.hstack(last2))

    grads = ref.lstm_backward(dy, cache, *ends)
    before = ref.lstm_backward(dy[:, :2], first)
    after = ref.lstm_backward(dy[:, 2:], second, *ends)
    for key in weights:
        assert_close(grads[key], before[key] + after[key])
    assert_close(grads["h0"], before["h0"])
    assert_close(grads["c_init"], after["c_init"])
    assert_close(after["c_init"], after["c0"])


@pytest.mark.parametrize("name", ["lstm", "cifg", "lstmp"])
def test_a_short_row_is_the_row_alone_whatever_pads_it(rng, name):
    spec = SPECS[name]
    x, state, weights, dy, ends = lstm_case(rng, spec)
    lengths = [3, 5, 1]
    for row, n in enumerate(lengths):
        x[row, n:] = np.nan
        dy[row, n:] = np.nan
    y, last, cache = ref.lstm_forward(x, state, weights, **spec, lengths=lengths)
    grads = ref.lstm_backward(dy, cache, *ends)
    sums = dict.fromkeys(weights, 0.0)
    for row, n in enumerate(lengths):
        here = slice(row, row + 1)
        own = [s[here] for s in state]
        y1, last1, alone = ref.lstm_forward(x[here, :n], own, weights, **spec)
        assert_close(y[here, :n], y1)
        assert not y[row, n:].any()
        assert_close(np.hstack([s[here] for s in last]), np.hstack(last1))
        back = ref.lstm_backward(dy[here, :n], alone, *(s[here] for s in ends))
        assert_close(grads["x"][here, :n], back["x"])
        assert not grads["x"][row, n:].any()
        assert_close(grads["c0"][here], back["c0"])
        sums = {k: sums[k] + back[k] for k in sums}
    for key in weights:
        assert_close(grads[key], sums[key])


# ---------------------------------------------------------- limits and arguments


def test_zero_peepholes_are_no_peepholes(rng):
    x, state, weights, _, _ = lstm_case(rng, {})
    y, _, _ = ref.lstm_forward(x, state, weights)
    zero = weights | {"p": np.zeros([3, H])}
    assert_close(ref.lstm_forward(x, state, zero, peepholes=True)[0], y)


@pytest.mark.parametrize("name, row", [("nig", 0), ("nfg", 1), ("nog", 3)])
def test_an_absent_gate_is_a_gate_with_a_huge_bias(rng, name, row):
    x, state, full, _, _ = lstm_case(rng, SPECS["odyssey"])
    full["b"][row * H : (row + 1) * H] = 1e6
    peep = min(row, 2)
    kept = np.delete(np.arange(4 * H), slice(row * H, (row + 1) * H))
    less = {k: full[k][kept] for k in "WRb"} | {"p": np.delete(full["p"], peep, 0)}
    y, _, _ = ref.lstm_forward(x, state, full, peepholes=True)
    assert_close(ref.lstm_forward(x, state, less, **SPECS[name])[0], y)


def test_coupled_gates_are_a_forget_gate_with_the_opposite_weights(rng):
    x, state, less, _, _ = lstm_case(rng, SPECS["cifg"])
    full = {k: np.concatenate([v[:H], -v[:H], v[H:]]) for k, v in less.items()}
    full["p"] = np.stack([less["p"][0], -less["p"][0], less["p"][1]])
    y, _, _ = ref.lstm_forward(x, state, full, peepholes=True)
    assert_close(ref.lstm_forward(x, state, less, **SPECS["cifg"])[0], y)


def test_gate_recurrence_with_zero_matrices_is_no_gate_recurrence(rng):
    x, state, weights, dy, _ = lstm_case(rng, SPECS["fgr"])
    y, _, _ = ref.lstm_forward(x, state, weights, **SPECS["fgr"])
    zero = weights | {"G": np.zeros([3 * H, 3 * H])}
    y0, last0, cache = ref.lstm_forward(x, state, zero, **SPECS["fgr"])
    without = {k: v for k, v in weights.items() if k != "G"}
    y1, last1, plain = ref.lstm_forward(x, state[:2], without, peepholes=True)
    assert_close(y0, y1, tol=1e-15)
    assert_close(np.hstack(last0[:2]), np.hstack(last1), tol=1e-15)
    assert np.abs(y - y1).max() > 1e-3
    back, other = ref.lstm_backward(dy, cache), ref.lstm_backward(dy, plain)
    for key in without:
        assert_close(back[key], other[key], tol=1e-13)
    for k in "ifo":  # what was seen is not i_t but i_{t-1}, zero before the first
        assert_close(cache[f"{k}_prev"][:, 1:], cache[k][:, :-1], tol=0)


def test_a_normalised_vector_has_mean_0_and_variance_1(rng):
    a = 3 + 5 * rng.normal(size=(4, 50))
    hat, scale = ref._standard(a)
    np.testing.assert_allclose(hat.mean(-1), 0, atol=1e-14)
    np.testing.assert_allclose((hat**2).mean(-1), 1, atol=1e-5)
    np.testing.assert_allclose(scale[:, 0], 1 / a.std(-1), rtol=1e-5)


def test_the_logistic_function_is_stable():
    a = np.array([-1e4, -700.0, -40.0, 0.0, 40.0, 1e4])
    with np.errstate(over="raise", invalid="raise"):
        y = ref.logistic(a)
    assert np.isfinite(y).all()
    assert y[3] == 0.5
    assert y[2] == pytest.approx(np.exp(-40.0), rel=1e-14)


def test_arguments_that_do_not_fit_raise_with_their_shapes(rng):
    x, (h0, c0), weights, dy, _ = lstm_case(rng, {})

    def fails(words, x=x, state=(h0, c0), change=(), **options):
        with pytest.raises(ValueError, match=words):
            ref.lstm_forward(x, state, weights | dict(change), **options)

    fails(r"x has shape \[3, 5, 1\], expected \[B, T, D=2\]", x=x[..., :1])
    fails(r"h0 has shape \[2, 3\], expected \[B=3, out=3\]", state=(h0[:2], c0))
    fails(r"R has shape \[12, 2\]", change={"R": weights["R"][:, :2]})
    fails(r"W has 11 rows", change={"W": weights["W"][:-1]})
    fails("weights have no b", change={"b": None})
    fails("weights lack p", peepholes=True)
    fails("weights have P", change={"P": np.eye(H)})
    fails("lengths", lengths=[0, 5, 5])
    fails("lengths", lengths=[5, 6, 5])
    fails(r"reset has shape \[3, 4\]", reset=np.zeros([B, 4]))
    fails("activation 'softmax'", input_activation="softmax")
    fails("forget_gate is 'none'", forget_gate="none")
    fails("norm is 'batch'", norm="batch")
    fails("gradient is 'none'", gradient="none")
    fails("lack G", gate_recurrence=True)
    fails("lack gain_W", norm="ba2016")
    fails("state has 3 parts", state=(h0, c0, c0))
    fails("needs a gate", input_gate=False, forget_gate="one", output_gate=False,
          gate_recurrence=True)  # fmt: skip
    fails("coupled", forget_gate="coupled", input_gate=False)
    normed = lstm_weights(rng, SPECS["ba2016"])
    _, _, cache = ref.lstm_forward(x, (h0, c0), normed, norm="ba2016")
    with pytest.raises(ValueError, match="without gate recurrence and norm"):
        ref.lstm_jacobian(cache, 0)
    _, _, cache = ref.lstm_forward(x, (h0, c0), weights)
    with pytest.raises(ValueError, match=r"dy has shape \[3, 4, 3\]"):
        ref.lstm_backward(dy[:, :4], cache)
    with pytest.raises(ValueError, match="b_n"):
        ref.gru_forward(x, h0, gru_weights(rng, "before"), "after")
    with pytest.raises(ValueError, match=r"R has shape \[3, 2\]"):
        ref.rnn_forward(**(rnn_case(rng) | {"R": np.zeros([3, 2])}))


def test_the_oracle_imports_nothing_but_numpy_and_the_standard_library():
    with open(ref.__file__) as file:
        nodes = list(ast.walk(ast.parse(file.read())))
    found = {a.name for n in nodes if isinstance(n, ast.Import) for a in n.names}
    found |= {n.module for n in nodes if isinstance(n, ast.ImportFrom)}
    assert found - set(sys.stdlib_module_names) == {"numpy"}
