"""Weights to and from torch, gate orders, and models saved to a file."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import lstmbook as lb
from lstmbook.interop import GATE_ORDERS, from_torch, reorder, to_torch
from lstmbook.models.language import LanguageModel

X = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0)).double()

MODULES = {
    "lstm": lambda **k: nn.LSTM(3, 6, batch_first=True, **k),
    "lstm projection": lambda **k: nn.LSTM(3, 6, batch_first=True, proj_size=2, **k),
    "gru": lambda **k: nn.GRU(3, 6, batch_first=True, **k),
    "rnn tanh": lambda **k: nn.RNN(3, 6, batch_first=True, **k),
    "rnn relu": lambda **k: nn.RNN(3, 6, batch_first=True, nonlinearity="relu", **k),
}
SHAPES = {
    "one layer": {},
    "two layers": {"num_layers": 2},
    "both directions": {"bidirectional": True},
    "two layers, both directions": {"num_layers": 2, "bidirectional": True},
    "no bias": {"bias": False},
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", MODULES)
def test_import_export_import_is_the_identity(kind, shape):
    torch.manual_seed(1)
    module = MODULES[kind](**SHAPES[shape]).double()
    layer = from_torch(module)
    back = to_torch(layer)
    again = from_torch(back)
    assert type(back) is type(module)
    torch.testing.assert_close(layer(X)[0], module(X)[0])
    torch.testing.assert_close(back(X)[0], module(X)[0])
    for (name, a), b in zip(
        layer.state_dict().items(), again.state_dict().values(), strict=True
    ):
        assert torch.equal(a, b), name


def test_an_imported_network_does_not_share_weights():
    module = MODULES["lstm"]().double()
    layer = from_torch(module)
    with torch.no_grad():
        module.weight_ih_l0.add_(1)
    assert (layer(X)[0] - module(X)[0]).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (lambda: lb.Recurrent(lb.LSTMCell(3, 6, "odyssey")), "peepholes"),
        (lambda: lb.Recurrent(lb.GRUCell(3, 6, "before")), "after the product"),
        (
            lambda: lb.Recurrent(lb.LSTMCell(3, 6, learn_initial_state=True)),
            "learned initial state",
        ),
        (
            lambda: lb.Stack(
                lb.Recurrent(lb.LSTMCell(3, 6)), lb.Recurrent(lb.LSTMCell(6, 5))
            ),
            "one kind and size",
        ),
        (
            lambda: lb.Stack(
                lb.Recurrent(lb.LSTMCell(3, 3)),
                lb.Recurrent(lb.LSTMCell(3, 3)),
                residual=True,
            ),
            "residual",
        ),
    ],
)
def test_what_torch_cannot_express_raises(layer, words):
    with pytest.raises(ValueError, match=words):
        to_torch(layer())


def test_from_torch_wants_a_recurrent_module():
    with pytest.raises(TypeError, match="Linear"):
        from_torch(nn.Linear(2, 2))


def test_gate_orders_move_blocks():
    w = torch.arange(8.0).unsqueeze(1).expand(8, 3)
    onnx = reorder(w, "lstmbook", "onnx")
    assert onnx[:, 0].tolist() == [0, 1, 6, 7, 2, 3, 4, 5]
    for name in GATE_ORDERS["lstm"]:
        assert torch.equal(reorder(reorder(w, "torch", name), name, "torch"), w)


def test_gate_orders_that_do_not_match_raise():
    with pytest.raises(ValueError, match="same gates"):
        reorder(torch.zeros(8, 3), "ifgo", "rzn")
    with pytest.raises(ValueError, match="does not split"):
        reorder(torch.zeros(9, 3), "ifgo", "iofg")


def test_keras_kernels_read_with_the_table_give_keras_numbers():
    # Keras computes z = x K + h U + b with blocks i f c o along the last axis.
    g = np.random.default_rng(0)
    K, U, b = g.normal(size=(3, 16)), g.normal(size=(4, 16)), g.normal(size=16)
    cell = lb.LSTMCell(3, 4).double()
    order = GATE_ORDERS["lstm"]["keras"]
    with torch.no_grad():
        cell.W.copy_(reorder(torch.tensor(K.T), order, "ifgo"))
        cell.R.copy_(reorder(torch.tensor(U.T), order, "ifgo"))
        cell.b.copy_(reorder(torch.tensor(b), order, "ifgo"))

    def sigma(a):
        return 1 / (1 + np.exp(-a))

    h = c = np.zeros((2, 4))
    for t in range(5):
        z = X[:, t].numpy() @ K + h @ U + b
        i, f, cand, o = np.split(z, 4, axis=1)
        c = sigma(f) * c + sigma(i) * np.tanh(cand)
        h = sigma(o) * np.tanh(c)
    torch.testing.assert_close(lb.Recurrent(cell)(X)[1].h.detach(), torch.tensor(h))


LAYERS = {
    **{p: lambda p=p: lb.Recurrent(lb.LSTMCell(3, 6, p)) for p in lb.PRESETS},
    "gru": lambda: lb.Recurrent(lb.GRUCell(3, 6, "before", bias=False)),
    "rnn": lambda: lb.Recurrent(lb.RNNCell(3, 6, "relu", learn_initial_state=True)),
    "stack": lambda: lb.Stack(
        lb.Bidirectional(
            lb.Recurrent(lb.LSTMCell(3, 4)), lb.Recurrent(lb.LSTMCell(3, 4))
        ),
        lb.Recurrent(lb.LSTMCell(8, 6, "cifg"), backend="loop"),
        dropout=0.2,
        residual=True,
    ),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_saved_model_comes_back_whole(name, dtype, tmp_path):
    layer = LAYERS[name]().to(dtype)
    back = lb.load(lb.save(layer, tmp_path / "model.safetensors"))
    assert type(back) is type(layer)
    assert not back.training
    x = X.to(dtype)
    assert torch.equal(layer.eval()(x)[0], back(x)[0])


def test_a_model_with_layers_inside_comes_back_whole(tmp_path):
    model = LanguageModel.of_size(11, 8, layers=2, dropout=0.1).eval()
    back = lb.load(lb.save(model, tmp_path / "model.safetensors"))
    ids = torch.randint(11, (2, 5))
    assert torch.equal(model(ids)[0], back(ids)[0])


class Tagger(nn.Module):
    def __init__(self, layer, tags):
        super().__init__()
        self.layer, self.output = layer, nn.Linear(layer.output_size, tags)

    def config(self):
        return {"layer": self.layer, "tags": self.output.out_features}


def test_a_readers_own_class_loads_only_when_allowed(tmp_path):
    path = lb.save(Tagger(LAYERS["lstm"](), 4), tmp_path / "tagger.safetensors")
    with pytest.raises(ValueError, match="Tagger"):
        lb.load(path)
    assert isinstance(lb.load(path, classes=[Tagger]), Tagger)


def test_a_file_cannot_name_code_outside_the_package(tmp_path):
    about = {
        "format": "lstmbook 1",
        "model": json.dumps({"class": "os.system", "args": {"command": "true"}}),
    }
    path = tmp_path / "bad.safetensors"
    save_file({"w": torch.zeros(1)}, path, about)
    with pytest.raises(ValueError, match=r"os\.system"):
        lb.load(path)


def test_a_class_without_config_says_what_to_do(tmp_path):
    with pytest.raises(TypeError, match=r"config\(\)"):
        lb.save(nn.Linear(2, 2), tmp_path / "x.safetensors")


def test_bad_files_are_named(tmp_path):
    path = tmp_path / "model.safetensors"
    with pytest.raises(FileNotFoundError, match="no such file"):
        lb.load(path)
    path.write_bytes(b"not a model")
    with pytest.raises(ValueError, match="not a safetensors file"):
        lb.load(path)
    save_file({"w": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="not written by"):
        lb.load(path)


def test_weights_that_are_not_finite_or_do_not_fit_are_named(tmp_path):
    layer = LAYERS["lstm"]()
    path = lb.save(layer, tmp_path / "model.safetensors")
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        about = file.metadata()
    weights = load_file(path)
    save_file(weights | {"cell.W": weights["cell.W"] * float("nan")}, path, about)
    with pytest.raises(ValueError, match=r"cell\.W holds values that are not finite"):
        lb.load(path)
    save_file(weights | {"cell.W": torch.zeros(24, 5)}, path, about)
    with pytest.raises(ValueError, match="do not fit"):
        lb.load(path)
