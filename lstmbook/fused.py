"""Back-propagation through time by hand, as one operator for the whole LSTM family.

Automatic differentiation of a Python loop stores every intermediate of every
step and multiplies small matrices on the way back. Here one operator runs the
whole sequence: W x for all steps is one product, the loop keeps only R h, and
the way back keeps the gradients of the pre-activations (called delta) and turns
them into the gradients of all weights in one product each. The equations are
derived in the chapter on the backward pass; `reference.py` has them in NumPy.

The two operators are opaque to torch.compile and torch.export (one node each).
Second derivatives raise.
"""

import json
from dataclasses import asdict
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from .cells.lstm import ACTIVATIONS, EPS, LSTMSpec, layer_norm

# Derivative of each activation, from its value: tanh' = 1 - tanh^2, and so on.
SLOPES = {
    "tanh": lambda v: 1 - v * v,
    "identity": torch.ones_like,
    "relu": lambda v: (v > 0).to(v.dtype),
    "4sigmoid-2": lambda v: 1 - v * v / 4,
    "2sigmoid-1": lambda v: (1 - v * v) / 2,
}
INPLACE = {"tanh": torch.tanh_, "relu": torch.relu_, "identity": lambda a: a}
# Steps whose local derivatives are made together: small enough for the cache.
CHUNK = 8


def spec_key(spec: LSTMSpec) -> str:
    """The spec as a string, since an operator takes no Python objects."""
    return json.dumps(asdict(spec))


@lru_cache
def _spec(key: str) -> LSTMSpec:
    return LSTMSpec(**json.loads(key))


def _blocks(spec: LSTMSpec, rows: Tensor, H: int) -> dict[str, Tensor]:
    """View of each present gate in [..., rows]."""
    return dict(zip(spec.rows, rows.split(H, dim=-1), strict=True))


def _squash(name: str, a: Tensor) -> None:
    """Apply an activation in place."""
    if name in INPLACE:
        INPLACE[name](a)
    else:
        a.copy_(ACTIVATIONS[name](a))


# Layer norm: the mean that LN takes from W x is (mean of the rows of W) x, so the
# rows are centred once and the products have no mean. What is left of LN is a
# division by the root mean square; the same centred rows serve on the way back.


def _centre(W: Tensor) -> Tensor:
    """Take from every column of [rows, n] its mean over the rows."""
    return W - W.mean(0)


def _normalise(a: Tensor) -> Tensor:
    """Divide [..., n] without a mean by its deviation in place; return 1/deviation."""
    length = torch.linalg.vector_norm(a, dim=-1, keepdim=True)
    scale = length.square_().div_(a.shape[-1]).add_(EPS).rsqrt_()
    a.mul_(scale)
    return scale


def _normalise_back(d, hat, scale, gain, d_gain, out):
    """From the gradient d at gain * hat to that before `_normalise`, put into `out`.

    d, hat, out: [..., n]; the gradient of the gain is added to d_gain [n].
    """
    along = d * hat
    d_gain.add_(along.flatten(0, -2).sum(0))
    share = (along @ gain).div_(len(gain)).unsqueeze(-1)
    return torch.mul(d, gain, out=out).addcmul_(hat, share, value=-1).mul_(scale)


