"""Layers to graphs, graphs to files, files to numbers and to layers again."""

import importlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..modes import evaluating
from ..recurrent import Bidirectional, BidirectionalState, Recurrent, Stack
from . import operators

# Operators that runtimes since 2021 know; nothing newer is needed.
OPSET, IR_VERSION = 17, 8

# -- layers to a graph --------------------------------------------------------


def _library(name: str):
    """onnx or onnxruntime, which only this module needs."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"{name} is not installed: pip install 'lstmbook[onnx]'"
        ) from error


class _Graph:
    """Nodes, weights, inputs and outputs of a file, as they are added."""

    def __init__(self):
        onnx = _library("onnx")
        self.helper, self.to_tensor = onnx.helper, onnx.numpy_helper.from_array
        self.nodes, self.inputs, self.outputs, self.weights = [], [], [], {}

    def node(self, kind, inputs, *outputs, **attributes):
        """Add a node; returns the name of its first output."""
        self.nodes.append(
            self.helper.make_node(
                kind, inputs, outputs, f"{kind}_{len(self.nodes)}", **attributes
            )
        )
        return outputs[0]

    def weight(self, name, value):
        value = np.ascontiguousarray(value)
        self.weights.setdefault(name, self.to_tensor(value, name))
        return name

    def input(self, name, shape, default=None, kind="FLOAT"):
        """An input; with a default, which in ONNX is a weight of that name."""
        if default is not None:
            self.weight(name, default)
        self.inputs.append(self._value(name, shape, kind))
        return name

    def output(self, name, shape):
        self.outputs.append(self._value(name, shape, "FLOAT"))

    def _value(self, name, shape, kind):
        from onnx import TensorProto

        kind = getattr(TensorProto, kind)
        return self.helper.make_tensor_value_info(name, kind, shape)

    def integers(self, *values):
        """A weight [n] of integers, such as axes."""
        name = "int_" + "_".join(map(str, values))
        return self.weight(name, np.array(values, dtype=np.int64))


def _add(graph: _Graph, layer, x: str, prefix: str = "") -> str:
    """Add a layer to a graph; x and the result name [batch, time, features]."""
    if isinstance(layer, Recurrent):
        return _add_operator(graph, [layer.cell], x, prefix, [""])
    if isinstance(layer, Bidirectional):
        ways = [layer.forward_layer, layer.backward_layer]
        if not all(isinstance(way, Recurrent) for way in ways):
            raise ValueError("both directions of a Bidirectional must be Recurrent")
        cells = [way.cell for way in ways]
        return _add_operator(graph, cells, x, prefix, ["forward.", "backward."])
    if isinstance(layer, Stack):
        size = layer.input_size
        for k, each in enumerate(layer.layers):
            y = _add(graph, each, x, f"{prefix}{k}.")
            if layer.residual and each.output_size == size:
                y = graph.node("Add", [x, y], f"{prefix}{k}.sum")
            x, size = y, each.output_size
        return x
    raise TypeError(
        f"{type(layer).__name__}: give a Recurrent, Bidirectional or Stack layer "
        "(of a model: its layer)"
    )


def _add_operator(graph, cells, x, prefix, ways):
    """Add the node of one layer, in one direction or in two."""
    ops = [operators.to_operator(cell) for cell in cells]
    first = ops[0]
    if any(
        (o.kind, o.hidden, o.flags, o.activations, o.B is None, o.P is None)
        != (first.kind, first.hidden, first.flags, first.activations,
            first.B is None, first.P is None)
        for o in ops
    ):  # fmt: skip
        raise ValueError(
            "the two directions of a Bidirectional are one ONNX operator: give them "
            "cells of one kind, size and spec, both with a bias or both without"
        )
    size = first.hidden

    def stacked(name):
        values = [getattr(o, name) for o in ops]
        # An input that is left out is named "".
        return "" if values[0] is None else graph.weight(prefix + name, values)

    starts = []
    for k, state in enumerate(first.states):
        rows = []
        for cell, way in zip(cells, ways, strict=True):
            name = f"{prefix}{way}initial_{state}"
            own = torch.zeros(size) if cell.initial is None else cell.initial[k]
            own = operators.array(own)[None]
            if len(ways) == 1:
                graph.input(name, [f"{name}_rows", size], own)
            else:
                graph.weight(name, own)
            # [1, size] or [batch, size] to [batch, size]
            rows.append(graph.node("Expand", [name, "batch_1"], f"{name}_batch"))
        name = f"{prefix}start_{state}"
        rows = [
            graph.node("Unsqueeze", [r, graph.integers(0)], f"{r}_way") for r in rows
        ]
        starts.append(graph.node("Concat", rows, name, axis=0))

    functions = first.activations * len(ways)
    options = {"hidden_size": size, **first.flags}
    if any(alpha is not None for _, alpha, _ in functions):
        # Only functions that have an alpha and a beta take one from the lists.
        options["activation_alpha"] = [a for _, a, _ in functions if a is not None]
        options["activation_beta"] = [b for _, _, b in functions if b is not None]
    time_first = graph.node("Transpose", [x], f"{prefix}X", perm=[1, 0, 2])
    inputs = [time_first, *(stacked(name) for name in "WRB"), "steps", *starts]
    if first.kind == "LSTM":
        inputs.append(stacked("P"))
    outputs = [f"{prefix}Y", *(f"{prefix}Y_{state}" for state in first.states)]
    graph.node(
        first.kind,
        inputs,
        *outputs,
        direction="forward" if len(ways) == 1 else "bidirectional",
        activations=[name for name, _, _ in functions],
        **options,
    )
    for state in first.states:
        one_way = [f"{prefix}{way}Y_{state}_way" for way in ways]
        graph.node("Split", [f"{prefix}Y_{state}", graph.integers(*[1] * len(ways))],
                   *one_way, axis=0)  # fmt: skip
    for way in ways:
        for state in first.states:
            source, name = f"{prefix}{way}Y_{state}_way", f"{prefix}{way}final_{state}"
            graph.node("Squeeze", [source, graph.integers(0)], name)
            graph.output(name, ["batch", size])
    # [time, ways, batch, size] to [batch, time, ways * size]
    y = graph.node("Transpose", [outputs[0]], f"{prefix}Y_batch", perm=[2, 0, 1, 3])
    shape = graph.integers(0, 0, len(ways) * size)
    return graph.node("Reshape", [y, shape], f"{prefix}y_layer")


def to_onnx(layer: nn.Module):
    """A layer as an ONNX model, not yet tried: see `export`.

    layer: Recurrent, Bidirectional, or a Stack of them, of LSTMCell, GRUCell,
        RNNCell or MGUCell
    Returns an onnx.ModelProto in float32. An absent gate is written as one that its
    bias holds open, the minimal gated unit as the GRU that it is. Dropout between
    layers is left out, as in evaluation.
    Raises ValueError, with the flag, for what the operators cannot express:
    projections, gate recurrence, norms, cells of other kinds.
    """
    graph = _Graph()
    helper = graph.helper
    graph.input("x", ["batch", "time", getattr(layer, "input_size", None)])
    many = np.array([np.iinfo(np.int64).max])
    graph.input("lengths", ["lengths_rows"], many, "INT64")
    graph.node("Shape", ["x"], "batch", start=0, end=1)
    graph.node("Shape", ["x"], "time", start=1, end=2)
    graph.node("Concat", ["batch", graph.integers(1)], "batch_1", axis=0)
    graph.node("Min", ["lengths", "time"], "lengths_within")
    graph.node("Expand", ["lengths_within", "batch"], "lengths_batch")
    graph.node("Cast", ["lengths_batch"], "steps", to=6)  # int32
    y = _add(graph, layer, "x")
    graph.node("Identity", [y], "y")
    graph.output("y", ["batch", "time", layer.output_size])
    outputs = [graph.outputs[-1], *graph.outputs[:-1]]
    return helper.make_model(
        helper.make_graph(
            graph.nodes, "lstmbook", graph.inputs, outputs,
            list(graph.weights.values()),
        ),
        producer_name="lstmbook",
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )  # fmt: skip


def export(layer: nn.Module, path, *, verify: bool = True) -> Path:
    """Write a layer to an ONNX file.

    layer, errors: see `to_onnx`
    verify: run the file in onnxruntime on random ragged data, from a state of its
        own and from a carried one, and compare with the layer
    Returns the path. Raises RuntimeError when the two differ by more than 1e-4; the
    file is then not written.
    """
    from onnx import checker

    model = to_onnx(layer)
    checker.check_model(model)
    if verify:
        _verify(layer, model)
    path = Path(path)
    path.write_bytes(model.SerializeToString())
    return path


# -- running a file -----------------------------------------------------------


def _load(source):
    """An onnx.ModelProto from a path, or as it is."""
    onnx = _library("onnx")
    if isinstance(source, onnx.ModelProto):
        return source
    path = Path(source)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        return onnx.load(path)
    except Exception as error:  # protobuf's own class, which differs by version
        raise ValueError(f"{path} is not an ONNX file: {error}") from error


def _flat(state) -> list[Tensor]:
    """The tensors that a file takes, of a layer's state: none of a Bidirectional."""
    if isinstance(state, Tensor):
        return [state]
    if state is None or isinstance(state, BidirectionalState):
        return []
    return [tensor for part in state for tensor in _flat(part)]


