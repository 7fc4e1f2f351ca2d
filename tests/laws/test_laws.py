"""The laws that every cell keeps, in every preset and on every backend."""

import copy
from dataclasses import asdict

import pytest
import torch
from cases import (
    ATTENTION,
    CELLS,
    B,
    D,
    H,
    T,
    assert_rows_as_alone,
    assert_same,
    data,
    learned,
    loss_of,
    make,
    outcome,
    pairs,
    randomised,
    truncated,
)
from torch import nn

import lstmbook as lb
from lstmbook import reference

LENGTHS = torch.tensor([7, 3, 5, 1])


def layer_of(cell, backend):
    return lb.Recurrent(cell, backend)


# -- against torch ------------------------------------------------------------

TORCH = {
    "lstm": lambda: nn.LSTM(D, H, batch_first=True),
    "projection": lambda: nn.LSTM(D, H, batch_first=True, proj_size=4),
    "gru after": lambda: nn.GRU(D, H, batch_first=True),
    "rnn tanh": lambda: nn.RNN(D, H, batch_first=True),
    "rnn relu": lambda: nn.RNN(D, H, batch_first=True, nonlinearity="relu"),
}


@pytest.mark.parametrize("backend", ["loop", "library", "fused"])
@pytest.mark.parametrize("name", TORCH)
def test_the_same_numbers_as_torch_forward_and_every_gradient(name, backend):
    if (name, backend) not in pairs():
        pytest.skip(f"{backend} does not run {name}")
    torch.manual_seed(0)
    module = TORCH[name]().double()
    layer = lb.interop.from_torch(module)
    layer.backend = backend
    x = data()
    state = [torch.randn(B, n, dtype=torch.double) for n in layer.cell.state_sizes()]
    hx = [s.unsqueeze(0) for s in state]
    y, state_n = layer(x, state)
    yt, last = module(x, tuple(hx) if len(hx) > 1 else hx[0])
    last = [s[0] for s in (last if len(hx) > 1 else [last])]
    torch.testing.assert_close(y, yt, atol=1e-12, rtol=1e-10)
    for a, b in zip(state_n, last, strict=True):
        torch.testing.assert_close(a, b, atol=1e-12, rtol=1e-10)
    # torch keeps two biases; the gradient of either is the gradient of our one.
    cell = layer.cell
    mine = torch.autograd.grad(loss_of(y, state_n), [x, *cell.parameters()])
    mine = dict(zip(["x", *(n for n, _ in cell.named_parameters())], mine, strict=True))
    theirs = torch.autograd.grad(loss_of(yt, last), [x, *module.parameters()])
    theirs = dict(
        zip(["x", *(n for n, _ in module.named_parameters())], theirs, strict=True)
    )
    same = {"x": "x", "W": "weight_ih_l0", "R": "weight_hh_l0", "b": "bias_ih_l0"}
    if name == "projection":
        same["P"] = "weight_hr_l0"
    for ours, other in same.items():
        torch.testing.assert_close(mine[ours], theirs[other], atol=1e-11, rtol=1e-9)
    if name == "gru after":
        torch.testing.assert_close(mine["b_n"], theirs["bias_hh_l0"][2 * H :])


def test_a_cell_with_two_gates_swapped_is_not_torchs():
    module = nn.LSTM(D, H, batch_first=True).double()
    layer = lb.interop.from_torch(module)
    with torch.no_grad():
        layer.cell.W.copy_(lb.interop.reorder(layer.cell.W, "ifgo", "figo"))
    x = data()
    assert (layer(x)[0] - module(x)[0]).abs().max() > 1e-3


def test_a_cell_with_its_bias_dropped_is_not_torchs():
    module = nn.LSTM(D, H, batch_first=True).double()
    layer = lb.interop.from_torch(module)
    with torch.no_grad():
        layer.cell.b.zero_()
    x = data()
    assert (layer(x)[0] - module(x)[0]).abs().max() > 1e-3


# -- against the NumPy oracle -------------------------------------------------


def mgu_oracle(cell, x):
    """The minimal gated unit as the oracle's GRU with r = 1 - z = sigma(-a_z)."""
    result = oracle(cell.as_gru(), x)
    for name in "WRb":
        # a_z reaches the loss as z and, with the opposite sign, as r.
        r, z, n = result[f"gradient {name}"].chunk(3)
        result[f"gradient {name}"] = torch.cat([z - r, n])
    return result


