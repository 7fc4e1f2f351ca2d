"""onnxruntime as the oracle, and networks to ONNX files and back.

Its kernels share no code with torch's. They have what torch's have not: peepholes,
coupled gates, other squashing functions, the GRU that resets before the product.
"""

import sys

import numpy as np
import onnx
import pytest
import torch
from cases import CELLS, B, D, H, T, data, make
from torch import nn

import lstmbook as lb
from lstmbook import interop

LENGTHS = torch.tensor([7, 3, 5, 1])

# All others must be refused. A preset that is added stands in neither list until
# somebody has thought about it.
EXPRESSIBLE = [
    *("lstm", "np", "odyssey", "nig", "nfg", "nog", "niaf", "noaf", "cifg"),
    *("lstm1997", "relu", "no gates"),
    *("rnn tanh", "rnn relu", "gru after", "gru before", "mgu"),
]


def layer_of(name, seed=0, **options):
    return lb.Recurrent(make(name, seed, **options))


def both_ways(name, **options):
    return lb.Bidirectional(layer_of(name, **options), layer_of(name, 5, **options))


def flat(state):
    if isinstance(state, torch.Tensor):
        return [state]
    return [tensor for part in state for tensor in flat(part)]


@torch.no_grad()
def assert_the_same_numbers(layer, state=None, lengths=None, model=None):
    """The layer in float64 against onnxruntime in float32, to 1e-5."""
    x = data().detach()
    y, last = layer(x, state, lengths)
    model = model or lb.onnx.to_onnx(layer)
    z, final = lb.onnx.run(model, x, state, lengths)
    for a, b in zip([y, *flat(last)], [z, *final], strict=True):
        torch.testing.assert_close(a.float(), b, atol=1e-5, rtol=1e-5)


def random_state(cell, seed=2):
    g = torch.Generator().manual_seed(seed)
    sizes = cell.state_sizes()
    return cell.State(*(torch.randn(B, n, generator=g).double() for n in sizes))


# -- the oracle ---------------------------------------------------------------


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "ragged"])
@pytest.mark.parametrize("start", ["zero", "learned", "given"])
@pytest.mark.parametrize("name", EXPRESSIBLE)
def test_the_same_numbers_as_onnxruntime(name, start, lengths):
    layer = layer_of(name, learn_initial_state=start == "learned")
    state = random_state(layer.cell) if start == "given" else None
    assert_the_same_numbers(layer, state, lengths)


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "ragged"])
@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("name", EXPRESSIBLE)
def test_the_same_numbers_as_onnxruntime_in_both_directions(name, learned, lengths):
    assert_the_same_numbers(both_ways(name, learn_initial_state=learned), None, lengths)


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "ragged"])
def test_the_same_numbers_as_onnxruntime_in_a_stack(lengths):
    top = lb.Stack(
        lb.Recurrent(lb.GRUCell(2 * H, 5, "before").double()),
        lb.Recurrent(lb.GRUCell(5, 5).double()),
        residual=True,
    )
    assert_the_same_numbers(
        lb.Stack(both_ways("cifg"), top, dropout=0.5).eval(), None, lengths
    )


@pytest.mark.parametrize("name", ["odyssey", "gru before"])
def test_without_a_bias_too(name):
    assert_the_same_numbers(layer_of(name, bias=False))


def test_the_state_carries_a_file_from_chunk_to_chunk():
    layer = lb.Stack(layer_of("odyssey"), lb.Recurrent(lb.GRUCell(H, 5).double()))
    model, x = lb.onnx.to_onnx(layer), data().detach()
    y, final = lb.onnx.run(model, x)
    first, state = lb.onnx.run(model, x[:, :4])
    second, last = lb.onnx.run(model, x[:, 4:], state)
    torch.testing.assert_close(torch.cat([first, second], 1), y, atol=1e-6, rtol=1e-6)
    for a, b in zip(last, final, strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("name", ["odyssey", "gru before", "rnn tanh"])
def test_padding_changes_nothing_in_a_file(name):
    model, x = lb.onnx.to_onnx(both_ways(name)), data().detach().float()
    y, final = lb.onnx.run(model, x, lengths=LENGTHS)
    x[torch.arange(T) >= LENGTHS[:, None]] = float("nan")
    z, last = lb.onnx.run(model, x, lengths=LENGTHS)
    for a, b in zip((y, *final), (z, *last), strict=True):
        assert torch.equal(a, b)


def test_without_the_libraries_the_error_says_what_to_install(monkeypatch):
    model = lb.onnx.to_onnx(layer_of("lstm"))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match=r"onnxruntime .* pip install"):
        lb.onnx.run(model, data())
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"onnx is not .* pip install"):
        lb.onnx.to_onnx(layer_of("lstm"))


