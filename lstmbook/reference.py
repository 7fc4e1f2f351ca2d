"""Recurrent networks in NumPy float64, forward and backward, by hand.

The oracle of the package: it imports no torch and nothing else of
`lstmbook`, every gradient is written out, and its tests hold it against
finite differences. It is slow and meant to be read.

Arrays are batch-first: x [B, T, D], states [B, H], outputs [B, T, H].
B batch, T time, D features, H hidden, `out` the size of h (H, or the size
of the projection). `z` is W x + b, known before the loop over time starts;
`delta` is the gradient of the loss at a pre-activation. Every backward
function walks back through time once, keeps delta for all steps, and forms
the gradients of the weights in one product at the end.

    rnn_forward   rnn_backward   rnn_jacobian    rtrl   bptt_cost  rtrl_cost
    lstm_forward  lstm_backward  lstm_jacobian   rtrl_lstm
    gru_forward   gru_backward
"""

from typing import NamedTuple

import numpy as np


def logistic(a):
    """1 / (1 + exp(-a)), any shape, without overflow for any finite a."""
    e = np.exp(-np.abs(a))
    return np.where(a >= 0, 1.0, e) / (1.0 + e)


# name -> (the function of a, its derivative written with its value y).
# The two scaled logistic functions are the g and h of Hochreiter and
# Schmidhuber 1997, with ranges (-2, 2) and (-1, 1).
ACTIVATIONS = {
    "tanh": (np.tanh, lambda y: 1 - y**2),
    "identity": (lambda a: a, np.ones_like),
    "relu": (lambda a: np.maximum(a, 0), lambda y: (y > 0) * 1.0),
    "4sigmoid-2": (lambda a: 4 * logistic(a) - 2, lambda y: 1 - y**2 / 4),
    "2sigmoid-1": (lambda a: 2 * logistic(a) - 1, lambda y: (1 - y**2) / 2),
}


# ---------------------------------------------------------------- plain RNN


def rnn_forward(x, h0, W, R, b, activation="tanh"):
    """h_t = act(W x_t + R h_{t-1} + b).

    x [B, T, D], h0 [B, H], W [H, D], R [H, H], b [H]; activation is a key
    of ACTIVATIONS ("identity" makes the recurrence linear).
    Returns the states h [B, T, H] and the cache that `rnn_backward` needs.
    Source: Elman 1990 (with logistic units).
    """
    act, _ = _activation(activation)
    R = _array("R", R, H=None, H_in=None)
    H = R.shape[0]
    R = _array("R", R, H=H, H_in=H)
    W = _array("W", W, H=H, D=None)
    b = _array("b", b, H=H)
    x = _array("x", x, B=None, T=None, D=W.shape[1])
    B, T, _ = x.shape

    z = x @ W.T + b
    h = np.empty([B, T + 1, H])  # h[:, 0] is h0
    h[:, 0] = _array("h0", h0, B=B, H=H)
    for t in range(T):
        h[:, t + 1] = act(z[:, t] + h[:, t] @ R.T)
    return h[:, 1:], {"x": x, "h": h, "W": W, "R": R, "activation": activation}


def rnn_backward(dy, cache, dh_T=None):
    """Back-propagation through time for `rnn_forward`.

    dy [B, T, H] is the gradient of the loss at each state, where it enters
    the loss itself; dh_T [B, H] is one more at the last state.
    Returns a dict of gradients: x, h0, W, R, b in their shapes, and for
    study h [B, T, H], the whole gradient at h_t with what comes back from
    the future, and delta [B, T, H] at the pre-activations.
    Source: Werbos 1990.
    """
    x, h, W, R = (cache[k] for k in ("x", "h", "W", "R"))
    _, slope = _activation(cache["activation"])
    B, T, H = h[:, 1:].shape
    dy = _array("dy", dy, B=B, T=T, H=H)
    dh = np.zeros([B, H]) if dh_T is None else _array("dh_T", dh_T, B=B, H=H)

    delta, total = np.empty([B, T, H]), np.empty([B, T, H])
    for t in reversed(range(T)):
        total[:, t] = dh = dh + dy[:, t]
        delta[:, t] = dh * slope(h[:, t + 1])
        dh = delta[:, t] @ R
    return {
        "x": delta @ W,
        "h0": dh,
        "W": _outer(delta, x),
        "R": _outer(delta, h[:, :-1]),
        "b": delta.sum((0, 1)),
        "h": total,
        "delta": delta,
    }


def rnn_jacobian(h, R, activation="tanh"):
    """One step of the plain RNN: dh_t / dh_{t-1} = diag(act'(a_t)) R.

    h [..., H] is the state *after* the step: act' is written with it.
    Returns [..., H, H]; row k is the gradient of the k-th new unit.
    Source: Pascanu, Mikolov and Bengio 2013, sec. 2 (the Jacobian product).
    """
    _, slope = _activation(activation)
    h = np.asarray(h, dtype=np.float64)
    H = h.shape[-1]
    return slope(h)[..., :, None] * _array("R", R, H=H, H_in=H)


