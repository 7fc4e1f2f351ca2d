"""Weights from elsewhere and back, and models saved to a file.

Most conversion bugs are gate orders: every library stacks the gates of one
matrix in an order of its own. `GATE_ORDERS` is the table of the notation page.
"""

import importlib
import json
from dataclasses import asdict, is_dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from .cells import GRUCell, LSTMCell, RNNCell
from .recurrent import Bidirectional, Recurrent, Stack

# In this book's letters; g is also called c or z, and the update gate z of the
# GRU also u. The three marked (*) are read from their source, not run here.
GATE_ORDERS = {
    "lstm": {
        "lstmbook": "ifgo",
        "torch": "ifgo",
        "keras": "ifgo",
        "onnx": "iofg",
        "haste": "igfo",  # *
        "haiku": "igfo",  # *
        "char-rnn": "ifog",  # *
    },
    "gru": {"lstmbook": "rzn", "torch": "rzn", "keras": "zrn", "onnx": "zrn"},
}


def reorder(weight: Tensor, source: str, target: str) -> Tensor:
    """Put the gate blocks of a weight into another order.

    weight: [gates * hidden, ...], blocks along the first dimension
    source, target: orders such as "iofg" and "ifgo", or names in GATE_ORDERS["lstm"]
    """
    source, target = (GATE_ORDERS["lstm"].get(o, o) for o in (source, target))
    if sorted(source) != sorted(target) or len(set(source)) != len(source):
        raise ValueError(f"{source!r} and {target!r} do not name the same gates")
    if len(weight) % len(source):
        raise ValueError(
            f"weight {tuple(weight.shape)} does not split into {len(source)} gates"
        )
    blocks = dict(zip(source, weight.chunk(len(source)), strict=True))
    return torch.cat([blocks[k] for k in target])


def _new_cell(module: nn.RNNBase, input_size: int):
    H, bias = module.hidden_size, module.bias
    if isinstance(module, nn.LSTM):
        spec = {"projection": module.proj_size or None}
        return LSTMCell(input_size, H, spec, bias=bias, forget_bias=None)
    if isinstance(module, nn.GRU):
        return GRUCell(input_size, H, bias=bias)
    return RNNCell(input_size, H, module.nonlinearity, bias=bias)


@torch.no_grad()
def _read(cell, module: nn.RNNBase, suffix: str) -> None:
    """Copy one layer and direction of a torch module into a cell."""

    def get(name):
        return getattr(module, name + suffix)

    cell.W.copy_(get("weight_ih_"))
    cell.R.copy_(get("weight_hh_"))
    if cell.b is not None:
        b_x, b_h = get("bias_ih_"), get("bias_hh_")
        if isinstance(cell, GRUCell):
            # Only the candidate tells its two biases apart.
            cut = 2 * cell.hidden_size
            cell.b.copy_(torch.cat([b_x[:cut] + b_h[:cut], b_x[cut:]]))
            cell.b_n.copy_(b_h[cut:])
        else:
            cell.b.copy_(b_x + b_h)
    if getattr(cell, "P", None) is not None:
        cell.P.copy_(get("weight_hr_"))


@torch.no_grad()
def _write(cell, module: nn.RNNBase, suffix: str) -> None:
    """Copy a cell into one layer and direction of a torch module."""
    names = ["weight_ih_", "weight_hh_"]
    names += ["bias_ih_", "bias_hh_"] * (cell.b is not None)
    names += ["weight_hr_"] * (getattr(cell, "P", None) is not None)
    for name, weight in zip(names, cell.library_weights(), strict=True):
        getattr(module, name + suffix).copy_(weight)


def _like(cell, weights: nn.RNNBase):
    cell.to(next(weights.parameters()))
    return cell


def from_torch(module: nn.RNNBase) -> nn.Module:
    """The same network as a layer of this package, with a copy of the weights.

    module: nn.LSTM, nn.GRU or nn.RNN, any number of layers and directions.
    Returns Recurrent, Bidirectional or a Stack of them, always batch first, with
    one bias where torch has two (their sum). Dropout acts in training mode.
    """
    if not isinstance(module, nn.LSTM | nn.GRU | nn.RNN):
        raise TypeError(
            f"{type(module).__name__}: from_torch reads nn.LSTM, nn.GRU and nn.RNN"
        )
    ways = 2 if module.bidirectional else 1
    wide = ways * (module.proj_size or module.hidden_size)
    layers = []
    for k in range(module.num_layers):
        pair = []
        for suffix in (f"l{k}", f"l{k}_reverse")[:ways]:
            cell = _like(_new_cell(module, wide if k else module.input_size), module)
            _read(cell, module, suffix)
            pair.append(Recurrent(cell))
        layers.append(pair[0] if ways == 1 else Bidirectional(*pair))
    if len(layers) == 1:
        return layers[0].train(module.training)
    return Stack(*layers, dropout=module.dropout).train(module.training)