@torch.library.custom_op("lstmbook::lstm", mutates_args=())
def lstm_forward(
    x: Tensor,
    W: Tensor,
    R: Tensor,
    b: Tensor | None,
    p: Tensor | None,
    P: Tensor | None,
    gain_W: Tensor | None,
    gain_R: Tensor | None,
    gain_c: Tensor | None,
    b_c: Tensor | None,
    h0: Tensor,
    c0: Tensor,
    reset: Tensor | None,
    h_init: Tensor | None,
    c_init: Tensor | None,
    spec: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The whole sequence at once, time first.

    x: [T, B, D]; W [rows, D], R [rows, out], b [rows], p [n_peep, H], P [out, H]
    gain_W, gain_R: [rows], gain_c, b_c: [H], for the norm of Ba et al. 2016
    h0: [B, out], c0: [B, H]; reset: [T, B] bool, h_init and c_init the state
    that a reset puts in place. spec: `spec_key` of the cell.
    Returns y [T, B, out], c [T, B, H], the activated gates [T, B, rows], the output
    before projection m [T, B, H] (empty without a projection) and (empty without a
    norm) W x and R h normalised, each [T, B, rows], with what they were multiplied
    by, [2, T, B, 1].
    """
    s = _spec(spec)
    T, B = x.shape[:2]
    H = c0.shape[1]
    if s.norm == "none":
        gates = F.linear(x, W, b)
        Wx, Rh, scales = (x.new_empty(0) for _ in range(3))
    else:
        R = _centre(R)
        Wx, Rh = F.linear(x, _centre(W)), x.new_empty(T, B, len(W))
        scales = x.new_empty(2, T, B, 1)
        scales[0] = _normalise(Wx)
        gates = Wx * gain_W
        if b is not None:
            gates.add_(b)
    c_all = x.new_empty(T, B, H)
    m_all = x.new_empty(T, B, H)
    y_all = m_all if P is None else x.new_empty(T, B, P.shape[0])
    peep = dict(zip(s.peep_rows, p, strict=True)) if p is not None else {}
    both = s.rows.startswith("if")  # two gates side by side: one call for both
    Rt = R.t()
    h, c = h0, c0
    for t in range(T):
        if reset is not None:
            at = reset[t].unsqueeze(1)
            h, c = torch.where(at, h_init, h), torch.where(at, c_init, c)
        pre = gates[t]
        if s.norm == "none":
            pre.addmm_(h, Rt)
        else:
            scales[1, t] = _normalise(torch.mm(h, Rt, out=Rh[t]))
            pre.addcmul_(Rh[t], gain_R)
        a = _blocks(s, pre, H)
        for k in s.peep_rows.replace("o", ""):
            a[k].addcmul_(peep[k], c)
        if both:
            pre[:, : 2 * H].sigmoid_()
        elif "i" in a or "f" in a:
            a["i" if "i" in a else "f"].sigmoid_()
        _squash(s.input_activation, a["g"])
        new = c_all[t]
        if s.forget_gate == "learned":
            torch.mul(a["f"], c, out=new)
        elif s.forget_gate == "one":
            new.copy_(c)
        else:
            torch.addcmul(c, a["i"], c, value=-1, out=new)
        new.addcmul_(a["i"], a["g"]) if s.input_gate else new.add_(a["g"])
        c = new
        shown = c if s.norm == "none" else layer_norm(c, gain_c, b_c)
        if s.output_activation == "tanh":
            m = torch.tanh(shown, out=m_all[t])
        else:
            m = m_all[t].copy_(ACTIVATIONS[s.output_activation](shown))
        if s.output_gate:
            if "o" in peep:
                a["o"].addcmul_(peep["o"], c)
            m.mul_(a["o"].sigmoid_())
        h = m if P is None else torch.mm(m, P.t(), out=y_all[t])
    m_all = x.new_empty(0) if P is None else m_all
    return y_all, c_all, gates, m_all, Wx, Rh, scales


@lstm_forward.register_fake
def _(x, W, R, b, p, P, gain_W, gain_R, gain_c, b_c, h0, c0, *rest):
    T, B = x.shape[:2]
    H = c0.shape[1]
    none = gain_W is None
    return (
        x.new_empty(T, B, R.shape[1]),
        x.new_empty(T, B, H),
        x.new_empty(T, B, W.shape[0]),
        x.new_empty(0) if P is None else x.new_empty(T, B, H),
        x.new_empty(0) if none else x.new_empty(T, B, W.shape[0]),
        x.new_empty(0) if none else x.new_empty(T, B, W.shape[0]),
        x.new_empty(0) if none else x.new_empty(2, T, B, 1),
    )


@torch.library.custom_op("lstmbook::lstm_backward", mutates_args=())
def lstm_backward(
    dy: Tensor | None,
    dc_all: Tensor | None,
    x: Tensor,
    W: Tensor,
    R: Tensor,
    p: Tensor | None,
    P: Tensor | None,
    gain_W: Tensor | None,
    gain_R: Tensor | None,
    gain_c: Tensor | None,
    b_c: Tensor | None,
    h0: Tensor,
    c0: Tensor,
    reset: Tensor | None,
    h_init: Tensor | None,
    c_init: Tensor | None,
    y: Tensor,
    c_all: Tensor,
    gates: Tensor,
    m_all: Tensor,
    Wx: Tensor,
    Rh: Tensor,
    scales: Tensor,
    spec: str,
    with_x: bool,
) -> list[Tensor]:
    """Gradients of x, W, R, b, p, P, gain_W, gain_R, gain_c, b_c, h0, c0, h_init
    and c_init, empty where there is none.

    dy: [T, B, out] and dc_all: [T, B, H] upstream, either may be None.
    """
    s = _spec(spec)
    T, H = len(gates), c0.shape[1]
    peep = dict(zip(s.peep_rows, p, strict=True)) if p is not None else {}
    delta = torch.empty_like(gates)
    dh_all = torch.empty_like(y) if P is not None else None
    h_before = torch.cat([h0.unsqueeze(0), y[:-1]])
    c_before = torch.cat([c0.unsqueeze(0), c_all[:-1]])
    if reset is not None:
        at = reset.unsqueeze(2)
        h_before = torch.where(at, h_init, h_before)
        c_before = torch.where(at, c_init, c_before)
        dh_init, dc_init = torch.zeros_like(h_init), torch.zeros_like(c_init)
    if s.norm != "none":
        W, R = _centre(W), _centre(R)
        d_Rh = torch.empty_like(gates)
        d_gain_W, d_gain_R = torch.zeros_like(gain_W), torch.zeros_like(gain_R)
        d_gain_c, d_b_c = torch.zeros_like(gain_c), torch.zeros_like(gain_c)
    inner = s.rows.replace("o", "")  # the gates that dc reaches: side by side
    n = len(inner)
    dh = torch.zeros_like(h0)
    dc = torch.zeros_like(c0)
    db = x.new_zeros(len(W))
    dp = x.new_zeros(0) if p is None else torch.zeros_like(p)
    for stop in range(T, 0, -CHUNK):
        start = max(0, stop - CHUNK)
        now = slice(start, stop)
        # What each gate would pass on for a gradient of one, for a few steps.
        v, d = _blocks(s, gates[now], H), _blocks(s, delta[now], H)
        i, f, g, o = (v.get(k) for k in "ifgo")
        before = c_before[now]
        slope = SLOPES[s.input_activation](g)
        torch.mul(slope, i, out=d["g"]) if s.input_gate else d["g"].copy_(slope)
        if s.input_gate:
            into = g - before if s.forget_gate == "coupled" else g
            torch.mul(into, i, out=d["i"]).addcmul_(d["i"], i, value=-1)
        if s.forget_gate == "learned":
            torch.mul(before, f, out=d["f"]).addcmul_(d["f"], f, value=-1)
        shown = c_all[now]
        if s.norm != "none":
            hat_c, _, scale_c = torch.native_layer_norm(shown, [H], None, None, EPS)
            shown = hat_c * gain_c
            shown = shown if b_c is None else shown.add_(b_c)
        out = ACTIVATIONS[s.output_activation](shown)
        leak = SLOPES[s.output_activation](out)
        if s.output_gate:
            leak.mul_(o)
            torch.mul(out, o, out=d["o"]).addcmul_(d["o"], o, value=-1)
        keep = 1 - i if s.forget_gate == "coupled" else f
        for t in range(stop - 1, start - 1, -1):
            k = t - start
            if dy is not None:
                dh.add_(dy[t])
            if dc_all is not None:
                dc.add_(dc_all[t])
            dm = dh if P is None else torch.mm(dh_all[t].copy_(dh), P)
            if s.output_gate:
                d["o"][k].mul_(dm)
                if "o" in peep:
                    dc.addcmul_(d["o"][k], peep["o"])
            if s.norm == "none":
                dc.addcmul_(dm, leak[k])
            else:
                dn = dm * leak[k]
                d_b_c.add_(dn.sum(0))
                norm_c = hat_c[k], scale_c[k], gain_c, d_gain_c
                dn = _normalise_back(dn, *norm_c, torch.empty_like(dn))
                dc.add_(dn).sub_(dn.mean(1, keepdim=True))
            at_t = delta[t]
            at_t[:, : n * H].unflatten(1, (n, H)).mul_(dc.unsqueeze(1))
            if keep is not None:
                dc.mul_(keep[k])
            for name in s.peep_rows.replace("o", ""):
                dc.addcmul_(d[name][k], peep[name])
            if s.norm != "none":
                norm_R = Rh[t], scales[1, t], gain_R, d_gain_R
                at_t = _normalise_back(at_t, *norm_R, d_Rh[t])
            dh = torch.mm(at_t, R)
            if reset is not None:
                r = reset[t].unsqueeze(1)
                dh_init += torch.where(r, dh, 0)
                dc_init += torch.where(r, dc, 0)
                dh, dc = torch.where(r, 0, dh), torch.where(r, 0, dc)
        db.add_(delta[now].sum((0, 1)))
        for row, name in enumerate(s.peep_rows):
            seen = c_all if name == "o" else c_before
            dp[row].add_((d[name] * seen[now]).sum((0, 1)))
        if s.norm != "none":  # from here on, delta is the gradient at W x
            norm_W = Wx[now], scales[0, now], gain_W, d_gain_W
            _normalise_back(delta[now], *norm_W, delta[now])

    def none():  # the outputs of an operator may not be one tensor
        return x.new_empty(0)

    d_norm = [none() for _ in range(4)]
    if s.norm != "none":
        d_norm = [d_gain_W, d_gain_R, d_gain_c, none() if b_c is None else d_b_c]
    d_Rh = delta if s.norm == "none" else d_Rh
    dW = delta.flatten(0, 1).t() @ x.flatten(0, 1)
    dR = d_Rh.flatten(0, 1).t() @ h_before.flatten(0, 1)
    if s.norm != "none":
        dW, dR = _centre(dW), _centre(dR)
    return [
        delta @ W if with_x else none(),
        dW,
        dR,
        db,
        dp,
        none() if P is None else dh_all.flatten(0, 1).t() @ m_all.flatten(0, 1),
        *d_norm,
        dh,
        dc,
        none() if reset is None else dh_init,
        none() if reset is None else dc_init,
    ]


@lstm_backward.register_fake
def _(dy, dc, x, W, R, p, P, gain_W, gain_R, gain_c, b_c, h0, c0, reset, *rest):
    h_init, c_init, with_x = rest[0], rest[1], rest[-1]

    def like(t):
        return x.new_empty(0) if t is None else torch.empty_like(t)

    return [
        like(x if with_x else None),
        like(W),
        like(R),
        x.new_empty(W.shape[0]),
        *(like(t) for t in (p, P, gain_W, gain_R, gain_c, b_c, h0, c0)),
        like(None if reset is None else h_init),
        like(None if reset is None else c_init),
    ]


def _setup(ctx, inputs, output):
    *tensors, ctx.spec = inputs
    ctx.given = [t is not None for t in tensors]
    ctx.set_materialize_grads(False)
    b = 3  # its value is needed for no gradient
    ctx.save_for_backward(*tensors[:b], *tensors[b + 1 :], *output)


def _backward(ctx, dy, dc, *others):
    # lstm_backward has no derivative of its own: asking for a second one raises.
    grads = lstm_backward(dy, dc, *ctx.saved_tensors, ctx.spec, ctx.needs_input_grad[0])
    # x, weights, h0 and c0; then reset, which has none; then h_init and c_init.
    grads = [*grads[:-2], None, *grads[-2:]]
    grads = [g if has else None for g, has in zip(grads, ctx.given, strict=True)]
    return (grads[0] if ctx.needs_input_grad[0] else None, *grads[1:], None)


lstm_forward.register_autograd(_backward, setup_context=_setup)