def rtrl(x, h0, W, R, b, dLdh, activation="tanh"):
    """Gradients of the plain RNN by real-time recurrent learning.

    Nothing is kept of the past but the sensitivity S = dh_t / dtheta,
    [B, H, H, D+H+1], where theta = [W | R | b]. It is carried forward with
    the state, S_t = diag(act') (R S_{t-1} + du_t), and the gradient of the
    loss so far is known after every step.

    Arguments as in `rnn_forward`; dLdh [B, T, H] is the gradient of the
    loss at each state. Returns a dict with W, R, b, which equal those of
    `rnn_backward`.
    Source: Williams and Zipser 1989 (their p^k_ij is S[k, i, j]).
    """
    _, slope = _activation(activation)
    x, h = _array("x", x, B=None, T=None, D=None), _array("h0", h0, B=None, H=None)
    (B, T, D), H = x.shape, h.shape[1]
    R = _array("R", R, H=H, H_in=H)
    dLdh = _array("dLdh", dLdh, B=B, T=T, H=H)
    units = np.arange(H)
    S = np.zeros([B, H, H, D + H + 1])
    gradient = np.zeros([H, D + H + 1])
    for t in range(T):
        # Row k of theta meets u = (x, h_{t-1}, 1) in unit k and no other.
        u = np.concatenate([x[:, t], h, np.ones([B, 1])], axis=1)
        y, _ = rnn_forward(x[:, t : t + 1], h, W, R, b, activation)
        h = y[:, 0]
        S = (R @ S.reshape(B, H, -1)).reshape(S.shape)
        S[:, units, units] += u[:, None, :]
        S *= slope(h)[:, :, None, None]
        gradient += np.tensordot(dLdh[:, t], S, axes=([0, 1], [0, 1]))
    return {"W": gradient[:, :D], "R": gradient[:, D:-1], "b": gradient[:, -1]}


class Cost(NamedTuple):
    """What a gradient costs: multiplications, and floats held at the peak."""

    multiplications: int
    floats: int


def bptt_cost(T, D, H):
    """Cost of the weight gradients of one sequence with `rnn_backward`.

    Matrix products only, elementwise work left out: H(D+H) forward, H^2 for
    R' delta and H(D+H) for the weight gradients, at each of T steps. Held
    are x, h and delta of all steps, and the gradient: linear in T.
    """
    multiplications = T * (2 * H * (D + H) + H**2)
    return Cost(multiplications, T * (D + 2 * H) + H + H * (D + H + 1))


def rtrl_cost(T, D, H):
    """Cost of the weight gradients of one sequence with `rtrl`.

    With n = H(D+H+1) parameters each step takes H(D+H) forward, H^2 n for
    R S and H n for the gradient: of order H^4. Held are x_t, h_t, S and the
    gradient, whatever T is. Source: Williams and Zipser 1989.
    """
    n = H * (D + H + 1)
    multiplications = T * (H * (D + H) + H**2 * n + H * n)
    return Cost(multiplications, D + H + H * n + n)


# --------------------------------------------------------------------- LSTM


