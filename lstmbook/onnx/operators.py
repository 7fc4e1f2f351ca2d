"""Cells as the recurrent operators of ONNX, and the operators as cells.

Both directions stand here together, because each is the check of the other: the
order of the gates, the two biases, and what fills the place of a gate that a cell
does without.
"""

from dataclasses import dataclass, field, fields

import numpy as np
import torch
from torch import Tensor

from ..cells import Cell, GRUCell, LSTMCell, LSTMSpec, MGUCell, RNNCell
from ..interop import GATE_ORDERS, reorder

# σ(100) is 1 in float32: a gate that the operator has and the cell has not.
HELD_OPEN = 100.0

# Our activations in the operator's words: name, alpha, beta.
ACTIVATIONS = {
    "tanh": ("Tanh", None, None),
    "relu": ("Relu", None, None),
    "identity": ("Affine", 1.0, 0.0),
    "4sigmoid-2": ("ScaledTanh", 2.0, 0.5),  # = 2 tanh(a / 2)
    "2sigmoid-1": ("ScaledTanh", 1.0, 0.5),
}
SIGMOID = ("Sigmoid", None, None)

# What this module writes of an LSTMSpec, and what only training sees of it.
_WRITTEN = {"input_gate", "forget_gate", "output_gate", "input_activation",
            "output_activation", "peepholes"}  # fmt: skip
_NOT_IN_A_FILE = {"gradient"}

PEEPHOLES = "iof"


@dataclass
class Operator:
    """One direction of a recurrent node: what differs, as data.

    kind: "LSTM", "GRU" or "RNN"; activations: (name, alpha, beta) for each function
    W [gates * hidden, input], R [gates * hidden, hidden], B [2 * gates * hidden] or
    None, P [3 * hidden] or None, all in the operator's order.
    """

    kind: str
    hidden: int
    activations: list
    W: np.ndarray
    R: np.ndarray
    B: np.ndarray | None = None
    P: np.ndarray | None = None
    flags: dict = field(default_factory=dict)

    @property
    def states(self):
        return ("h", "c") if self.kind == "LSTM" else ("h",)


# -- cells to operators -------------------------------------------------------


def array(weight: Tensor) -> np.ndarray:
    """A tensor of any kind, on any device, as float32."""
    return weight.detach().float().cpu().numpy()


def _lstm_operator(cell: LSTMCell) -> Operator:
    spec, H = cell.spec, cell.hidden_size
    for each in fields(spec):
        value = getattr(spec, each.name)
        if each.name not in _WRITTEN | _NOT_IN_A_FILE and value != each.default:
            raise ValueError(
                f"{each.name}={value!r}: ONNX's LSTM operator has no {each.name}"
            )
    coupled = spec.forget_gate == "coupled"
    absent = set("ifgo") - set(spec.rows) - ({"f"} if coupled else set())
    zero = {
        "W": np.zeros((H, cell.input_size), np.float32),
        "R": np.zeros((H, H), np.float32),
        "b": np.zeros(H, np.float32),
    }
    order = GATE_ORDERS["lstm"]["onnx"]
    full = {}
    for name in "WRb":
        have = getattr(cell, name)
        have = [] if have is None else np.split(array(have), len(spec.rows))
        have = dict(zip(spec.rows, have, strict=False))
        full[name] = {gate: have.get(gate, zero[name]) for gate in order}
    for gate in absent:
        full["b"][gate] = np.full(H, HELD_OPEN, np.float32)
    W, R, b = (np.concatenate(list(full[name].values())) for name in "WRb")
    B = P = None
    if cell.b is not None or absent:
        B = np.concatenate([b, np.zeros_like(b)])
    if spec.peep_rows:
        have = dict(zip(spec.peep_rows, array(cell.p), strict=True))
        P = np.concatenate([have.get(gate, zero["b"]) for gate in PEEPHOLES])
    squash = [ACTIVATIONS[spec.input_activation], ACTIVATIONS[spec.output_activation]]
    return Operator(
        "LSTM",
        H,
        [SIGMOID, *squash],
        W,
        R,
        B,
        P,
        {"input_forget": int(coupled)},
    )


def _gru_operator(cell: GRUCell) -> Operator:
    def weight(name):
        return array(reorder(getattr(cell, name), "rzn", GATE_ORDERS["gru"]["onnx"]))

    B = None
    if cell.b is not None:
        inside = np.zeros(3 * cell.hidden_size, np.float32)
        if cell.b_n is not None:
            inside[2 * cell.hidden_size :] = array(cell.b_n)
        B = np.concatenate([weight("b"), inside])
    return Operator(
        "GRU",
        cell.hidden_size,
        [SIGMOID, ACTIVATIONS["tanh"]],
        weight("W"),
        weight("R"),
        B,
        flags={"linear_before_reset": int(cell.reset == "after")},
    )


