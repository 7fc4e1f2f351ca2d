"""Long short-term memory: the cell, its switches and its one update.

    i = sigma(W_i x + R_i h + p_i * c  + b_i)      input gate
    f = sigma(W_f x + R_f h + p_f * c  + b_f)      forget gate
    g =  tanh(W_g x + R_g h            + b_g)      candidate
    c' = f * c + i * g                             cell state
    o = sigma(W_o x + R_o h + p_o * c' + b_o)      output gate
    h' = o * tanh(c')                              hidden state

The cell is Hochreiter and Schmidhuber 1997; the forget gate Gers, Schmidhuber
and Cummins 2000; the peepholes p Gers and Schmidhuber 2000. Every switch of
`LSTMSpec` removes or changes one thing in these lines: the variants of Greff et
al. 2015, the layer normalisation of Ba et al. 2016 in its three forms, and the
truncated gradient of 1997. Gates are ordered i f g o everywhere; an absent gate
owns no rows.
"""

from dataclasses import asdict, dataclass, replace
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..states import detach
from .cell import Cell

ACTIVATIONS = {
    "tanh": torch.tanh,
    "identity": lambda a: a,
    "relu": torch.relu,
    # The two squashing functions of the 1997 paper, in [-2, 2] and [-1, 1].
    "4sigmoid-2": lambda a: 4 * torch.sigmoid(a) - 2,
    "2sigmoid-1": lambda a: 2 * torch.sigmoid(a) - 1,
}
NORMS = ("none", "ba2016", "carried", "gatewise")
GRADIENTS = ("full", "truncated")
# What a layer norm adds to the variance before its root, as torch.nn.LayerNorm.
EPS = 1e-5


class LSTMState(NamedTuple):
    """h: [batch, hidden or projection], c: [batch, hidden]."""

    h: Tensor
    c: Tensor


class FGRState(NamedTuple):
    """The state with full gate recurrence: the gates of the step are part of it.

    h: [batch, hidden or projection]; c, i, f, o: [batch, hidden]. Before the first
    step the gates are 0.
    """

    h: Tensor
    c: Tensor
    i: Tensor
    f: Tensor
    o: Tensor


class LSTMGates(NamedTuple):
    """Activations of the gates; each [batch, hidden]. An absent gate is 1."""

    i: Tensor
    f: Tensor
    g: Tensor
    o: Tensor