def lstm_forward(
    x,
    state,
    weights,
    *,
    input_gate=True,
    forget_gate="learned",
    output_gate=True,
    input_activation="tanh",
    output_activation="tanh",
    peepholes=False,
    projection=None,
    gate_recurrence=False,
    norm="none",
    gradient="full",
    initial=None,
    reset=None,
    lengths=None,
):
    """The LSTM with every flag.

    i = sigma(W_i x + R_i h_{t-1} + p_i * c_{t-1} + b_i)
    f = sigma(W_f x + R_f h_{t-1} + p_f * c_{t-1} + b_f)    or 1, or 1 - i
    g = act_in(W_g x + R_g h_{t-1} + b_g)
    c_t = f * c_{t-1} + i * g
    o = sigma(W_o x + R_o h_{t-1} + p_o * c_t + b_o)
    m_t = o * act_out(c_t)
    h_t = P m_t with a projection, else m_t

    Full gate recurrence adds G [i; f; o]_{t-1} to the gates' arguments.
    With LN(a) = (a - mean a) / sqrt(var a + EPS) over the last axis, a norm
    puts

    ba2016    gain_W LN(W x) + gain_R LN(R h) for W x + R h, LN over all rows,
              and m_t = o * act_out(gain_c LN(c_t) + b_c)
    carried   the same two, and c_t = gain_c LN(f * c_{t-1} + i * g) + b_c
    gatewise  gain_a LN(W x + R h + G..) gate by gate, and m_t as ba2016

    x        [B, T, D]
    state    (h0 [B, out], c0 [B, H]), or None for the initial state; with
             gate recurrence (h0, c0, i0, f0, o0), the gates [B, H]
    weights  dict of W [rows, D], R [rows, out], b [rows], and where the
             flags ask for them p [n_peep, H], P [projection, H], G [n H, n H]
             for n learned gates, gain_W, gain_R, gain_a [rows], gain_c and
             b_c [H]. Rows come in the order i f g o, peepholes and G in the
             order i f o; a gate that is absent (input_gate=False,
             forget_gate="one" or "coupled", output_gate=False) is 1
             (coupled: 1 - i) and owns no rows and no peephole.
    flags    as the fields of LSTMSpec; activations are keys of ACTIVATIONS
    initial  a state whose parts may lack the batch axis; zeros when None
    reset    [B, T] bool: before step t the state becomes the initial state
    lengths  [B] int in 1..T: beyond its length a row's output is zero, and
             its final state is the one at length - 1

    Returns y [B, T, out], the last state (h_T [B, out], c_T [B, H], ...) and
    a cache, which holds i f g o c m [B, T, H] and h [B, T, out] of all steps; what it
    holds beyond a row's length has no meaning.
    Source: Hochreiter and Schmidhuber 1997 (forget_gate="one", the scaled
    logistic activations); Gers et al. 2000 (forget gate); Gers et al. 2002
    (peepholes); Sak et al. 2014 (projection); Greff et al. 2015
    (these equations as "vanilla LSTM", and the flags as its variants, gate
    recurrence among them); Ba et al. 2016, eq. 20-22 (norm).
    """
    if gradient not in ("full", "truncated"):
        raise ValueError(f"gradient is {gradient!r}: full or truncated")
    rows, peeps = _rows(input_gate, forget_gate, output_gate)
    act_in, _ = _activation(input_activation)
    act_out, _ = _activation(output_activation)
    flags = peepholes, projection, gate_recurrence, norm
    w, H, out = _lstm_weights(weights, rows, peeps, *flags)
    peep = dict.fromkeys("ifo", 0.0)
    if peepholes:
        peep |= dict(zip(peeps, w["p"], strict=True))
    x = _array("x", x, B=None, T=None, D=w["W"].shape[1])
    B, T, _ = x.shape

    reset = np.zeros([B, T]) if reset is None else reset
    reset = _array("reset", reset, B=B, T=T).astype(bool)
    lengths = _lengths(lengths, B, T)
    inside = np.arange(T) < lengths[:, None]  # [B, T], False at padding
    x = np.where(inside[..., None], x, 0.0)

    sizes = dict(zip("hcifo", (out, H, H, H, H), strict=True))
    if not gate_recurrence:
        sizes = {k: sizes[k] for k in "hc"}
    init = _state("initial ", initial, B, sizes, zeros=True)
    now = init if state is None else _state("", state, B, sizes)

    z = x @ w["W"].T
    if "gain_W" in w:
        z, x_scale = _standard(z)
        z_hat, z = z, w["gain_W"] * z
    z = z if norm == "gatewise" else z + w["b"]
    one = np.ones([B, H])
    steps = []
    for t in range(T):
        put_back = reset[:, t, None]
        prev = {k: np.where(put_back, init[k], now[k]) for k in sizes}
        c_prev = prev["c"]
        kept = {f"{k}_prev": v for k, v in prev.items()}

        a = prev["h"] @ w["R"].T
        if "gain_R" in w:
            kept["a_hat"], kept["a_scale"] = _standard(a)
            a = w["gain_R"] * kept["a_hat"]
        a = _by_gate(z[:, t] + a, rows)
        if gate_recurrence:
            gates = np.concatenate([prev[k] for k in peeps], axis=1)
            for k, add in _by_gate(gates @ w["G"].T, peeps).items():
                a[k] = a[k] + add
        if norm == "gatewise":
            normed = {k: _standard(v) for k, v in a.items()}
            kept["a_hat"] = np.concatenate([normed[k][0] for k in rows], axis=1)
            kept["a_scale"] = np.concatenate([normed[k][1] for k in rows], axis=1)
            a = _by_gate(w["gain_a"] * kept["a_hat"] + w["b"], rows)

        i = logistic(a["i"] + peep["i"] * c_prev) if "i" in a else one
        f = logistic(a["f"] + peep["f"] * c_prev) if "f" in a else one
        if forget_gate == "coupled":
            f = 1 - i
        g = act_in(a["g"])
        c = shown = f * c_prev + i * g
        if norm != "none":
            kept["c_hat"], kept["c_scale"] = _standard(c)
            shown = w["gain_c"] * kept["c_hat"] + w["b_c"]
            c = shown if norm == "carried" else c
        o = logistic(a["o"] + peep["o"] * c) if "o" in a else one
        m = o * act_out(shown)
        h = m @ w["P"].T if "P" in w else m
        now = {"h": h, "c": c, "i": i, "f": f, "o": o}
        steps.append(now | {"g": g, "m": m, "shown": shown} | kept)

    cache = {k: np.stack([step[k] for step in steps], axis=1) for k in steps[0]}
    if "gain_W" in w:
        cache |= {"z_hat": z_hat, "z_scale": x_scale}
    cache |= {"x": x, "weights": w, "rows": rows, "peeps": peeps, "peep": peep}
    cache |= {"inside": inside, "lengths": lengths, "reset": reset}
    cache |= {"coupled": forget_gate == "coupled", "began": state is None}
    cache |= {"activations": (input_activation, output_activation)}
    cache |= {"sizes": sizes, "norm": norm, "truncated": gradient == "truncated"}
    y = np.where(inside[..., None], cache["h"], 0.0)
    last = np.arange(B), lengths - 1
    return y, tuple(cache[k][last] for k in sizes), cache