def oracle(cell, x, reset=None, lengths=None):
    """Outputs, last state and gradients of the same network in NumPy."""
    if isinstance(cell, lb.MGUCell):
        return mgu_oracle(cell, x)
    w = {n: p.detach().numpy() for n, p in cell.named_parameters() if "." not in n}
    xs = x.detach().numpy()
    g = torch.Generator().manual_seed(1)

    def weigh(*shape):
        return torch.randn(shape, generator=g, dtype=torch.double).numpy()

    dy = weigh(B, T, cell.output_size)
    if lengths is not None:
        dy = dy * (torch.arange(T) < lengths[:, None])[..., None].numpy()
    dh = weigh(B, cell.output_size)
    if isinstance(cell, lb.LSTMCell):
        flags = asdict(cell.spec)
        flags["projection"] = cell.spec.projection_size(H)
        flags["peepholes"] = bool(cell.spec.peep_rows)
        more = {"lengths": None if lengths is None else lengths.numpy(),
                "reset": None if reset is None else reset.numpy()}  # fmt: skip
        y, last, cache = reference.lstm_forward(xs, None, w, **flags, **more)
        dc, *gates = (weigh(B, H) for _ in last[1:])
        back = reference.lstm_backward(dy, cache, dh, dc, gates or None)
    elif isinstance(cell, lb.GRUCell):
        h0 = torch.zeros(B, H, dtype=torch.double).numpy()
        y, cache = reference.gru_forward(xs, h0, w, cell.reset)
        last, back = (y[:, -1],), reference.gru_backward(dy, cache, dh)
    else:
        h0 = torch.zeros(B, H, dtype=torch.double).numpy()
        y, cache = reference.rnn_forward(xs, h0, **w, activation=cell.activation)
        last, back = (y[:, -1],), reference.rnn_backward(dy, cache, dh)
    result = {"y": y}
    result |= {f"state {k}": s for k, s in zip(cell.State._fields, last, strict=True)}
    result |= {f"gradient {k}": back[k] for k in ["x", *w]}
    return {k: torch.as_tensor(v) for k, v in result.items()}


@pytest.mark.parametrize(
    ("name", "backend"), [p for p in pairs() if p[0] not in ATTENTION]
)
def test_the_same_numbers_as_the_reference(name, backend):
    cell, x = make(name), data()
    got = outcome(layer_of(cell, backend), x)
    got = {k.replace("cell.", ""): v for k, v in got.items()}
    assert_same(got, oracle(cell, x))


@pytest.mark.parametrize(
    ("name", "backend"), [p for p in pairs(reset=True) if p[0] in lb.PRESETS]
)
def test_the_same_numbers_as_the_reference_with_resets_and_lengths(name, backend):
    cell, x = make(name), data()
    reset = torch.rand(B, T, generator=torch.Generator().manual_seed(3)) < 0.3
    got = outcome(layer_of(cell, backend), x, lengths=LENGTHS, reset=reset)
    got = {k.replace("cell.", ""): v for k, v in got.items()}
    assert_same(got, oracle(cell, x, reset, LENGTHS))


@pytest.mark.parametrize(
    ("name", "backend"), [p for p in pairs() if not truncated(p[0])]
)
def test_gradcheck(name, backend):
    layer = layer_of(make(name, learn_initial_state=True), backend)
    x = data(batch=2, time=3)
    weights = [p.requires_grad_() for p in layer.parameters()]

    def run(x, *_):
        y, state = layer(x)
        return (y, *state)

    assert torch.autograd.gradcheck(run, (x, *weights))


# -- backends against one another ---------------------------------------------


@pytest.mark.parametrize("call", ["plain", "lengths", "reset", "both", "state"])
@pytest.mark.parametrize("name", CELLS)
def test_backends_agree_forward_and_every_gradient(name, call):
    cell, x = make(name, learn_initial_state=call != "state"), data()
    g = torch.Generator().manual_seed(2)
    kw = {}
    if call in ("lengths", "both"):
        kw["lengths"] = LENGTHS
    if call in ("reset", "both"):
        kw["reset"] = torch.rand(B, T, generator=g) < 0.4
    if call == "state":
        kw["state"] = cell.State(
            *(torch.randn(B, n, generator=g, dtype=torch.double)
              for n in cell.state_sizes())
        )  # fmt: skip
    able = [b for c, b in pairs(reset="reset" in kw) if c == name]
    first, *others = [outcome(layer_of(cell, b), x, **kw) for b in able]
    for other in others:
        assert_same(first, other)


FUSED = [c for c, b in pairs() if b == "fused" and c in lb.PRESETS]