# -- the oracle can fail ------------------------------------------------------


@pytest.mark.parametrize("name", EXPRESSIBLE)
@pytest.mark.parametrize("what", ["W", "R", "B"])
def test_a_bias_dropped_or_gates_moved_in_the_file_are_seen(name, what):
    layer = layer_of(name)
    model = lb.onnx.to_onnx(layer)
    (weight,) = (w for w in model.graph.initializer if w.name == what)
    value = onnx.numpy_helper.to_array(weight).copy()
    if what == "B" or value.shape[1] == H:
        value[:] = 0
    else:
        value = np.roll(value, H, axis=1)
    weight.CopyFrom(onnx.numpy_helper.from_array(value, what))
    with pytest.raises(AssertionError):
        assert_the_same_numbers(layer, model=model)


def test_two_peepholes_swapped_are_seen():
    layer = layer_of("odyssey")
    model = lb.onnx.to_onnx(layer)
    (weight,) = (w for w in model.graph.initializer if w.name == "P")
    i, o, f = np.split(onnx.numpy_helper.to_array(weight), 3, axis=1)
    swapped = np.concatenate([i, f, o], axis=1)
    weight.CopyFrom(onnx.numpy_helper.from_array(swapped, "P"))
    with pytest.raises(AssertionError):
        assert_the_same_numbers(layer, model=model)


def test_the_gru_forms_taken_for_one_another_are_seen():
    layer = layer_of("gru before")
    model = lb.onnx.to_onnx(layer)
    (node,) = (n for n in model.graph.node if n.op_type == "GRU")
    (flag,) = (a for a in node.attribute if a.name == "linear_before_reset")
    flag.i = 1
    with pytest.raises(AssertionError):
        assert_the_same_numbers(layer, model=model)


def test_export_writes_nothing_that_it_could_not_verify(tmp_path, monkeypatch):
    order = {"onnx": "zrn"} | interop.GATE_ORDERS["gru"]
    monkeypatch.setitem(interop.GATE_ORDERS, "gru", order | {"onnx": "rzn"})
    path = tmp_path / "gru.onnx"
    with pytest.raises(RuntimeError, match="nothing was written"):
        lb.onnx.export(layer_of("gru after"), path)
    assert not path.exists()
    assert lb.onnx.export(layer_of("gru after"), path, verify=False).exists()


# -- files --------------------------------------------------------------------


def test_one_file_serves_every_batch_and_time(tmp_path):
    layer = layer_of("odyssey").float()
    path = lb.onnx.export(layer, tmp_path / "layer.onnx")
    for batch, time in [(1, 1), (5, 3), (2, 40)]:
        x = torch.randn(batch, time, D)
        y, _ = lb.onnx.run(path, x)
        torch.testing.assert_close(y, layer(x)[0], atol=1e-5, rtol=1e-5)


def test_the_names_in_a_file_are_the_documented_ones():
    def names(layer):
        graph = lb.onnx.to_onnx(layer).graph
        return [i.name for i in graph.input], [o.name for o in graph.output]

    assert names(layer_of("lstm")) == (
        ["x", "lengths", "initial_h", "initial_c"],
        ["y", "final_h", "final_c"],
    )
    assert names(lb.Stack(both_ways("gru after"), lb.Recurrent(lb.RNNCell(12, 2)))) == (
        ["x", "lengths", "1.initial_h"],
        ["y", "0.forward.final_h", "0.backward.final_h", "1.final_h"],
    )