def lstm_backward(dy, cache, dh_T=None, dc_T=None, dgates_T=None):
    """Back-propagation through time for `lstm_forward`.

    dy [B, T, out] is the gradient of the loss at y, dh_T [B, out] and dc_T
    [B, H] at the final state, and with gate recurrence dgates_T (i, f, o, each
    [B, H]); what dy says at padding is ignored. With gradient="truncated" an
    error that has reached the argument of a gate or of the candidate changes
    weights, passes on to x, and to nothing of the step before.
    Returns a dict of gradients in the shapes of what they belong to:
    x, every weight, and h0, c0 (and i0, f0, o0); h_init [B, out] and
    c_init [B, H] (...) for the initial state (what resets send there, and h0
    and c0 too if the sequence began there; sum over the batch if it is shared);
    and for study h [B, T, out] and c [B, T, H], the whole gradient at every
    h_t and c_t, and delta [B, T, rows] at the pre-activations.
    Source: Werbos 1990; Greff et al. 2015 ("Backpropagation through time");
    Hochreiter and Schmidhuber 1997, appendix A.1 (truncated).
    """
    w, rows, peeps, sizes = (cache[k] for k in ("weights", "rows", "peeps", "sizes"))
    norm, full = cache["norm"], not cache["truncated"]
    # What flows back through a peephole; the forward pass used them all.
    peep = cache["peep"] if full else dict.fromkeys("ifo", 0.0)
    _, slope_in = _activation(cache["activations"][0])
    act_out, slope_out = _activation(cache["activations"][1])
    B, T, out = cache["h"].shape
    dy = _array("dy", dy, B=B, T=T, out=out)
    dy = np.where(cache["inside"][..., None], dy, 0.0)
    ends = (dh_T, dc_T, *(dgates_T or (None,) * 3))
    ends = {k: e for k, e in zip("hcifo", ends, strict=True) if e is not None}
    end = {k: np.zeros([B, n]) for k, n in sizes.items()}
    for k, e in ends.items():
        end[k] = _array(f"d{k}_T", e, B=B, size=sizes.get(k, 0))

    back = {k: np.zeros([B, n]) for k, n in sizes.items()}
    d_init = {k: np.zeros([B, n]) for k, n in sizes.items()}
    delta = np.empty([B, T, w["W"].shape[0]])
    # Gradients at R h, at W x, and at the normalised c before gain and bias.
    d_Rh, d_Wx = np.empty_like(delta), np.empty_like(delta)
    d_G = np.empty([B, T, len(peeps) * cache["c"].shape[-1]])
    total_h, total_c = np.empty_like(cache["h"]), np.empty_like(cache["c"])
    d_shown = np.empty_like(total_c)
    for t in reversed(range(T)):
        i, f, g, o, c_prev = (cache[k][:, t] for k in ("i", "f", "g", "o", "c_prev"))
        at_end = (cache["lengths"] - 1 == t)[:, None]
        back = {k: v + at_end * end[k] for k, v in back.items()}
        dh = total_h[:, t] = back["h"] + dy[:, t]

        dm = dh @ w["P"] if "P" in w else dh
        s = act_out(cache["shown"][:, t])
        # sigma' = i (1 - i), which is zero for a gate that is constantly 1.
        d = {"o": (dm * s + back.get("o", 0.0)) * o * (1 - o)}
        d_shown[:, t] = dm * o * slope_out(s)
        into_c = back["c"] + d["o"] * peep["o"]
        if norm == "carried":
            total_c[:, t] = d_shown[:, t] = d_shown[:, t] + into_c
            dc = _standard_back(w["gain_c"] * d_shown[:, t], cache, "c", t)
        elif norm == "none":
            dc = total_c[:, t] = d_shown[:, t] + into_c
        else:
            through = _standard_back(w["gain_c"] * d_shown[:, t], cache, "c", t)
            dc = total_c[:, t] = through + into_c
        di = dc * g + back.get("i", 0.0)
        df = dc * c_prev + back.get("f", 0.0)
        if cache["coupled"]:
            di = di - df
        d["g"] = dc * i * slope_in(g)
        d["f"] = df * f * (1 - f) * (not cache["coupled"])
        d["i"] = di * i * (1 - i)
        delta[:, t] = np.concatenate([d[k] for k in rows], axis=1)

        d_Rh[:, t] = d_Wx[:, t] = delta[:, t]
        if norm == "gatewise":
            scaled = w["gain_a"] * delta[:, t]
            d_Rh[:, t] = d_Wx[:, t] = _standard_back(scaled, cache, "a", t, len(rows))
        elif norm != "none":
            d_Rh[:, t] = _standard_back(w["gain_R"] * delta[:, t], cache, "a", t)
        a = _by_gate(d_Wx[:, t], rows)
        d_G[:, t] = np.concatenate([a[k] for k in peeps] or [d_G[:, t]], axis=1)
        back = {"c": dc * f + d["i"] * peep["i"] + d["f"] * peep["f"]}
        back["h"] = full * d_Rh[:, t] @ w["R"]
        if "G" in w:
            back |= dict.fromkeys("ifo", np.zeros_like(dc))
            back |= _by_gate(full * d_G[:, t] @ w["G"], peeps)
        put_back = cache["reset"][:, t, None]
        d_init = {k: v + put_back * back[k] for k, v in d_init.items()}
        back = {k: np.where(put_back, 0.0, v) for k, v in back.items()}

    if cache["began"]:
        d_init = {k: v + back[k] for k, v in d_init.items()}
    grads = {f"{k}0": v for k, v in back.items()}
    grads |= {f"{k}_init": v for k, v in d_init.items()}
    if "gain_W" in w:
        d_Wx = _standard_back(w["gain_W"] * delta, cache, "z")
        grads["gain_W"] = (delta * cache["z_hat"]).sum((0, 1))
    for name in ("gain_R", "gain_a"):
        if name in w:
            grads[name] = (delta * cache["a_hat"]).sum((0, 1))
    if norm != "none":
        grads["gain_c"] = (d_shown * cache["c_hat"]).sum((0, 1))
        grads["b_c"] = d_shown.sum((0, 1))
    grads["x"] = d_Wx @ w["W"]
    grads["W"] = _outer(d_Wx, cache["x"])
    grads["R"] = _outer(d_Rh, cache["h_prev"])
    grads["b"] = delta.sum((0, 1))
    if "G" in w:
        before = np.concatenate([cache[f"{k}_prev"] for k in peeps], axis=2)
        grads["G"] = _outer(d_G, before)
    if "p" in w:
        d = _by_gate(delta, rows)
        seen = {"i": cache["c_prev"], "f": cache["c_prev"], "o": cache["c"]}
        grads["p"] = np.zeros_like(w["p"])
        for row, k in enumerate(peeps):
            grads["p"][row] = (d[k] * seen[k]).sum((0, 1))
    if "P" in w:
        grads["P"] = _outer(total_h, cache["m"])
    return grads | {"h": total_h, "c": total_c, "delta": delta}