def run(source, x: Tensor, state=None, lengths: Tensor | None = None):
    """Run a file written by `export` in onnxruntime.

    source: a path, or an onnx.ModelProto
    x: [batch, time, features]
    state: the state of the layer, or its tensors in one tuple; None is the start
        that the file holds
    lengths: [batch] integers
    Returns y [batch, time, output] and a tuple with every tensor of the final state,
    in the order of the layer's. Of layers in one direction it may be given back as
    the state of the next chunk.
    """
    onnxruntime, model = _library("onnxruntime"), _load(source)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # small networks; a pool costs more than it gives
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, ["CPUExecutionProvider"]
    )
    feed = {"x": operators.array(x)}
    if lengths is not None:
        feed["lengths"] = lengths.cpu().numpy().astype(np.int64)
    if state is not None:
        names = [i.name for i in model.graph.input if "initial_" in i.name]
        given = [operators.array(s) for s in _flat(state)]
        if len(given) != len(names):
            raise ValueError(f"state has {len(given)} tensors, the file takes {names}")
        feed |= dict(zip(names, given, strict=True))
    y, *final = (torch.from_numpy(a) for a in session.run(None, feed))
    return y, tuple(final)


@torch.no_grad()
def _verify(layer, model, tolerance=1e-4) -> None:
    """Raise RuntimeError when onnxruntime's numbers are not the layer's."""
    weight = next(layer.parameters())
    random = torch.Generator().manual_seed(0)
    lengths = torch.tensor([7, 4, 1])
    state = theirs = None
    worst = 0.0
    with evaluating(layer):
        for _ in range(2):  # from the layer's own start, then from where that ended
            x = torch.randn(3, 7, layer.input_size, generator=random)
            y, last = layer(x.to(weight), state, lengths)
            z, theirs = run(model, x, theirs, lengths)
            mine = [y, *_everything(last)]
            for a, b in zip(mine, (z, *theirs), strict=True):
                a = a.float().cpu()
                worst = max(worst, ((a - b).abs() / (1 + a.abs())).max().item())
            if _has_two_directions(layer):
                break
            state = last
    if not worst <= tolerance:
        raise RuntimeError(
            f"onnxruntime's numbers differ from the layer's by {worst:.2g} "
            f"(allowed {tolerance:g}); nothing was written"
        )


