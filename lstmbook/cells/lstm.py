"""Long short-term memory: the cell, its switches and its one update.

    i = sigma(W_i x + R_i h + p_i * c  + b_i)      input gate
    f = sigma(W_f x + R_f h + p_f * c  + b_f)      forget gate
    g =  tanh(W_g x + R_g h            + b_g)      candidate
    c' = f * c + i * g                             cell state
    o = sigma(W_o x + R_o h + p_o * c' + b_o)      output gate
    h' = o * tanh(c')                              hidden state

The cell is Hochreiter and Schmidhuber 1997; the forget gate Gers, Schmidhuber
and Cummins 2000; the peepholes p Gers and Schmidhuber 2000. Every switch of
`LSTMSpec` removes or changes one thing in these lines (the variants of Greff et
al. 2015). Gates are ordered i f g o everywhere; an absent gate owns no rows.
"""

from dataclasses import asdict, dataclass, replace
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .cell import Cell

ACTIVATIONS = {
    "tanh": torch.tanh,
    "identity": lambda a: a,
    "relu": torch.relu,
    # The two squashing functions of the 1997 paper, in [-2, 2] and [-1, 1].
    "4sigmoid-2": lambda a: 4 * torch.sigmoid(a) - 2,
    "2sigmoid-1": lambda a: 2 * torch.sigmoid(a) - 1,
}


class LSTMState(NamedTuple):
    """h: [batch, hidden or projection], c: [batch, hidden]."""

    h: Tensor
    c: Tensor


class LSTMGates(NamedTuple):
    """Activations of the gates; each [batch, hidden]. An absent gate is 1."""

    i: Tensor
    f: Tensor
    g: Tensor
    o: Tensor


@dataclass(frozen=True)
class LSTMSpec:
    """Which LSTM: one field for each thing the literature has taken away.

    input_gate: False fixes i = 1 (NIG)
    forget_gate: "learned"; "one" fixes f = 1 (NFG); "coupled" is f = 1 - i (CIFG)
    output_gate: False fixes o = 1 (NOG)
    input_activation: what squashes the candidate ("identity": NIAF)
    output_activation: what squashes the cell state on its way out (NOAF)
    peepholes: gates see the cell state through one weight a cell
    projection: h is P m with m = o * tanh(c): an int is its size, a float in
        (0, 1) a share of hidden_size; None is no projection (Sak et al. 2014)
    """

    input_gate: bool = True
    forget_gate: Literal["learned", "one", "coupled"] = "learned"
    output_gate: bool = True
    input_activation: str = "tanh"
    output_activation: str = "tanh"
    peepholes: bool = False
    projection: int | float | None = None

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
    def peep_rows(self) -> str:
        """The rows of p that exist: the learned gates, in order."""
        return self.rows.replace("g", "") if self.peepholes else ""

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
    ),
    "lstmp": LSTMSpec(peepholes=True, projection=0.5),
}


def lstm_update(pre: Tensor, c: Tensor, spec: LSTMSpec, peep: Tensor | None = None):
    """One step of the cell, from gate pre-activations.

    pre: [batch, rows, ...]   W x + R h + b, in the order i, f, g, o
    c:   [batch, hidden, ...] the cell state before the step
    peep: [n_peep, hidden, ...] peephole weights, for spec.peep_rows
    Returns the new cell state, the output before projection, and the gates that
    made them.
    Source: Gers, Schmidhuber and Cummins 2000; switches after Greff et al. 2015.
    """
    a = dict(zip(spec.rows, pre.split(c.shape[1], dim=1), strict=True))
    p = dict(zip(spec.peep_rows, peep, strict=True)) if spec.peep_rows else {}

    def gate(name, cell):
        return torch.sigmoid(a[name] + p[name] * cell if p else a[name])

    one = torch.ones_like(c)
    i = gate("i", c) if spec.input_gate else one
    f = {"learned": gate, "one": lambda *_: one, "coupled": lambda *_: 1 - i}[
        spec.forget_gate
    ]("f", c)
    g = ACTIVATIONS[spec.input_activation](a["g"])
    c = f * c + i * g
    o = gate("o", c) if spec.output_gate else one
    h = o * ACTIVATIONS[spec.output_activation](c)
    return c, h, LSTMGates(i, f, g, o)


class LSTMCell(Cell):
    """The LSTM cell, in every form that `LSTMSpec` can name.

    input_size, hidden_size: D and H
    spec: an LSTMSpec or the name of a preset ("lstm", "odyssey", "cifg", ...)
    forget_bias: where the forget rows of b start. Above 0 the cell starts by
        remembering (Gers et al. 2000; Jozefowicz et al. 2015); None leaves 0.
        Without bias or a learned forget gate there is nothing to set.
    bias: whether there is a bias b
    learn_initial_state: whether (h_0, c_0) is learned

    Weights: W [rows, D], R [rows, H or projection], b [rows] with the rows of
    spec.rows; p [n_peep, H]; P [projection, H]. All start uniform in
    ±1/sqrt(H), as in torch.nn, and b at 0.
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
        projection = spec.projection_size(hidden_size)
        self.spec = spec
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
        self.forget_bias = forget_bias
        self.reset_parameters()

    def state_sizes(self) -> tuple[int, int]:
        return (self.output_size, self.hidden_size)

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

    def step(self, z: Tensor, state: LSTMState, ctx=None):
        """z: [batch, rows] from `lift`; returns (LSTMState, LSTMGates)."""
        pre = z + F.linear(state.h, self.R)
        c, h, gates = lstm_update(pre, state.c, self.spec, self.p)
        if self.P is not None:
            h = F.linear(h, self.P).to(c.dtype)  # autocast narrows products
        return LSTMState(h, c), gates

    def library(self):
        spec = self.spec
        if spec.with_(projection=None) != PRESETS["lstm"]:
            changed = [
                k
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