def lstm_jacobian(cache, t):
    """One step of the LSTM: d(h_t, c_t) / d(h_{t-1}, c_{t-1}).

    cache is that of `lstm_forward`. Returns [B, out+H, out+H], h before c.
    The lower right block is diag(f_t), plus peephole terms: the path of the
    constant error carousel. At a reset it is the Jacobian at the initial
    state. With gradient="truncated" it is what is left of the Jacobian: the
    columns of h are zero. Not for gate recurrence or a norm.
    """
    by_a, by_c = _lstm_partials(cache, t)
    return _jacobian(cache, by_a, by_c)


def _jacobian(cache, by_a, by_c):
    by_h = (not cache["truncated"]) * by_a @ cache["weights"]["R"]
    return np.concatenate([by_h, by_c], axis=2)


_STEP = ("i", "f", "g", "o", "c", "c_prev")


def _lstm_partials(cache, t):
    """d(h_t, c_t) by a_t = W x + R h + b [B, out+H, rows], by c_{t-1} [.., H]."""
    if "G" in cache["weights"] or cache["norm"] != "none":
        raise ValueError(
            "the Jacobian is written for (h, c) without gate recurrence and norm: "
            "take gate_recurrence=False, norm='none', or lstm_backward"
        )
    w, rows = cache["weights"], cache["rows"]
    peep = dict.fromkeys("ifo", 0.0) if cache["truncated"] else cache["peep"]
    _, slope_in = _activation(cache["activations"][0])
    act_out, slope_out = _activation(cache["activations"][1])
    i, f, g, o, c, c_prev = (cache[k][:, t] for k in _STEP)

    s = act_out(c)
    c_by = {
        "i": (g - c_prev if cache["coupled"] else g) * i * (1 - i),
        "f": c_prev * f * (1 - f),
        "g": i * slope_in(g),
        "o": np.zeros_like(c),
    }
    c_by_c = f + c_by["i"] * peep["i"] + c_by["f"] * peep["f"]
    m_by_o = s * o * (1 - o)
    m_by_c = o * slope_out(s) + m_by_o * peep["o"]
    m_by = {k: m_by_c * c_by[k] for k in "ifg"} | {"o": m_by_o}

    def diag(v):
        return v[:, :, None] * np.eye(v.shape[1])

    c_by_a = np.concatenate([diag(c_by[k]) for k in rows], axis=2)
    h_by_a = np.concatenate([diag(m_by[k]) for k in rows], axis=2)
    c_by_c, h_by_c = diag(c_by_c), diag(m_by_c * c_by_c)
    if "P" in w:
        h_by_a, h_by_c = w["P"] @ h_by_a, w["P"] @ h_by_c
    by_a = np.concatenate([h_by_a, c_by_a], axis=1)
    return by_a, np.concatenate([h_by_c, c_by_c], axis=1)