@dataclass(frozen=True)
class LSTMSpec:
    """Which LSTM: one field for each thing the literature has changed.

    input_gate: False fixes i = 1 (NIG)
    forget_gate: "learned"; "one" fixes f = 1 (NFG); "coupled" is f = 1 - i (CIFG)
    output_gate: False fixes o = 1 (NOG)
    input_activation: what squashes the candidate ("identity": NIAF)
    output_activation: what squashes the cell state on its way out (NOAF)
    peepholes: gates see the cell state through one weight a cell
    projection: h is P m with m = o * tanh(c): an int is its size, a float in
        (0, 1) a share of hidden_size; None is no projection (Sak et al. 2014)
    gate_recurrence: gates see the gates of the step before, through nine more
        matrices (FGR of Greff et al. 2015, after the nets of 1997)
    norm: where layer normalisation stands, LN(a) = gain * (a - mean) / std.
        "ba2016": LN(W x) + LN(R h) + b, each over all rows, and c is seen
            through LN on its way out alone (Ba et al. 2016, eq. 20-22);
        "carried": the same, and the normalised c is also what is carried on
            (PyTorch's fastrnns benchmark, `LayerNormLSTMCell`);
        "gatewise": one norm a gate over its part of W x + R h, and c on its way
            out (labml's annotated LSTM, without its second bias)
    gradient: "truncated" is that of Hochreiter and Schmidhuber 1997, appendix A.1:
        an error that has reached a gate or the candidate changes their weights,
        passes on to x, and goes no further back in time; along c it does. Nor
        does it return through peepholes (Gers et al. 2002)
    """

    input_gate: bool = True
    forget_gate: Literal["learned", "one", "coupled"] = "learned"
    output_gate: bool = True
    input_activation: str = "tanh"
    output_activation: str = "tanh"
    peepholes: bool = False
    projection: int | float | None = None
    gate_recurrence: bool = False
    norm: Literal["none", "ba2016", "carried", "gatewise"] = "none"
    gradient: Literal["full", "truncated"] = "full"

    def __post_init__(self):
        if self.forget_gate not in ("learned", "one", "coupled"):
            raise ValueError(
                f"forget_gate={self.forget_gate!r}: "
                "choose 'learned', 'one' or 'coupled'"
            )
        if self.forget_gate == "coupled" and not self.input_gate:
            raise ValueError(
                "forget_gate='coupled' is f = 1 - i and needs input_gate=True"
            )
        for name in (self.input_activation, self.output_activation):
            if name not in ACTIVATIONS:
                raise ValueError(
                    f"activation {name!r}: choose one of {sorted(ACTIVATIONS)}"
                )
        p = self.projection
        if p is not None and not (
            p >= 1 if isinstance(p, int) else isinstance(p, float) and 0 < p < 1
        ):
            raise ValueError(
                f"projection={p!r}: give a size (int, at least 1), "
                "a share of the hidden size (float between 0 and 1) or None"
            )
        if self.norm not in NORMS:
            raise ValueError(f"norm={self.norm!r}: choose one of {NORMS}")
        if self.gradient not in GRADIENTS:
            raise ValueError(f"gradient={self.gradient!r}: choose one of {GRADIENTS}")
        if self.gate_recurrence and not self.gate_rows:
            raise ValueError(
                "gate_recurrence=True needs a gate that is learned: "
                "this spec has none of i, f, o"
            )

    @property
    def rows(self) -> str:
        """The blocks of W, R and b that exist, in order: a part of "ifgo"."""
        return (
            "i" * self.input_gate
            + "f" * (self.forget_gate == "learned")
            + "g"
            + "o" * self.output_gate
        )

    @property
    def gate_rows(self) -> str:
        """The gates that are learned, in order: a part of "ifo"."""
        return self.rows.replace("g", "")

    @property
    def peep_rows(self) -> str:
        """The rows of p that exist: those of the learned gates, in order."""
        return self.gate_rows if self.peepholes else ""

    def projection_size(self, hidden_size: int) -> int | None:
        """Width of h with a projection, or None without one."""
        if isinstance(self.projection, float):
            return max(1, round(self.projection * hidden_size))
        return self.projection

    def with_(self, **changes) -> "LSTMSpec":
        """The same cell with something changed: spec.with_(peepholes=True)."""
        return replace(self, **changes)


_odyssey = LSTMSpec(peepholes=True)

# "Vanilla" means two things: the V of Greff et al. has peepholes and is called
# odyssey here; torch's LSTM has none and is that paper's NP.
PRESETS = {
    "lstm": LSTMSpec(),
    "np": LSTMSpec(),
    "odyssey": _odyssey,
    "nig": _odyssey.with_(input_gate=False),
    "nfg": _odyssey.with_(forget_gate="one"),
    "nog": _odyssey.with_(output_gate=False),
    "niaf": _odyssey.with_(input_activation="identity"),
    "noaf": _odyssey.with_(output_activation="identity"),
    "cifg": _odyssey.with_(forget_gate="coupled"),
    "lstm1997": LSTMSpec(
        forget_gate="one",
        input_activation="4sigmoid-2",
        output_activation="2sigmoid-1",
        gradient="truncated",
    ),
    "lstmp": LSTMSpec(peepholes=True, projection=0.5),
    "fgr": _odyssey.with_(gate_recurrence=True),
    "lnlstm": LSTMSpec(norm="ba2016"),
}


def lstm_update(
    pre: Tensor,
    c: Tensor,
    spec: LSTMSpec,
    peep: Tensor | None = None,
    norm_c=None,
):
    """One step of the cell, from gate pre-activations.

    pre: [batch, rows, ...]   W x + R h + b, in the order i, f, g, o
    c:   [batch, hidden, ...] the cell state before the step
    peep: [n_peep, hidden, ...] peephole weights, for spec.peep_rows
    norm_c: the layer norm of the cell state, a function, for a spec with a norm
    Returns the new cell state, the output before projection, and the gates that
    made them.
    Source: Gers, Schmidhuber and Cummins 2000; switches after Greff et al. 2015.
    """
    if (spec.norm == "none") != (norm_c is None):
        raise ValueError(
            f"norm={spec.norm!r} and norm_c={norm_c}: "
            "a spec with a norm needs the norm of c, and no other does"
        )
    a = dict(zip(spec.rows, pre.split(c.shape[1], dim=1), strict=True))
    p = dict(zip(spec.peep_rows, peep, strict=True)) if spec.peep_rows else {}

    def gate(name, cell):
        if not p:
            return torch.sigmoid(a[name])
        # In 1997's way of learning, no error leaves a gate by its peephole.
        seen = cell.detach() if spec.gradient == "truncated" else cell
        return torch.sigmoid(a[name] + p[name] * seen)

    one = torch.ones_like(c)
    i = gate("i", c) if spec.input_gate else one
    f = {"learned": gate, "one": lambda *_: one, "coupled": lambda *_: 1 - i}[
        spec.forget_gate
    ]("f", c)
    g = ACTIVATIONS[spec.input_activation](a["g"])
    c = f * c + i * g
    if spec.norm == "carried":
        c = norm_c(c)
    o = gate("o", c) if spec.output_gate else one
    shown = norm_c(c) if spec.norm in ("ba2016", "gatewise") else c
    h = o * ACTIVATIONS[spec.output_activation](shown)
    return c, h, LSTMGates(i, f, g, o)


