"""The cells and backends that every law is tested on, and how they are compared."""

import torch

import lstmbook as lb
from lstmbook import backends

D, H, B, T = 3, 6, 4, 7
S, M = 5, 2  # steps and width of a memory, for cells that attend

CELLS = {
    name: lambda name=name, **k: lb.LSTMCell(D, H, name, **k) for name in lb.PRESETS
}
CELLS |= {
    "projection": lambda **k: lb.LSTMCell(D, H, lb.LSTMSpec(projection=4), **k),
    "relu": lambda **k: lb.LSTMCell(D, H, lb.LSTMSpec(input_activation="relu"), **k),
    "no gates": lambda **k: lb.LSTMCell(
        D, H, lb.LSTMSpec(False, "one", False, peepholes=True), **k
    ),
    "fgr coupled": lambda **k: lb.LSTMCell(
        D, H, lb.LSTMSpec(forget_gate="coupled", gate_recurrence=True), **k
    ),
    "ba2016 odyssey": lambda **k: lb.LSTMCell(
        D, H, lb.LSTMSpec(peepholes=True, norm="ba2016", projection=4), **k
    ),
    "carried": lambda **k: lb.LSTMCell(D, H, lb.LSTMSpec(norm="carried"), **k),
    "gatewise": lambda **k: lb.LSTMCell(D, H, lb.LSTMSpec(norm="gatewise"), **k),
    "truncated fgr": lambda **k: lb.LSTMCell(
        D, H, lb.PRESETS["fgr"].with_(gradient="truncated", norm="gatewise"), **k
    ),
    "rnn tanh": lambda **k: lb.RNNCell(D, H, **k),
    "rnn relu": lambda **k: lb.RNNCell(D, H, "relu", **k),
    "gru after": lambda **k: lb.GRUCell(D, H, "after", **k),
    "gru before": lambda **k: lb.GRUCell(D, H, "before", **k),
    "mgu": lambda **k: lb.MGUCell(D, H, **k),
}


class Remembers:
    """An attention cell that brings a memory, so that every law can run on it."""

    def begin(self, batch, memory=None, lengths=None):
        g = torch.Generator().manual_seed(9)
        memory = torch.randn(1, S, M, generator=g).to(self.W).expand(batch, S, M)
        return super().begin(batch, memory, torch.full((batch,), S - 1))


class Additive(Remembers, lb.AdditiveAttention):
    pass


class Multiplicative(Remembers, lb.MultiplicativeAttention):
    pass


# Their own oracle, and what depends on the memory, are in test_attention.py.
ATTENTION = {
    "additive": lambda **k: Additive(lb.LSTMCell(D + M, H, **k), M, 4),
    "additive gru": lambda **k: Additive(lb.GRUCell(D + M, H, **k), M),
    "general": lambda **k: Multiplicative(lb.LSTMCell(D + H, H, **k), M),
    "scaled": lambda **k: Multiplicative(
        lb.LSTMCell(D + H, H, "odyssey", **k), M, scaled=True
    ),
}
CELLS |= ATTENTION


def randomised(build, seed=0, bound=0.7):
    """What `build` makes, in float64 with every weight uniform in ±bound."""
    torch.manual_seed(seed)
    cell = build().double()
    with torch.no_grad():
        for weight in cell.parameters():
            weight.uniform_(-bound, bound)
    return cell


def make(name, seed=0, **options):
    """A cell in float64 with every weight random, biases and initial state too."""
    return randomised(lambda: CELLS[name](**options), seed)


def runs(name, backend, reset=False, trace=False):
    """Whether this backend says it can run this cell."""
    x = torch.zeros(1, 1, D, dtype=torch.double)
    b = {b.name: b for b in backends._FASTEST_FIRST}[backend]
    return b.refuses(make(name), x, torch.zeros(1, 1) if reset else None, trace) is None


def truncated(name):
    """Whether the gradient of this cell is by design not the slope of the loss."""
    spec = getattr(make(name), "spec", None)
    return spec is not None and spec.gradient == "truncated"


def learned(module):
    """Its parameters that training may change."""
    return [p for p in module.parameters() if p.requires_grad]


def pairs(**call):
    """(cell, backend) for all that can run such a call."""
    return [(c, b) for c in CELLS for b in lb.recurrent.backends.BACKENDS
            if runs(c, b, **call)]  # fmt: skip


def data(seed=0, batch=B, time=T):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, time, D, generator=g, dtype=torch.double)
    return x.requires_grad_()


def loss_of(y, state, seed=1):
    """A random weighted sum of everything a layer gives: random upstream gradients.

    Weights are drawn by shape, so that they do not depend on memory layout.
    """
    g = torch.Generator().manual_seed(seed)
    return sum(
        (torch.randn(a.shape, generator=g, dtype=torch.double).to(a.dtype) * a).sum()
        for a in (y, *state)
    )


def outcome(layer, x, *args, loss=loss_of, **kw):
    """Outputs, final state and every gradient, as one dict."""
    y, state = layer(x, *args, **kw)[:2]
    names = ["x", *(n for n, p in layer.named_parameters() if p.requires_grad)]
    grads = torch.autograd.grad(loss(y, state), [x, *learned(layer)])
    return {
        "y": y.detach(),
        **{f"state {n}": s.detach() for n, s in state._asdict().items()},
        **{f"gradient {n}": g for n, g in zip(names, grads, strict=True)},
    }


def assert_same(a: dict, b: dict, atol=1e-10, rtol=1e-9):
    assert a.keys() == b.keys()
    for name in a:
        torch.testing.assert_close(
            a[name], b[name], atol=atol, rtol=rtol,
            msg=lambda m, name=name: f"{name}: {m}",
        )  # fmt: skip


def assert_rows_as_alone(layer, x, lengths):
    """Every row of a padded batch gives what it gives by itself, without padding."""
    y, state = layer(x, lengths=lengths)
    for row, n in enumerate(lengths.tolist()):
        y1, s1 = layer(x[row : row + 1, :n])
        torch.testing.assert_close(y[row : row + 1, :n], y1)
        for a, b in zip(state, s1, strict=True):
            torch.testing.assert_close(a[row : row + 1], b)