def _everything(state) -> list[Tensor]:
    """Every tensor of a state, of a Bidirectional as well."""
    if isinstance(state, Tensor):
        return [state]
    return [tensor for part in state for tensor in _everything(part)]


def _has_two_directions(layer) -> bool:
    return any(isinstance(module, Bidirectional) for module in layer.modules())


# -- operators to layers ------------------------------------------------------

_INPUTS = ("X", "W", "R", "B", "steps", "initial_h", "initial_c", "P")

# What may stand between two layers and does not change a number.
_LAYOUT = {"Transpose", "Reshape", "Squeeze", "Unsqueeze", "Identity", "Dropout"}


def from_onnx(source) -> nn.Module:
    """The recurrent layers of an ONNX file, with a copy of their weights.

    source: a path or an onnx.ModelProto; from `export` or from elsewhere
    Returns Recurrent or Bidirectional, or a Stack of them if the file has several
    LSTM, GRU or RNN nodes, each reading the one before. What else is in the file (an
    embedding, an output layer) is left out.
    Raises ValueError for nodes that this package has no cell for: activations of
    other kinds, a clip, one backward direction alone.
    """
    model = _load(source)
    nodes = [n for n in model.graph.node if n.op_type in ("LSTM", "GRU", "RNN")]
    if not nodes:
        kinds = sorted({n.op_type for n in model.graph.node})
        raise ValueError(f"the file has no LSTM, GRU or RNN node, only {kinds}")
    weights = _constants(model)
    _check_chain(model, nodes)
    layers = [_read(node, weights) for node in nodes]
    return layers[0] if len(layers) == 1 else Stack(*layers)