def rtrl_lstm(x, state, weights, dLdh, **flags):
    """Gradients of the LSTM by real-time recurrent learning.

    As `rtrl`, for the state s = (h, c) and any flags of `lstm_forward` but
    gate recurrence and norm (no resets, no lengths):
    S_t = J_t S_{t-1} + (what theta does in step t), with J_t of
    `lstm_jacobian`. dLdh [B, T, out].
    Returns a dict with W, R, b, p, P (those there are), equal to those of
    `lstm_backward`. With gradient="truncated" this is the 1997 algorithm in
    what it computes: S then runs along each cell's own c alone, and the
    original keeps only those numbers; here is all of it.
    Source: Williams and Zipser 1989; Hochreiter and Schmidhuber 1997.
    """
    w = {k: np.asarray(v, np.float64) for k, v in weights.items() if v is not None}
    x = _array("x", x, B=None, T=None, D=None)
    out = w["R"].shape[1]
    dLdh = _array("dLdh", dLdh, B=x.shape[0], T=x.shape[1], out=out)
    S = dict.fromkeys(w, 0.0)
    grads = {k: np.zeros_like(v) for k, v in w.items()}
    for t in range(x.shape[1]):
        x_t = x[:, t : t + 1]
        _, state, cache = lstm_forward(x_t, state, weights, **flags)
        A, C = _lstm_partials(cache, 0)
        J = _jacobian(cache, A, C)
        direct = {"W": A[..., None] * x_t[:, :, None], "b": A}
        direct["R"] = A[..., None] * cache["h_prev"][:, :, None]
        if "p" in w:
            a = _by_gate(A, cache["rows"])
            seen = {"i": cache["c_prev"], "f": cache["c_prev"], "o": cache["c"]}
            direct["p"] = np.zeros([*A.shape[:2], *w["p"].shape])
            for row, k in enumerate(cache["peeps"]):
                direct["p"][:, :, row] = a[k] * seen[k]
        if "P" in w:
            direct["P"] = np.zeros([*A.shape[:2], *w["P"].shape])
            direct["P"][:, :out] = np.eye(out)[..., None] * cache["m"][:, :, None]
        for k in w:
            if t > 0:
                direct[k] += np.einsum("bsu,bu...->bs...", J, S[k])
            S[k] = direct[k]
            grads[k] += np.einsum("bs,bs...->...", dLdh[:, t], S[k][:, :out])
    return grads


# ---------------------------------------------------------------------- GRU