@pytest.mark.parametrize("name", FUSED)
def test_backends_agree_when_only_the_cell_state_is_used(name):
    cell, x = make(name), data()

    def loss(y, state):
        return (state.c * torch.arange(1.0, H + 1, dtype=torch.double)).sum()

    loop, fused = (
        [torch.autograd.grad(loss(*layer_of(cell, b)(x, lengths=LENGTHS)),
                             [x, cell.W, cell.R])]
        for b in ("loop", "fused")
    )  # fmt: skip
    for a, b in zip(loop[0], fused[0], strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("name", FUSED)
def test_traces_agree_and_say_what_the_gates_did(name):
    cell, x = make(name), data()
    y, _, a = layer_of(cell, "loop")(x, trace=True)
    _, _, b = layer_of(cell, "fused")(x, trace=True)
    for u, v in zip((*a.state, *a.gates), (*b.state, *b.gates), strict=True):
        torch.testing.assert_close(u, v)
        assert not u.requires_grad and not v.requires_grad
    torch.testing.assert_close(a.state.h, y.detach())
    if not cell.spec.input_gate:
        assert (a.gates.i == 1).all()
    if cell.spec.forget_gate == "one":
        assert (a.gates.f == 1).all()
    if cell.spec.forget_gate == "coupled":
        torch.testing.assert_close(a.gates.f, 1 - a.gates.i)


@pytest.mark.parametrize("name", [n for n in CELLS if n not in lb.PRESETS])
def test_a_trace_of_any_cell_has_every_step(name):
    cell, x = make(name), data()
    y, _, trace = lb.Recurrent(cell)(x, trace=True)
    torch.testing.assert_close(trace.state.h, y.detach())
    gates = trace.gates.cell if name in ATTENTION else trace.gates
    for gate in gates:
        assert gate.shape == (B, T, H)


def test_the_trace_of_gate_recurrence_is_the_fgr_state():
    cell, x = make("fgr"), data()
    _, last, trace = lb.Recurrent(cell)(x, trace=True)
    assert type(last) is type(trace.state) is lb.FGRState
    for gate in "ifo":
        assert torch.equal(getattr(trace.state, gate), getattr(trace.gates, gate))
        assert torch.equal(getattr(last, gate), getattr(trace.gates, gate)[:, -1])


@pytest.mark.parametrize(
    "name", ["lstm", "odyssey", "lstmp", "fgr", "lnlstm", "lstm1997"]
)
def test_under_autocast_backends_agree_and_gradients_stay_float32(name):
    torch.manual_seed(0)
    cell = lb.LSTMCell(16, 32, name)
    x = torch.randn(B, 20, 16)
    results = []
    for backend in [b for c, b in pairs() if c == name]:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y, state = layer_of(cell, backend)(x)
        assert {s.dtype for s in (y, *state)} == {torch.float32}
        grads = torch.autograd.grad(y.square().sum(), list(cell.parameters()))
        assert all(g.dtype == torch.float32 for g in grads)
        results.append((y, state.c, *grads))
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            # bfloat16 keeps 8 bits: compare with the size of the whole tensor. A
            # norm divides by the size of R h, small at first, and rounding grows.
            assert (a - b).norm() <= (0.1 if name == "lnlstm" else 0.03) * a.norm()


@pytest.mark.parametrize("name", ["odyssey", "cifg", "lstmp", "lnlstm"])
def test_a_second_derivative_of_the_fused_backend_raises(name):
    cell, x = make(name), data()
    y, _ = layer_of(cell, "fused")(x)
    (g,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="no autograd formula"):
        g.sum().backward()


@pytest.mark.parametrize("name", ["odyssey", "fgr", "lnlstm", "gru before"])
def test_the_loop_has_second_derivatives(name):
    layer = layer_of(make(name), "loop")
    x = data(batch=1, time=2)
    assert torch.autograd.gradgradcheck(lambda x: layer(x)[0], (x,))


@pytest.mark.parametrize("name", ["odyssey", "lnlstm"])
def test_the_operators_keep_torchs_rules(name):
    cell = make(name, learn_initial_state=True)
    x = torch.randn(T, B, D, dtype=torch.double, requires_grad=True)
    from lstmbook.fused import lstm_forward, spec_key

    h, c = cell.initial_state(B)
    args = (x, cell.W, cell.R, cell.b, cell.p, None, cell.gain_W, cell.gain_R,
            cell.gain_c, cell.b_c, h.detach().clone(), c.detach().clone(),
            None, None, None, spec_key(cell.spec))  # fmt: skip
    torch.library.opcheck(
        lstm_forward, args,
        test_utils=("test_schema", "test_autograd_registration", "test_faketensor"),
    )  # fmt: skip


@pytest.mark.parametrize("name", ["odyssey", "lnlstm"])
def test_export_sees_one_node(name):
    layer = lb.Recurrent(lb.LSTMCell(D, H, name)).eval()
    program = torch.export.export(layer, (torch.randn(B, T, D),))
    calls = [n for n in program.graph.nodes if "lstmbook.lstm" in str(n.target)]
    assert len(calls) == 1
    x = torch.randn(B, T, D)
    torch.testing.assert_close(program.module()(x)[0], layer(x)[0])


# -- time ---------------------------------------------------------------------


@pytest.mark.parametrize(("name", "backend"), pairs())
@pytest.mark.parametrize("cut", [1, 4])
def test_two_chunks_equal_one(name, backend, cut):
    layer, x = layer_of(make(name), backend), data()
    whole = outcome(layer, x)

    def chunked(x, **_):
        y1, s = layer(x[:, :cut])
        y2, s = layer(x[:, cut:], s)
        return torch.cat([y1, y2], 1), s

    y, state = chunked(x)
    grads = torch.autograd.grad(loss_of(y, state), [x, *learned(layer)])
    torch.testing.assert_close(y.detach(), whole["y"])
    for (k, want), got in zip(
        [(k, v) for k, v in whole.items() if "gradient" in k], grads, strict=True
    ):
        torch.testing.assert_close(got, want, msg=lambda m, k=k: f"{k}: {m}")


@pytest.mark.parametrize(("name", "backend"), pairs())
def test_a_row_alone_equals_the_row_in_a_batch(name, backend):
    assert_rows_as_alone(layer_of(make(name), backend), data(), LENGTHS)


@pytest.mark.parametrize("filling", [0.0, 1e6, float("nan"), float("inf")])
@pytest.mark.parametrize(("name", "backend"), pairs())
def test_padding_changes_nothing(name, backend, filling):
    layer = layer_of(make(name), backend)
    x = data().detach()
    pad = torch.arange(T) >= LENGTHS[:, None]
    more = torch.cat([x, torch.zeros(B, 2, D, dtype=torch.double)], 1)
    more = more.masked_fill(
        (torch.arange(T + 2) >= LENGTHS[:, None]).unsqueeze(2), filling
    )
    a = outcome(layer, x.requires_grad_(), lengths=LENGTHS)
    b = outcome(
        layer, more.requires_grad_(), lengths=LENGTHS,
        loss=lambda y, s: loss_of(y[:, :T], s),
    )  # fmt: skip
    assert (b["y"][:, :T][pad] == 0).all() and (b["y"][:, T:] == 0).all()
    assert (b["gradient x"][:, T:] == 0).all()
    b["y"], b["gradient x"] = b["y"][:, :T], b["gradient x"][:, :T]
    assert_same(a, b)


@pytest.mark.parametrize(("name", "backend"), pairs(reset=True))
def test_a_reset_equals_two_sequences(name, backend):
    layer, x = layer_of(make(name, learn_initial_state=True), backend), data()
    reset = torch.zeros(B, T, dtype=torch.bool)
    reset[:, 3] = True
    got = outcome(layer, x, reset=reset)
    y1, _ = layer(x[:, :3])
    y2, s2 = layer(x[:, 3:])
    y = torch.cat([y1, y2], 1)
    grads = torch.autograd.grad(loss_of(y, s2), [x, *learned(layer)])
    torch.testing.assert_close(got["y"], y.detach())
    for g, (k, want) in zip(
        grads, [(k, v) for k, v in got.items() if "gradient" in k], strict=True
    ):
        torch.testing.assert_close(g, want, msg=lambda m, k=k: f"{k}: {m}")


@pytest.mark.parametrize(("name", "backend"), pairs(reset=True))
def test_a_reset_clears_even_an_infinite_state(name, backend):
    layer, x = layer_of(make(name), backend), data()
    bad = layer.cell.State(
        *(torch.full((B, n), float("inf"), dtype=torch.double)
          for n in layer.cell.state_sizes())
    )  # fmt: skip
    reset = torch.zeros(B, T, dtype=torch.bool)
    reset[:, 0] = True
    torch.testing.assert_close(layer(x, bad, reset=reset)[0], layer(x)[0])


@pytest.mark.parametrize(("name", "backend"), pairs())
def test_nothing_is_infinite_after_ten_thousand_steps(name, backend):
    # A cell without a forget gate may count without bound; it stays finite here.
    cell = CELLS[name]()
    x = 0.1 * torch.randn(1, 10_000, D)
    with torch.no_grad():
        y, state = layer_of(cell, backend)(x)
    assert torch.isfinite(y).all() and all(torch.isfinite(s).all() for s in state)


@pytest.mark.parametrize(("name", "backend"), pairs())
def test_every_parameter_gets_a_gradient(name, backend):
    cell = make(name, learn_initial_state=True)
    y, state = layer_of(cell, backend)(data())
    loss_of(y, state).backward()
    for n, p in cell.named_parameters():
        if p.requires_grad:
            assert p.grad is not None and (p.grad != 0).any(), n


@pytest.mark.parametrize(
    ("name", "learns"),
    [("lstm", "hc"), ("fgr", "hcifo"), ("fgr coupled", "hcio"), ("lstm1997", "c"),
     ("truncated fgr", "c")],
)  # fmt: skip
def test_of_a_learned_initial_state_what_no_error_reaches_stays_zero(name, learns):
    cell = CELLS[name](learn_initial_state=True)
    for part, start in zip(cell.State._fields, cell.initial, strict=True):
        assert start.requires_grad == (part in learns), part
        assert (start == 0).all()


# -- limits -------------------------------------------------------------------


def same_run(a, b, backend="auto"):
    x = data()
    y, s = lb.Recurrent(a, backend)(x)
    z, r = lb.Recurrent(b, backend)(x)
    return max(
        (u - v).abs().max().item()
        for u, v in zip((y, s.h, *s[1:2]), (z, r.h, *r[1:2]), strict=True)
    )


def copy_rows(source, target):
    """Copy what both cells have."""
    with torch.no_grad():
        for gate in target.spec.rows:
            if gate in source.spec.rows:
                for weight in "WRb":
                    target.rows_of(gate, weight).copy_(source.rows_of(gate, weight))
        for k, gate in enumerate(target.spec.peep_rows):
            if gate in source.spec.peep_rows:
                target.p[k] = source.p[source.spec.peep_rows.index(gate)]
    return target


def test_zero_peepholes_are_no_peepholes():
    full, plain = make("odyssey"), make("np")
    copy_rows(full, plain)
    with torch.no_grad():
        full.p.zero_()
    assert same_run(full, plain) < 1e-14


@pytest.mark.parametrize(("name", "gate"), [("nig", "i"), ("nfg", "f"), ("nog", "o")])
def test_a_gate_removed_is_its_bias_at_infinity(name, gate):
    full, without = make("odyssey"), make(name)
    copy_rows(full, without)
    with torch.no_grad():
        full.rows_of(gate, "W").zero_()
        full.rows_of(gate, "R").zero_()
        full.rows_of(gate, "b").fill_(1e3)
        full.p[full.spec.peep_rows.index(gate)] = 0
    assert same_run(full, without) < 1e-14


def test_coupled_gates_are_opposite_weights():
    full, coupled = make("odyssey"), make("cifg")
    copy_rows(full, coupled)
    with torch.no_grad():
        for weight in "WRb":
            full.rows_of("f", weight).copy_(-full.rows_of("i", weight))
        full.p[1] = -full.p[0]
    # The output gate's peephole is the last row of both.
    assert same_run(full, coupled) < 1e-14


@pytest.mark.parametrize(("name", "part"), [("niaf", "input"), ("noaf", "output")])
def test_without_squashing_is_tanh_at_small_scale(name, part):
    full, without = make("odyssey"), make(name)
    with torch.no_grad():
        for weight in "WRb":
            full.rows_of("g", weight).mul_(1e-4)
    copy_rows(full, without)
    assert same_run(full, without) < 1e-9


def test_the_1997_squashing_functions_are_scaled_tanh():
    # 2 sigma(a) - 1 = tanh(a / 2) and 4 sigma(a) - 2 = 2 tanh(a / 2).
    a = torch.linspace(-8, 8, 101, dtype=torch.double)
    from lstmbook.cells.lstm import ACTIVATIONS

    torch.testing.assert_close(ACTIVATIONS["2sigmoid-1"](a), torch.tanh(a / 2))
    torch.testing.assert_close(ACTIVATIONS["4sigmoid-2"](a), 2 * torch.tanh(a / 2))


def test_gate_recurrence_with_zero_matrices_is_the_odyssey_lstm():
    full, without = make("fgr"), make("odyssey")
    copy_rows(full, without)
    assert same_run(full, without) > 1e-3
    with torch.no_grad():
        full.G.zero_()
    assert same_run(full, without, "loop") == 0.0


def test_gate_recurrence_has_nine_matrices():
    more = sum(p.numel() for p in make("fgr").parameters())
    assert more - sum(p.numel() for p in make("odyssey").parameters()) == 9 * H * H


def test_the_odyssey_reads_one_gate_of_the_step_before_where_its_matrix_stands():
    # Only the block from o to f: the forget gate of step 2 moves, and no other.
    full, without = make("fgr"), make("odyssey")
    copy_rows(full, without)
    with torch.no_grad():
        block = full.G[H : 2 * H, 2 * H :].clone()
        full.G.zero_()[H : 2 * H, 2 * H :] = block
    x = data()[:, :2].detach()
    _, _, a = lb.Recurrent(full, "loop")(x, trace=True)
    _, _, b = lb.Recurrent(without, "loop")(x, trace=True)
    for gate in "ifgo":
        changed = getattr(a.gates, gate) != getattr(b.gates, gate)
        # o of step 2 sees c of step 2 through its peephole.
        assert changed[:, 1].any() == (gate in "fo") and not changed[:, 0].any()
    before = torch.logit(b.gates.f[:, 1]) + b.gates.o[:, 0] @ block.T
    torch.testing.assert_close(torch.logit(a.gates.f[:, 1]), before)


NORMED = {
    norm: lambda norm=norm, **k: lb.LSTMCell(D, H, lb.LSTMSpec(norm=norm), **k)
    for norm in ("ba2016", "carried", "gatewise")
}


def normed(norm, seed=0):
    return randomised(NORMED[norm], seed)


def changed(cell, **factors):
    """A copy with weights multiplied: W=3, or by row with a tensor [rows, 1]."""
    cell = copy.deepcopy(cell)
    with torch.no_grad():
        for name, factor in factors.items():
            getattr(cell, name).mul_(factor)
    return cell


def biggest_difference(monkeypatch, a, b):
    """Between two runs without the constant that keeps a norm finite."""
    monkeypatch.setattr(lb.cells.lstm, "EPS", 0.0)
    # At h = 0 there is nothing to normalise: begin somewhere else.
    g = torch.Generator().manual_seed(4)
    x, state = data(), torch.randn(2, B, H, generator=g, dtype=torch.double)
    runs = [lb.Recurrent(cell, "loop")(x, tuple(state)) for cell in (a, b)]
    (y, s), (z, r) = runs
    return max((u - v).abs().max().item() for u, v in [(y, z), (s.c, r.c)])


@pytest.mark.parametrize("norm", ["ba2016", "carried"])
def test_the_size_of_W_and_that_of_R_change_nothing(norm, monkeypatch):
    cell = normed(norm)
    assert biggest_difference(monkeypatch, cell, changed(cell, W=100, R=0.01)) < 1e-12
    # One gate alone is another matter: all rows share one norm.
    rows = torch.ones(4 * H, 1, dtype=torch.double)
    rows[:H] = 3
    assert biggest_difference(monkeypatch, cell, changed(cell, W=rows)) > 1e-2


def test_gate_by_gate_the_size_of_each_gates_weights_changes_nothing(monkeypatch):
    cell = normed("gatewise")
    rows = torch.tensor([0.01, 3, 5, 100]).repeat_interleave(H).double().unsqueeze(1)
    assert biggest_difference(monkeypatch, cell, changed(cell, W=rows, R=rows)) < 1e-12
    # W x and R h share one norm.
    assert biggest_difference(monkeypatch, cell, changed(cell, W=3)) > 1e-2


@pytest.mark.parametrize("norm", NORMED)
def test_a_shift_that_all_units_share_changes_nothing(norm):
    cell = normed(norm)
    other = copy.deepcopy(cell)
    with torch.no_grad():
        other.W += torch.randn(D, dtype=torch.double)
        other.R += torch.randn(H, dtype=torch.double)
    assert same_run(cell, other, "loop") < 1e-12


@pytest.mark.parametrize("norm", NORMED)
def test_without_gain_the_gates_are_their_biases(norm):
    cell = normed(norm)
    with torch.no_grad():
        for name in ("gain_W", "gain_R", "gain_a"):
            if getattr(cell, name) is not None:
                getattr(cell, name).zero_()
    i, f, g, o = cell.b.chunk(4)
    c, y = torch.zeros(H, dtype=torch.double), []
    for _ in range(T):
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        n = (c - c.mean()) / (c.var(unbiased=False) + 1e-5).sqrt()
        n = n * cell.gain_c + cell.b_c
        c = n if norm == "carried" else c
        y.append(torch.sigmoid(o) * torch.tanh(n))
    got, last = lb.Recurrent(cell)(data())
    torch.testing.assert_close(got, torch.stack(y).expand(B, T, H))
    torch.testing.assert_close(last.c, c.expand(B, H))


def test_carried_and_ba2016_part_after_the_first_step():
    ba, carried = normed("ba2016"), normed("carried")
    carried.load_state_dict(ba.state_dict())
    x = data().detach()
    (y, s), (z, r) = (lb.Recurrent(c, "loop")(x[:, :1]) for c in (ba, carried))
    torch.testing.assert_close(y, z)
    torch.testing.assert_close(ba.norm_c(s.c), r.c)
    y, z = (lb.Recurrent(c, "loop")(x)[0] for c in (ba, carried))
    assert (y - z)[:, 1].abs().max() > 1e-3


@pytest.mark.parametrize("norm", NORMED)
def test_a_norm_starts_with_gain_1_and_counts_what_it_owns(norm):
    cell = NORMED[norm]()
    gains = {n: p for n, p in cell.named_parameters() if n.startswith("gain")}
    assert all((p == 1).all() for p in gains.values()) and (cell.b_c == 0).all()
    plain = sum(p.numel() for p in lb.LSTMCell(D, H).parameters())
    more = sum(p.numel() for p in cell.parameters()) - plain
    assert more == {"ba2016": 10, "carried": 10, "gatewise": 6}[norm] * H


def detached(cell, x):
    """The 1997 gradient, written out: h is a number where it enters a gate."""
    h = c = torch.zeros(len(x), H, dtype=torch.double)
    p = {} if cell.p is None else dict(zip("ifo", cell.p, strict=True))
    y = []
    for x_t in x.unbind(1):
        a = x_t @ cell.W.T + h.detach() @ cell.R.T + cell.b
        a = dict(zip(cell.spec.rows, a.chunk(len(cell.spec.rows), 1), strict=True))
        for k in "if":
            if k in p:
                a[k] = a[k] + p[k] * c.detach()
        keep = torch.sigmoid(a["f"]) if "f" in a else 1.0
        if p:
            c = keep * c + torch.sigmoid(a["i"]) * torch.tanh(a["g"])
            h = torch.sigmoid(a["o"] + p["o"] * c.detach()) * torch.tanh(c)
        else:
            c = keep * c + torch.sigmoid(a["i"]) * 2 * torch.tanh(a["g"] / 2)
            h = torch.sigmoid(a["o"]) * torch.tanh(c / 2)
        y.append(h)
    return torch.stack(y, 1), lb.LSTMState(h, c)


@pytest.mark.parametrize("name", ["lstm1997", "odyssey"])
def test_the_truncated_gradient_is_autograd_with_h_and_the_peepholes_cut(name):
    torch.manual_seed(0)
    spec = lb.PRESETS[name].with_(gradient="truncated")
    cell = lb.LSTMCell(D, H, spec).double()
    whole = lb.LSTMCell(D, H, spec.with_(gradient="full")).double()
    with torch.no_grad():
        for a, b in zip(cell.parameters(), whole.parameters(), strict=True):
            b.copy_(a.uniform_(-0.7, 0.7))
    x = data()
    cut, full = (outcome(lb.Recurrent(k, "loop"), x) for k in (cell, whole))
    y, state = detached(cell, x)
    weights = dict(cell.named_parameters())
    grads = torch.autograd.grad(loss_of(y, state), [x, *weights.values()])
    want = {"y": y, "state h": state.h, "state c": state.c}
    want |= {
        f"gradient {n}": g
        for n, g in zip(["x", *(f"cell.{n}" for n in weights)], grads, strict=True)
    }
    assert_same(cut, {k: v.detach() for k, v in want.items()}, atol=1e-12, rtol=1e-12)
    for k in ("y", "state h", "state c"):
        assert torch.equal(cut[k], full[k])
    for k in (k for k in cut if "gradient" in k):
        assert (cut[k] - full[k]).abs().max() > 1e-3, k


@pytest.mark.parametrize("name", ["lstm1997", "odyssey"])
def test_where_no_gradient_is_asked_for_the_truncated_one_keeps_nobody_waiting(name):
    torch.manual_seed(0)
    spec = lb.PRESETS[name].with_(gradient="truncated")
    layer, x = lb.Recurrent(lb.LSTMCell(D, H, spec).double()), data()
    assert layer.explain(x).startswith("loop")
    slow, _ = layer(x)
    with torch.no_grad():
        assert layer.explain(x).startswith("fused")
        fast, _ = layer(x)
    torch.testing.assert_close(fast, slow.detach(), atol=1e-12, rtol=1e-12)


def test_with_one_step_there_is_nothing_to_truncate():
    cell = make("lstm1997")
    whole = lb.LSTMCell(D, H, cell.spec.with_(gradient="full")).double()
    whole.load_state_dict(cell.state_dict())
    x = data(time=1)
    assert_same(*(outcome(lb.Recurrent(c, "loop"), x) for c in (cell, whole)))


def test_the_two_gru_forms_agree_when_the_reset_gate_is_open():
    after, before = make("gru after"), make("gru before")
    with torch.no_grad():
        for name in ("W", "R", "b"):
            getattr(before, name).copy_(getattr(after, name))
        after.b_n.zero_()
        for cell in (after, before):
            cell.W[:H] = 0
            cell.R[:H] = 0
            cell.b[:H] = 1e3
    assert same_run(after, before) < 1e-14


def test_the_two_gru_forms_differ_otherwise():
    after, before = make("gru after"), make("gru before")
    with torch.no_grad():
        for name in ("W", "R", "b"):
            getattr(before, name).copy_(getattr(after, name))
        after.b_n.zero_()
    assert same_run(after, before) > 1e-3


def test_the_minimal_gated_unit_is_a_gru_with_tied_gates():
    mgu = make("mgu", learn_initial_state=True)
    gru = mgu.as_gru()
    assert same_run(mgu, gru) < 1e-14
    _, _, trace = lb.Recurrent(gru)(data(), trace=True)
    torch.testing.assert_close(trace.gates.r, 1 - trace.gates.z)
    with torch.no_grad():
        gru.W[:H] *= -1  # the reset gate the wrong way round
    assert same_run(mgu, gru) > 1e-3


def test_the_minimal_gated_unit_has_two_thirds_of_a_grus_weights():
    def count(cell):
        return sum(p.numel() for p in cell.parameters())

    assert count(lb.MGUCell(D, H)) == 2 * (H * D + H * H + H)
    assert 3 * count(lb.MGUCell(D, H)) == 2 * count(lb.GRUCell(D, H, "before"))


# -- directions and stacks ----------------------------------------------------


def test_bidirectional_equals_torchs_at_every_length():
    torch.manual_seed(0)
    module = nn.LSTM(D, H, 2, batch_first=True, bidirectional=True).double()
    layer = lb.interop.from_torch(module)
    x = data()
    y, state = layer(x, lengths=LENGTHS)
    for row, n in enumerate(LENGTHS.tolist()):
        yt, (h, c) = module(x[row : row + 1, :n])
        torch.testing.assert_close(y[row : row + 1, :n], yt)
        for k in range(2):
            for way, s in enumerate(state[k]):
                torch.testing.assert_close(s.h[row], h[2 * k + way, 0])
                torch.testing.assert_close(s.c[row], c[2 * k + way, 0])


@pytest.mark.parametrize("name", ["odyssey", "gru before", "rnn tanh"])
def test_bidirectional_is_forward_beside_flipped_backward(name):
    a, b = lb.Recurrent(make(name)), lb.Recurrent(make(name, seed=5))
    x = data()
    y, state = lb.Bidirectional(a, b)(x)
    back, s = b(x.flip(1))
    torch.testing.assert_close(y, torch.cat([a(x)[0], back.flip(1)], 2))
    torch.testing.assert_close(state.backward.h, s.h)


@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_a_reset_cuts_a_bidirectional_layer_into_two_sequences(lengths):
    layer = lb.Bidirectional(
        lb.Recurrent(make("odyssey", learn_initial_state=True)),
        lb.Recurrent(make("odyssey", seed=5, learn_initial_state=True)),
    )
    x, cut = data(), 2
    reset = torch.zeros(B, T, dtype=torch.bool)
    reset[:, cut] = True
    y, _ = layer(x, lengths=lengths, reset=reset)
    for row in range(B):
        n = T if lengths is None else int(lengths[row])
        r = x[row : row + 1]
        first, _ = layer(r[:, : min(cut, n)])
        torch.testing.assert_close(y[row : row + 1, : min(cut, n)], first)
        if n > cut:
            torch.testing.assert_close(y[row : row + 1, cut:n], layer(r[:, cut:n])[0])


def test_carrying_the_state_of_a_bidirectional_layer_raises():
    layer = lb.Bidirectional(lb.Recurrent(make("lstm")), lb.Recurrent(make("lstm")))
    x = data()
    _, state = layer(x)
    with pytest.raises(ValueError, match="takes no state"):
        layer(x, state)


def test_a_stack_is_its_layers_one_after_another():
    low, high = lb.Recurrent(make("lstm")), lb.Recurrent(lb.GRUCell(H, 5).double())
    x = data()
    y, state = lb.Stack(low, high)(x)
    z, s = low(x)
    w, r = high(z)
    torch.testing.assert_close(y, w)
    torch.testing.assert_close(state[0].c, s.c)
    torch.testing.assert_close(state[1].h, r.h)


def test_a_residual_stack_adds_the_input_where_sizes_agree():
    low, high = lb.Recurrent(make("lstm")), lb.Recurrent(lb.LSTMCell(H, H).double())
    x = data()
    y, _ = lb.Stack(low, high, residual=True)(x)
    z = low(x)[0]
    torch.testing.assert_close(y, z + high(z)[0])


def test_dropout_acts_between_layers_in_training_only():
    stack = lb.Stack(
        lb.Recurrent(make("lstm")),
        lb.Recurrent(lb.LSTMCell(H, H).double()),
        dropout=0.5,
    )
    x = data()
    stack.train()
    torch.manual_seed(0)
    a, b = stack(x)[0], stack(x)[0]
    assert (a != b).any()
    stack.eval()
    torch.testing.assert_close(stack(x)[0], stack(x)[0])
    z = stack.layers[0](x)[0]
    torch.testing.assert_close(stack(x)[0], stack.layers[1](z)[0])


def test_dropout_keeps_the_mean():
    class Same(nn.Module):
        input_size = output_size = D

        def forward(self, x, state=None, lengths=None, reset=None):
            return x, None

    stack = lb.Stack(Same(), Same(), dropout=0.3).train()
    torch.manual_seed(0)
    y, _ = stack(torch.ones(200, 100, D))
    assert abs(y.mean() - 1) < 0.02
    assert abs((y == 0).float().mean() - 0.3) < 0.02


# -- small helpers ------------------------------------------------------------


def test_detach_cuts_the_graph_and_keeps_the_numbers():
    _, state = lb.Recurrent(make("lstm"))(data())
    cut = lb.recurrent.detach((state, state))
    assert not cut[0].c.requires_grad and type(cut[0]) is lb.LSTMState
    torch.testing.assert_close(cut[1].c, state.c)


def test_where_and_index_act_on_rows():
    _, a = lb.Recurrent(make("lstm"))(data(0))
    _, b = lb.Recurrent(make("lstm"))(data(1))
    mask = torch.tensor([True, False, True, False])
    chosen = lb.recurrent.where(mask, a, b)
    torch.testing.assert_close(chosen.c[0], a.c[0])
    torch.testing.assert_close(chosen.h[1], b.h[1])
    rows = lb.recurrent.index(a, torch.tensor([2, 2]))
    torch.testing.assert_close(rows.h, a.h[[2, 2]])


def test_deep_copies_do_not_share_weights():
    layer = lb.Recurrent(make("odyssey"))
    other = copy.deepcopy(layer)
    with torch.no_grad():
        other.cell.W.add_(1)
    assert (layer.cell.W != other.cell.W).all()