def _rnn_operator(cell: RNNCell) -> Operator:
    B = None
    if cell.b is not None:
        B = np.concatenate([array(cell.b), np.zeros(cell.hidden_size, np.float32)])
    return Operator(
        "RNN",
        cell.hidden_size,
        [ACTIVATIONS[cell.activation]],
        array(cell.W),
        array(cell.R),
        B,
    )


_WRITE = {
    LSTMCell: _lstm_operator,
    GRUCell: _gru_operator,
    RNNCell: _rnn_operator,
    MGUCell: lambda cell: _gru_operator(cell.as_gru()),
}


def to_operator(cell: Cell) -> Operator:
    """The operator that computes a cell.

    Raises ValueError, with the flag, for what no operator computes.
    """
    if type(cell) not in _WRITE:
        raise ValueError(
            f"{type(cell).__name__}: ONNX has no operator for this cell, only LSTM, "
            "GRU and RNN"
        )
    if cell.input_size == 0:
        raise ValueError(
            "input_size=0: ONNX's recurrent operators want an input; give the cell "
            "one feature that is always 0"
        )
    return _WRITE[type(cell)](cell)


# -- operators to cells -------------------------------------------------------


def to_cell(operator: Operator, learn_initial_state: bool = False) -> Cell:
    """The cell that computes an operator, with a copy of its weights.

    Raises ValueError for activations that no cell here has.
    """
    squash = _squashing(operator)
    parts = {
        name: torch.tensor(value)
        for name in "WRBP"
        if (value := getattr(operator, name)) is not None
    }
    options = {
        "input_size": operator.W.shape[1],
        "hidden_size": operator.R.shape[1],
        "bias": operator.B is not None,
        "learn_initial_state": learn_initial_state,
    }
    read = {"LSTM": _lstm_cell, "GRU": _gru_cell, "RNN": _rnn_cell}[operator.kind]
    with torch.no_grad():
        return read(parts, squash, operator.flags, options)


def _squashing(operator) -> list[str]:
    """The activations after the gates' σ, by our names."""
    known = {
        "LSTM": ([SIGMOID], set(ACTIVATIONS)),
        "GRU": ([SIGMOID], {"tanh"}),
        "RNN": ([], {"tanh", "relu"}),
    }
    gates, allowed = known[operator.kind]
    ours = {value: name for name, value in ACTIVATIONS.items()}
    squash = [ours.get(each) for each in operator.activations[len(gates) :]]
    if operator.activations[: len(gates)] != gates or not set(squash) <= allowed:
        names = [each[0] for each in operator.activations]
        raise ValueError(
            f"{operator.kind} with the activations {names} and their scales: no cell "
            "here has these"
        )
    return squash


def _lstm_cell(parts, squash, flags, options) -> LSTMCell:
    def by_gate(weight, order):
        return dict(zip(order, weight.chunk(len(order)), strict=True))

    order = GATE_ORDERS["lstm"]["onnx"]
    rows = {name: by_gate(parts[name], order) for name in "WR"}
    if "B" in parts:
        rows["b"] = by_gate(sum(parts["B"].chunk(2)), order)
    peep = by_gate(parts["P"], PEEPHOLES) if "P" in parts else {}

    def absent(gate):
        others = [rows["W"][gate], rows["R"][gate], peep.get(gate)]
        held = "b" in rows and (rows["b"][gate] == HELD_OPEN).all()
        return held and not any(w is not None and w.any() for w in others)

    forget_gate = "one" if absent("f") else "learned"
    spec = LSTMSpec(
        input_gate=not absent("i"),
        forget_gate="coupled" if flags.get("input_forget") else forget_gate,
        output_gate=not absent("o"),
        input_activation=squash[0],
        output_activation=squash[1],
        peepholes="P" in parts,
    )
    cell = LSTMCell(spec=spec, forget_bias=None, **options)
    if spec.peep_rows:
        cell.p.copy_(torch.stack([peep[gate] for gate in spec.peep_rows]))
    for name, gates in rows.items():
        getattr(cell, name).copy_(torch.cat([gates[gate] for gate in spec.rows]))
    return cell


def _gru_cell(parts, squash, flags, options) -> GRUCell:
    order, mine = GATE_ORDERS["gru"]["onnx"], "rzn"
    after = bool(flags.get("linear_before_reset"))
    weights = {name: reorder(parts[name], order, mine) for name in "WR"}
    if "B" in parts:
        outside, inside = (reorder(b, order, mine) for b in parts["B"].chunk(2))
        weights["b"] = outside + inside
        if after:  # only here does the candidate tell its two biases apart
            at = 2 * options["hidden_size"]
            weights["b"][at:] = outside[at:]
            weights["b_n"] = inside[at:]
    cell = GRUCell(reset="after" if after else "before", **options)
    for name, value in weights.items():
        getattr(cell, name).copy_(value)
    return cell


def _rnn_cell(parts, squash, flags, options) -> RNNCell:
    cell = RNNCell(activation=squash[0], **options)
    cell.W.copy_(parts["W"])
    cell.R.copy_(parts["R"])
    if "B" in parts:
        cell.b.copy_(sum(parts["B"].chunk(2)))
    return cell