def gru_forward(x, h0, weights, reset="after"):
    """The gated recurrent unit in its two published forms.

    r = sigma(W_r x + R_r h_{t-1} + b_r)
    z = sigma(W_z x + R_z h_{t-1} + b_z)
    n = tanh(W_n x + b'_n + r * (R_n h_{t-1} + b_n))     reset="after"
    n = tanh(W_n x + b'_n + R_n (r * h_{t-1}))           reset="before"
    h_t = (1 - z) * n + z * h_{t-1}

    x [B, T, D], h0 [B, H]; weights is a dict of W [3H, D], R [3H, H] and
    b [3H] in the order r z n (b'_n is the last third of b), and b_n [H],
    inside the reset, for "after" only.
    Returns h [B, T, H] and the cache, with r z n [B, T, H] of all steps.
    Source: Cho et al. 2014, sec. 2.3: the first arXiv version resets after
    the product (as cuDNN does), the third one before it.
    """
    if reset not in ("after", "before"):
        raise ValueError(f'reset is {reset!r}, expected "after" or "before"')
    h = np.asarray(h0, dtype=np.float64)
    H = h.shape[-1]
    W = _array("W", _get(weights, "W"), rows=3 * H, D=None)
    R = _array("R", _get(weights, "R"), rows=3 * H, H=H)
    b = _array("b", _get(weights, "b"), rows=3 * H)
    after = reset == "after"
    if (weights.get("b_n") is not None) != after:
        raise ValueError(f"weights need b_n for reset='after' only, reset={reset!r}")
    b_n = _array("b_n", weights["b_n"], H=H) if after else 0.0
    x = _array("x", x, B=None, T=None, D=W.shape[1])
    h = _array("h0", h, B=x.shape[0], H=H)

    lifted = x @ W.T + b
    R_r, R_z, R_n = np.split(R, 3)
    steps = []
    for t in range(x.shape[1]):
        h_prev = h
        x_r, x_z, x_n = np.split(lifted[:, t], 3, axis=1)
        r = logistic(x_r + h @ R_r.T)
        z = logistic(x_z + h @ R_z.T)
        q = h @ R_n.T + b_n if after else (r * h) @ R_n.T
        n = np.tanh(x_n + (r * q if after else q))
        h = (1 - z) * n + z * h
        steps.append({"r": r, "z": z, "n": n, "q": q, "h": h, "h_prev": h_prev})
    cache = {k: np.stack([step[k] for step in steps], axis=1) for k in steps[0]}
    return cache["h"], cache | {"x": x, "W": W, "R": R, "after": after}


def gru_backward(dy, cache, dh_T=None):
    """Back-propagation through time for `gru_forward`.

    dy [B, T, H] and dh_T [B, H] as in `rnn_backward`. Returns a dict of
    gradients: x, h0, W, R, b, and b_n for "after"; for study h [B, T, H],
    the whole gradient at every h_t, and delta [B, T, 3H].
    """
    W, R, after = cache["W"], cache["R"], cache["after"]
    R_n = R[-R.shape[1] :]
    B, T, H = cache["h"].shape
    dy = _array("dy", dy, B=B, T=T, H=H)
    dh = np.zeros([B, H]) if dh_T is None else _array("dh_T", dh_T, B=B, H=H)

    # What reaches R differs from delta where the reset stands in between.
    delta, delta_R = np.empty([B, T, 3 * H]), np.empty([B, T, 3 * H])
    total = np.empty([B, T, H])
    for t in reversed(range(T)):
        r, z, n, q, h_prev = (cache[k][:, t] for k in ("r", "z", "n", "q", "h_prev"))
        total[:, t] = dh = dh + dy[:, t]
        d_n = dh * (1 - z) * (1 - n**2)
        d_z = dh * (h_prev - n) * z * (1 - z)
        d_rh = d_n @ R_n  # at r * h_{t-1}, if that is what R_n meets
        d_r = (d_n * q if after else d_rh * h_prev) * r * (1 - r)
        delta[:, t] = np.concatenate([d_r, d_z, d_n], axis=1)
        delta_R[:, t] = np.concatenate([d_r, d_z, d_n * r if after else d_n], axis=1)
        if after:
            dh = dh * z + delta_R[:, t] @ R
        else:
            dh = dh * z + delta_R[:, t, : 2 * H] @ R[: 2 * H] + d_rh * r

    grads = {"x": delta @ W, "h0": dh, "W": _outer(delta, cache["x"])}
    grads["R"] = _outer(delta_R, cache["h_prev"])
    if not after:
        grads["R"][-H:] = _outer(delta[..., -H:], cache["r"] * cache["h_prev"])
    grads["b"] = delta.sum((0, 1))
    if after:
        grads["b_n"] = delta_R[..., -H:].sum((0, 1))
    return grads | {"h": total, "delta": delta}


# ------------------------------------------------------- arguments and sums


def _outer(delta, u):
    """The sum of the outer products delta_t u_t' as one product: [rows, n]."""
    return delta.reshape(-1, delta.shape[-1]).T @ u.reshape(-1, u.shape[-1])


# What a layer norm adds to the variance before its root.
EPS = 1e-5


def _standard(a):
    """(a - mean) / sqrt(var + EPS) over the last axis, and the 1/sqrt [.., 1]."""
    a = a - a.mean(-1, keepdims=True)
    scale = 1 / np.sqrt((a**2).mean(-1, keepdims=True) + EPS)
    return a * scale, scale


def _standard_back(d, cache, name, t=None, groups=1):
    """The gradient before `_standard` from that after it, [.., n] in groups.

    dL/da = scale (d - mean d - hat mean(d hat)): what is left of d without its
    parts along 1 and along hat, which a norm takes no notice of.
    """
    at = slice(None) if t is None else (slice(None), t)
    shape = [*d.shape[:-1], groups, -1]
    hat = cache[f"{name}_hat"][at].reshape(shape)
    scale = cache[f"{name}_scale"][at].reshape(shape)
    d = d.reshape(shape)
    share = (d * hat).mean(-1, keepdims=True)
    result = scale * (d - d.mean(-1, keepdims=True) - hat * share)
    return result.reshape([*result.shape[:-2], -1])