def test_the_mode_of_the_layer_stays(tmp_path):
    layer = lb.Stack(layer_of("lstm"), lb.Recurrent(lb.RNNCell(H, 2).double()),
                     dropout=0.5)  # fmt: skip
    lb.onnx.export(layer.train(), tmp_path / "a.onnx")
    assert layer.training


@pytest.mark.parametrize("name", [n for n in CELLS if n not in EXPRESSIBLE])
def test_what_the_operators_cannot_express_is_refused_by_name(name):
    cell = CELLS[name]()
    with pytest.raises(ValueError, match="ONNX") as error:
        lb.onnx.to_onnx(lb.Recurrent(cell))
    if isinstance(cell, lb.LSTMCell):
        default = lb.LSTMSpec()
        flags = [k for k, v in vars(cell.spec).items() if v != getattr(default, k)]
        assert any(str(error.value).startswith(f"{flag}=") for flag in flags)


@pytest.mark.parametrize(
    ("layer", "error", "words"),
    [
        (lambda: nn.Linear(2, 2), TypeError, "Linear"),
        (lambda: layer_of("lstmp"), ValueError, "projection=0.5"),
        (lambda: lb.Recurrent(lb.LSTMCell(0, 3)), ValueError, "input_size=0"),
        (
            lambda: lb.Bidirectional(layer_of("lstm"), layer_of("gru after")),
            ValueError,
            "one kind",
        ),
        (
            lambda: lb.Bidirectional(layer_of("lstm"), layer_of("lstm", bias=False)),
            ValueError,
            "bias",
        ),
    ],
)
def test_what_cannot_be_written_raises(layer, error, words):
    with pytest.raises(error, match=words):
        lb.onnx.to_onnx(layer())


def test_a_state_of_another_layer_raises():
    model = lb.onnx.to_onnx(layer_of("lstm"))
    with pytest.raises(ValueError, match="1 tensors, the file takes"):
        lb.onnx.run(model, data(), (torch.zeros(B, H),))


# -- and back -----------------------------------------------------------------