def layer_norm(a: Tensor, gain: Tensor | None = None, bias: Tensor | None = None):
    """gain * (a - mean) / sqrt(var + EPS) + bias, over the last axis of a."""
    if gain is not None:
        a = a.to(gain.dtype)  # autocast narrows products; a norm stays as exact as c
    return F.layer_norm(a, a.shape[-1:], gain, bias, EPS)


class LSTMCell(Cell):
    """The LSTM cell, in every form that `LSTMSpec` can name.

    input_size, hidden_size: D and H
    spec: an LSTMSpec or the name of a preset ("lstm", "odyssey", "cifg", ...)
    forget_bias: where the forget rows of b start. Above 0 the cell starts by
        remembering (Gers et al. 2000; Jozefowicz et al. 2015); None leaves 0.
        Without bias or a learned forget gate there is nothing to set.
    bias: whether there is a bias b
    learn_initial_state: whether (h_0, c_0) is learned; what no error can reach
        stays 0 (everything but c_0 with the truncated gradient)

    Weights: W [rows, D], R [rows, H or projection], b [rows] with the rows of
    spec.rows; p [n_peep, H]; P [projection, H]; G [n H, n H] with gate recurrence,
    from the n learned gates to the same. All start uniform in ±1/sqrt(H), as in
    torch.nn, and b at 0. A norm has gains, which start at 1: gain_W and gain_R
    [rows], or gain_a [rows] gatewise, and gain_c [H] with its bias b_c [H]. Other
    biases of a norm would only add to b.
    """

    State = LSTMState

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        spec: LSTMSpec | str = "lstm",
        *,
        forget_bias: float | None = 1.0,
        bias: bool = True,
        learn_initial_state: bool = False,
    ):
        if isinstance(spec, str):
            if spec not in PRESETS:
                raise ValueError(f"spec={spec!r}: the presets are {sorted(PRESETS)}")
            spec = PRESETS[spec]
        elif isinstance(spec, dict):  # as `config` writes it
            spec = LSTMSpec(**spec)
        if spec.norm != "none" and hidden_size == 1:
            raise ValueError(
                f"norm={spec.norm!r} with hidden_size=1: a single value less its mean "
                "is 0, so the cell would say nothing. Take at least 2, or norm='none'"
            )
        projection = spec.projection_size(hidden_size)
        self.spec = spec
        if spec.gate_recurrence:
            self.State = FGRState
        super().__init__(
            input_size,
            hidden_size,
            len(spec.rows) * hidden_size,
            projection or hidden_size,
            bias=bias,
            learn_initial_state=learn_initial_state,
        )
        n_peep = len(spec.peep_rows)
        self.p = nn.Parameter(torch.empty(n_peep, hidden_size)) if n_peep else None
        self.P = (
            nn.Parameter(torch.empty(projection, hidden_size)) if projection else None
        )
        n_gates = len(spec.gate_rows) * hidden_size if spec.gate_recurrence else 0
        self.G = nn.Parameter(torch.empty(n_gates, n_gates)) if n_gates else None
        gains = {
            "none": (),
            "ba2016": ("W", "R", "c"),
            "carried": ("W", "R", "c"),
            "gatewise": ("a", "c"),
        }[spec.norm]
        for part in "WRac":
            size = hidden_size if part == "c" else len(self.W)
            gain = nn.Parameter(torch.empty(size)) if part in gains else None
            self.register_parameter(f"gain_{part}", gain)
        self.b_c = nn.Parameter(torch.empty(hidden_size)) if gains and bias else None
        self.forget_bias = forget_bias
        self.reset_parameters()
        if self.initial is not None:
            learned = ["c"]
            if spec.gradient == "full":
                learned += ["h", *(spec.gate_rows if spec.gate_recurrence else "")]
            for name, start in zip(self.State._fields, self.initial, strict=True):
                start.requires_grad_(name in learned)

    def state_sizes(self) -> tuple[int, ...]:
        H = self.hidden_size
        gates = (H, H, H) if self.spec.gate_recurrence else ()
        return (self.output_size, H, *gates)

    def reset_parameters(self) -> None:
        super().reset_parameters()
        has_place = self.b is not None and "f" in self.spec.rows
        if has_place and self.forget_bias is not None:
            with torch.no_grad():
                self.rows_of("f").fill_(self.forget_bias)

    def rows_of(self, gate: str, weight: str = "b") -> Tensor:
        """The block of one gate in W, R or b: a view, so it can be written to."""
        at = self.spec.rows.find(gate) * self.hidden_size
        if at < 0:
            raise ValueError(f"this cell has no rows for {gate!r}: {self.spec.rows}")
        return getattr(self, weight)[at : at + self.hidden_size]

    def lift(self, x: Tensor) -> Tensor:
        """The part without state, for any number of steps at once.

        x: [..., input_size]
        Returns z [..., rows]: W x + b, or LN(W x) + b with the norm "ba2016" or
        "carried", or W x alone where a norm comes later ("gatewise").
        """
        if self.gain_W is None:
            return F.linear(x, self.W, None if self.gain_a is not None else self.b)
        return layer_norm(F.linear(x, self.W), self.gain_W, self.b)

    def step(self, z: Tensor, state: LSTMState | FGRState, ctx=None):
        """z: [batch, rows] from `lift`; returns (state, LSTMGates)."""
        seen = detach(state) if self.spec.gradient == "truncated" else state
        a = F.linear(seen.h, self.R)
        pre = z + (a if self.gain_R is None else layer_norm(a, self.gain_R))
        if self.G is not None:
            pre = pre + self.from_gates(seen)
        if self.gain_a is not None:
            pre = pre.to(self.gain_a.dtype).unflatten(1, (-1, self.hidden_size))
            pre = layer_norm(pre)
            pre = pre.flatten(1) * self.gain_a
            pre = pre if self.b is None else pre + self.b
        norm_c = None if self.gain_c is None else self.norm_c
        c, h, gates = lstm_update(pre, state.c, self.spec, self.p, norm_c)
        if self.P is not None:
            h = F.linear(h, self.P).to(c.dtype)  # autocast narrows products
        if self.G is None:
            return LSTMState(h, c), gates
        return FGRState(h, c, *(gates._asdict()[k].to(c.dtype) for k in "ifo")), gates

    def from_gates(self, state: FGRState) -> Tensor:
        """What the gates of the step before add to each row; 0 for the candidate.

        Returns [batch, rows]. Source: Greff et al. 2015, variant FGR.
        """
        before = torch.cat([getattr(state, k) for k in self.spec.gate_rows], 1)
        add = F.linear(before, self.G)
        at = self.spec.rows.index("g") * self.hidden_size
        none = add.new_zeros(len(add), self.hidden_size)
        return torch.cat([add[:, :at], none, add[:, at:]], 1)

    def norm_c(self, c: Tensor) -> Tensor:
        """The layer norm of the cell state, for a spec with a norm."""
        return layer_norm(c, self.gain_c, self.b_c)

    def library(self):
        spec = self.spec
        if spec.with_(projection=None) != PRESETS["lstm"]:
            words = {"norm": "layer norm", "gradient": "truncated gradient"}
            changed = [
                words.get(k, k)
                for k, v in asdict(PRESETS["lstm"]).items()
                if k != "projection" and getattr(spec, k) != v
            ]
            return None, f"torch's LSTM kernel has no {', '.join(changed)}"
        if self.P is not None and self.output_size >= self.hidden_size:
            return None, "torch's kernel wants a projection below the hidden size"
        return "lstm", "torch's kernel computes this cell"

    def library_weights(self) -> list[Tensor]:
        return super().library_weights() + ([self.P] if self.P is not None else [])

    def config(self) -> dict:
        return super().config() | {
            "spec": asdict(self.spec),
            "forget_bias": self.forget_bias,
        }