def _by_gate(a, rows):
    """The last axis [.., rows] cut into a dict of gates, each [.., H]."""
    return dict(zip(rows, np.split(a, len(rows), axis=-1), strict=True))


def _array(name, value, **sizes):
    """value in float64, if its shape is that of sizes (None fits any size)."""
    array = np.asarray(value, dtype=np.float64)
    wanted = list(sizes.values())
    fits = array.ndim == len(wanted) and all(
        n in (None, m) for n, m in zip(wanted, array.shape, strict=True)
    )
    if not fits:
        expected = ", ".join(k if n is None else f"{k}={n}" for k, n in sizes.items())
        raise ValueError(f"{name} has shape {list(array.shape)}, expected [{expected}]")
    return array


def _get(weights, name):
    if weights.get(name) is None:
        raise ValueError(f"weights have no {name}, only {sorted(weights)}")
    return weights[name]


def _activation(name):
    if name not in ACTIVATIONS:
        raise ValueError(f"activation {name!r} is none of {list(ACTIVATIONS)}")
    return ACTIVATIONS[name]


def _rows(input_gate, forget_gate, output_gate):
    """The gates that own rows, and those that may have a peephole, in order."""
    if forget_gate not in ("learned", "one", "coupled"):
        raise ValueError(f"forget_gate is {forget_gate!r}: learned, one or coupled")
    if forget_gate == "coupled" and not input_gate:
        raise ValueError("a coupled forget gate is 1 - i and needs input_gate=True")
    learned = {
        "i": input_gate,
        "f": forget_gate == "learned",
        "g": True,
        "o": output_gate,
    }
    return [k for k in "ifgo" if learned[k]], [k for k in "ifo" if learned[k]]


def _lstm_weights(weights, rows, peeps, peepholes, projection, recurrence, norm):
    """The weights in float64 with their shapes checked, H, and the size of h."""
    if norm not in ("none", "ba2016", "carried", "gatewise"):
        raise ValueError(f"norm is {norm!r}: none, ba2016, carried or gatewise")
    if recurrence and not peeps:
        raise ValueError("gate recurrence needs a gate that is learned")
    W = _array("W", _get(weights, "W"), rows=None, D=None)
    n = W.shape[0]
    H, rest = divmod(n, len(rows))
    if rest:
        raise ValueError(f"W has {n} rows, not a multiple of the {len(rows)} {rows}")
    out = H if projection is None else projection
    both, gates = norm in ("ba2016", "carried"), len(peeps) * H
    optional = {
        "p": (peepholes, {"n_peep": len(peeps), "H": H}),
        "P": (projection is not None, {"projection": out, "H": H}),
        "G": (recurrence, {"gates": gates, "gates_in": gates}),
        "gain_W": (both, {"rows": n}),
        "gain_R": (both, {"rows": n}),
        "gain_a": (norm == "gatewise", {"rows": n}),
        "gain_c": (norm != "none", {"H": H}),
        "b_c": (norm != "none", {"H": H}),
    }
    w = {"W": W, "R": _array("R", _get(weights, "R"), rows=n, out=out)}
    w["b"] = _array("b", _get(weights, "b"), rows=n)
    for name, (wanted, sizes) in optional.items():
        if (weights.get(name) is not None) != bool(wanted):
            found = "lack" if wanted else "have"
            raise ValueError(
                f"weights {found} {name}: {peepholes=}, {projection=}, "
                f"gate_recurrence={recurrence}, {norm=}"
            )
        if wanted:
            w[name] = _array(name, weights[name], **sizes)
    return w, H, out


def _state(what, state, B, sizes, zeros=False):
    """The parts of a state by name, each [B, size]."""
    if state is None and zeros:
        return {k: np.zeros([B, n]) for k, n in sizes.items()}
    if len(state) != len(sizes):
        raise ValueError(
            f"{what}state has {len(state)} parts, this cell's has {', '.join(sizes)}"
        )
    parts = {}
    for (k, n), value in zip(sizes.items(), state, strict=True):
        value = np.asarray(value, dtype=np.float64)
        if what and value.ndim == 1:
            value = np.tile(value, (B, 1))
        size = {"out" if k == "h" else "H": n}
        parts[k] = _array(what + k if what else f"{k}0", value, B=B, **size)
    return parts


def _lengths(lengths, B, T):
    lengths = _array("lengths", np.full(B, T) if lengths is None else lengths, B=B)
    if lengths.min() < 1 or lengths.max() > T:
        raise ValueError(f"lengths {lengths.tolist()} are not all in 1..T={T}")
    return lengths.astype(int)