def to_torch(layer: nn.Module) -> nn.RNNBase:
    """The same network as nn.LSTM, nn.GRU or nn.RNN (batch_first=True).

    Raises ValueError for what torch's modules cannot express: a cell without a
    kernel, a learned initial state, residual connections, layers that differ.
    """
    layers = list(layer.layers) if isinstance(layer, Stack) else [layer]
    if getattr(layer, "residual", False):
        raise ValueError("torch's modules have no residual connections")
    both = isinstance(layers[0], Bidirectional)
    grid = []
    for each in layers:
        pair = [each.forward_layer, each.backward_layer] if both else [each]
        if isinstance(each, Bidirectional) != both or not all(
            isinstance(r, Recurrent) for r in pair
        ):
            raise ValueError(
                "every layer must be Recurrent, or every layer a Bidirectional of two"
            )
        grid.append([r.cell for r in pair])
    cells = [cell for pair in grid for cell in pair]
    first = cells[0]
    for cell in cells:
        kernel, why = cell.library()
        if kernel is None:
            raise ValueError(why)
        if cell.initial is not None:
            raise ValueError("torch's modules have no learned initial state")
        same = ("hidden_size", "output_size")
        if (kernel, cell.b is None, *(getattr(cell, k) for k in same)) != (
            first.library()[0],
            first.b is None,
            *(getattr(first, k) for k in same),
        ):
            raise ValueError(
                "torch's modules want one kind and size of cell throughout"
            )
    options = {
        "num_layers": len(grid),
        "bias": first.b is not None,
        "batch_first": True,
        "dropout": getattr(layer, "dropout", 0.0),
        "bidirectional": both,
    }
    if isinstance(first, LSTMCell):
        kind, options["proj_size"] = nn.LSTM, 0 if first.P is None else len(first.P)
    elif isinstance(first, GRUCell):
        kind = nn.GRU
    else:
        kind, options["nonlinearity"] = nn.RNN, first.activation
    module = _like(kind(first.input_size, first.hidden_size, **options), first)
    for k, pair in enumerate(grid):
        for cell, suffix in zip(pair, (f"l{k}", f"l{k}_reverse"), strict=False):
            _write(cell, module, suffix)
    return module.train(layer.training)


def _describe(value):
    """Whatever has config() as class and arguments, all the way down, for JSON."""
    if isinstance(value, nn.Module) or hasattr(value, "config"):
        if not hasattr(value, "config"):
            raise TypeError(
                f"{type(value).__name__} has no config(): give it a method that "
                "returns its constructor's arguments, so that it can be built again"
            )
        name = f"{type(value).__module__}.{type(value).__qualname__}"
        return {"class": name, "args": _describe(value.config())}
    if isinstance(value, dict):
        return {k: _describe(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_describe(v) for v in value]
    return asdict(value) if is_dataclass(value) else value


def _build(value, classes: dict[str, type]):
    if isinstance(value, list):
        return [_build(v, classes) for v in value]
    if not isinstance(value, dict):
        return value
    if set(value) != {"class", "args"}:
        return {k: _build(v, classes) for k, v in value.items()}
    name = value["class"]
    module, _, short = name.rpartition(".")
    if short in classes:
        kind = classes[short]
    elif module.split(".")[0] == __package__:
        kind = getattr(importlib.import_module(module), short)
    else:
        # A file must not decide which code is imported.
        raise ValueError(
            f"the file holds a {name}: load(path, classes=[{short}]) to allow it"
        )
    args = _build(value["args"], classes)
    positional = [v for k, many in args.items() if k[0] == "*" for v in many]
    return kind(*positional, **{k: v for k, v in args.items() if k[0] != "*"})


def save(model: nn.Module, path) -> Path:
    """Write a model to a safetensors file: weights, class and arguments.

    The model, and every module among its arguments, has `config()`: the
    arguments of its constructor. Nothing is pickled.
    """
    from safetensors.torch import save_file

    path = Path(path)
    about = {"format": "lstmbook 1", "model": json.dumps(_describe(model))}
    weights = {k: v.detach().contiguous() for k, v in model.state_dict().items()}
    save_file(weights, path, about)
    return path


def load(path, classes=()) -> nn.Module:
    """Read a model written by `save`, on the CPU and in evaluation mode.

    classes: your own model classes that the file may name.
    Raises FileNotFoundError, or ValueError when the file is not such a model, its
    weights do not fit or are not finite.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        with safe_open(path, "pt") as file:
            about = file.metadata() or {}
            weights = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path} is not a safetensors file: {error}") from error
    if about.get("format") != "lstmbook 1":
        raise ValueError(f"{path} was not written by lstmbook.save")
    model = _build(json.loads(about["model"]), {c.__name__: c for c in classes})
    for name, weight in weights.items():
        if weight.is_floating_point() and not torch.isfinite(weight).all():
            raise ValueError(f"{path}: {name} holds values that are not finite")
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(
            f"{path}: the weights do not fit the model: {error}"
        ) from error
    kinds = {w.dtype for w in weights.values() if w.is_floating_point()}
    if len(kinds) == 1:
        model.to(kinds.pop())
        model.load_state_dict(weights)
    return model.eval()