@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("name", EXPRESSIBLE)
def test_import_export_import_is_the_identity(name, directions, learned, tmp_path):
    make_layer = layer_of if directions == 1 else both_ways
    layer = make_layer(name, learn_initial_state=learned).float()
    path = lb.onnx.export(layer, tmp_path / "layer.onnx")
    once = lb.onnx.from_onnx(path)
    twice = lb.onnx.from_onnx(lb.onnx.to_onnx(once))
    x = data().detach().float()
    torch.testing.assert_close(once(x)[0], layer(x)[0], atol=1e-6, rtol=1e-6)
    same = [(once, twice)] if name == "mgu" else [(layer, once), (once, twice)]
    for a, b in same:  # the minimal gated unit comes back as the GRU that it is
        a, b = a.state_dict(), b.state_dict()
        assert a.keys() == b.keys()
        assert all(torch.equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize("name", [n for n in EXPRESSIBLE if n in lb.PRESETS])
def test_a_preset_comes_back_as_itself(name):
    back = lb.onnx.from_onnx(lb.onnx.to_onnx(layer_of(name)))
    spec = lb.PRESETS[name]
    if hasattr(spec, "gradient"):  # a file knows nothing of training
        spec = spec.with_(gradient="full")
    assert back.cell.spec == spec


def test_a_stack_comes_back_as_a_stack():
    layer = lb.Stack(
        both_ways("gru before"), lb.Recurrent(lb.LSTMCell(2 * H, 4).double())
    ).float()
    back = lb.onnx.from_onnx(lb.onnx.to_onnx(layer))
    x = data().detach().float()
    torch.testing.assert_close(back(x)[0], layer(x)[0])


def foreign(kind, **attributes):
    """One operator written by hand, as another program might."""
    g = np.random.default_rng(0)
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[kind]

    def weight(name, *shape):
        value = g.normal(size=(1, *shape)).astype(np.float32)
        return onnx.numpy_helper.from_array(value, name)

    weights = [
        weight("w", gates * H, D), weight("r", gates * H, H), weight("b", 2 * gates * H)
    ]  # fmt: skip
    value = onnx.helper.make_tensor_value_info
    node = onnx.helper.make_node(
        kind, ["X", "w", "r", "b"], ["Y"], hidden_size=H, **attributes
    )
    graph = onnx.helper.make_graph(
        [node], "g", [value("X", 1, [None, None, D])],
        [value("Y", 1, [None, 1, None, H])], weights,
    )  # fmt: skip
    opset = [onnx.helper.make_opsetid("", 14)]
    return onnx.helper.make_model(graph, opset_imports=opset, ir_version=8)


@pytest.mark.parametrize(
    ("kind", "attributes"),
    [
        ("LSTM", {}),
        ("LSTM", {"input_forget": 1}),
        ("GRU", {}),
        ("GRU", {"linear_before_reset": 1}),
        ("RNN", {}),
        ("RNN", {"activations": ["Relu"]}),
    ],
)
def test_a_file_from_elsewhere_keeps_its_numbers(kind, attributes):
    """Two biases that both matter, and the defaults of the operator."""
    import onnxruntime

    model = foreign(kind, **attributes)
    x = data().detach().float()
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (y,) = session.run(None, {"X": x.transpose(0, 1).numpy()})
    layer = lb.onnx.from_onnx(model)
    torch.testing.assert_close(
        layer(x)[0], torch.tensor(y)[:, 0].transpose(0, 1), atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (lambda: foreign("LSTM", direction="reverse"), "backward only"),
        (lambda: foreign("LSTM", clip=1.0), "clips"),
        (
            lambda: foreign("GRU", activations=["HardSigmoid", "Tanh"]),
            r"activations \['HardSigmoid', 'Tanh'\]",
        ),
        (lambda: foreign("RNN", activations=["Softsign"]), "Softsign"),
    ],
)
def test_what_no_cell_here_computes_is_not_read(model, words):
    with pytest.raises(ValueError, match=words):
        lb.onnx.from_onnx(model())


def test_layers_that_are_not_a_plain_stack_are_not_read():
    stack = lb.Stack(lb.Recurrent(lb.RNNCell(4, 4)), lb.Recurrent(lb.RNNCell(4, 4)),
                     residual=True)  # fmt: skip
    with pytest.raises(ValueError, match="but Add"):
        lb.onnx.from_onnx(lb.onnx.to_onnx(stack))


def test_files_that_are_none_are_named(tmp_path):
    path = tmp_path / "x.onnx"
    with pytest.raises(FileNotFoundError, match="no such file"):
        lb.onnx.from_onnx(path)
    path.write_bytes(b"not a model")
    with pytest.raises(ValueError, match=r"x\.onnx"):
        lb.onnx.from_onnx(path)
    model = lb.onnx.to_onnx(layer_of("lstm"))
    del model.graph.node[:]
    with pytest.raises(ValueError, match="no LSTM, GRU or RNN"):
        lb.onnx.from_onnx(model)


def test_time_is_where_it_is_said_to_be():
    # y of a batch of one row, one step after another, is y of the whole.
    layer, x = layer_of("gru before"), data().detach()
    model = lb.onnx.to_onnx(layer)
    y, _ = lb.onnx.run(model, x[:1])
    state, steps = None, []
    for t in range(T):
        step, state = lb.onnx.run(model, x[:1, t : t + 1], state)
        steps.append(step)
    torch.testing.assert_close(torch.cat(steps, 1), y, atol=1e-6, rtol=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_what_torch_itself_exports_can_be_read(tmp_path):
    module = nn.GRU(D, H, 2, bidirectional=True, batch_first=True)
    x, path = torch.randn(2, 5, D), tmp_path / "torch.onnx"
    torch.onnx.export(module, (x,), str(path), dynamo=False)
    layer = lb.onnx.from_onnx(path)
    torch.testing.assert_close(layer(x)[0], module(x)[0], atol=1e-6, rtol=1e-5)