def _constants(model) -> dict[str, np.ndarray]:
    """Every weight of the file by name."""
    from onnx import numpy_helper

    values = {w.name: numpy_helper.to_array(w) for w in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            values[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    return values


def _check_chain(model, nodes) -> None:
    """Raise unless every node reads the output of the one before."""
    made_by = {name: node for node in model.graph.node for name in node.output}
    for below, above in pairwise(nodes):
        name = above.input[0]
        while name in made_by and made_by[name].op_type in _LAYOUT:
            name = made_by[name].input[0]
        if name != below.output[0]:
            found = made_by[name].op_type if name in made_by else f"the input {name!r}"
            raise ValueError(
                f"{above.op_type} {above.name!r} does not read {below.op_type} "
                f"{below.name!r} before it, but {found}: only plain stacks can be read"
            )


def _read(node, weights) -> nn.Module:
    """One node as a layer."""
    from onnx import helper

    given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    direction = given.get("direction", b"forward").decode()
    if direction == "reverse":
        raise ValueError(
            f"{node.op_type} {node.name!r} reads backward only: this package has that "
            "direction inside a Bidirectional"
        )
    if given.get("clip"):
        raise ValueError(f"{node.op_type} {node.name!r} clips: no cell here does")
    # Inputs of the operator in their order; one that is left out is "".
    names = dict(zip(_INPUTS, node.input, strict=False))
    for what in "WRBP":
        if names.get(what) and names[what] not in weights:
            raise ValueError(
                f"{what} of {node.op_type} {node.name!r} is computed in the graph "
                f"({names[what]!r}): fold constants first"
            )
    for what in ("initial_h", "initial_c"):
        if weights.get(names.get(what), np.zeros(1)).any():
            raise ValueError(
                f"{node.op_type} {node.name!r} starts from a state that is fixed in "
                f"the file ({names[what]!r}): make it an input"
            )
    ways = [""] if direction == "forward" else ["forward.", "backward."]
    functions = _functions(node, given)
    each = len(functions) // len(ways)
    prefix = names["W"].removesuffix("W")
    layers = []
    for way, label in enumerate(ways):
        operator = operators.Operator(
            node.op_type,
            weights[names["R"]].shape[-1],
            functions[way * each : (way + 1) * each],
            **{what: weights[names[what]][way] for what in "WRBP" if names.get(what)},
            flags={k: given.get(k) for k in ("input_forget", "linear_before_reset")},
        )
        # `to_onnx` keeps the start that a layer has learned under these names.
        starts = [weights.get(f"{prefix}{label}initial_{s}") for s in operator.states]
        learned = [s[0] for s in starts if s is not None and len(s) == 1]
        learned = learned if any(s.any() for s in learned) else []
        cell = operators.to_cell(operator, learn_initial_state=bool(learned))
        with torch.no_grad():
            for mine, start in zip(cell.initial or (), learned, strict=True):
                mine.copy_(torch.tensor(start))
        layers.append(Recurrent(cell))
    return layers[0] if len(layers) == 1 else Bidirectional(*layers)


def _functions(node, given) -> list[tuple]:
    """(name, alpha, beta) of each activation, over all directions."""
    default = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"],
               "RNN": ["Tanh"]}[node.op_type]  # fmt: skip
    ways = 2 if given.get("direction") == b"bidirectional" else 1
    names = [name.decode() for name in given.get("activations", [])] or default * ways
    alphas = iter(given.get("activation_alpha", ()))
    betas = iter(given.get("activation_beta", ()))
    return [
        (name, next(alphas, None), next(betas, None))
        if name in ("Affine", "ScaledTanh")
        else (name, None, None)
        for name in names
    ]
