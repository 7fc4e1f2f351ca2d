"""Arguments that do not fit raise at once and say what was given."""

import re

import pytest
import torch

import lstmbook as lb


def layer():
    return lb.Recurrent(lb.LSTMCell(4, 6))


def says(*words):
    return re.compile(".*".join(re.escape(w) for w in words), re.DOTALL)


X = torch.zeros(2, 5, 4)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: layer()(torch.zeros(2, 5, 3)),
            ("3 features", "built for 4", "(2, 5, 3)"),
        ),
        (lambda: layer()(torch.zeros(5, 4)), ("(5, 4)", "[batch, time")),
        (lambda: layer()(torch.zeros(2, 0, 4)), ("(2, 0, 4)", "no steps")),
        (lambda: layer()(torch.zeros(0, 5, 4)), ("(0, 5, 4)", "no rows")),
        (lambda: layer()(X.double()), ("float64", "float32")),
        (lambda: layer()(X, lengths=torch.tensor([0, 5])), ("from 0 to 5", "1 to 5")),
        (lambda: layer()(X, lengths=torch.tensor([3, 6])), ("3 to 6", "(2, 5, 4)")),
        (lambda: layer()(X, lengths=torch.tensor([3])), ("(1,)", "[2]")),
        (lambda: layer()(X, lengths=torch.tensor([3.0, 2.0])), ("float32", "integer")),
        (lambda: layer()(X, reset=torch.zeros(2, 4).bool()), ("(2, 4)", "[2, 5]")),
        (lambda: layer()(X, reset=torch.zeros(2, 5)), ("float32", "bool")),
        (lambda: layer()(X, (torch.zeros(3, 6),) * 2), ("h", "(3, 6)", "(2, 6)")),
        (lambda: layer()(X, torch.zeros(2, 6)), ("Tensor", "LSTMState")),
        (lambda: lb.LSTMCell(4, 0), ("hidden_size=0",)),
        (lambda: lb.LSTMCell(4, 6, "gru"), ("'gru'", "presets", "odyssey")),
        (lambda: lb.LSTMSpec(forget_gate="none"), ("'none'", "coupled")),
        (lambda: lb.LSTMSpec(input_gate=False, forget_gate="coupled"), ("1 - i",)),
        (lambda: lb.LSTMSpec(input_activation="gelu"), ("'gelu'", "tanh")),
        (lambda: lb.LSTMSpec(projection=0), ("projection=0",)),
        (lambda: lb.LSTMSpec(projection=1.5), ("projection=1.5",)),
        (lambda: lb.LSTMSpec(norm="batch"), ("'batch'", "ba2016")),
        (lambda: lb.LSTMSpec(gradient="none"), ("'none'", "truncated")),
        (
            lambda: lb.LSTMSpec(False, "one", False, gate_recurrence=True),
            ("gate_recurrence", "learned"),
        ),
        (lambda: lb.LSTMCell(4, 1, "lnlstm"), ("hidden_size=1", "at least 2")),
        (
            lambda: lb.lstm_update(X[:, 0].repeat(1, 4), X[:, 0], lb.PRESETS["lnlstm"]),
            ("ba2016", "norm_c"),
        ),
        (lambda: lb.Recurrent(lb.LSTMCell(4, 6, "fgr"), "fused")(X), ("recurrence",)),
        (
            lambda: lb.Recurrent(lb.LSTMCell(4, 6, "lstm1997"), "fused")(X),
            ("truncated",),
        ),
        (
            lambda: lb.Recurrent(lb.LSTMCell(4, 6, "fgr"))(X, (torch.zeros(2, 6),) * 2),
            ("FGRState", "'i', 'f', 'o'"),
        ),
        (lambda: lb.GRUCell(4, 6, "never"), ("'never'", "before")),
        (lambda: lb.RNNCell(4, 6, "gelu"), ("'gelu'", "relu")),
        (lambda: lb.Recurrent(lb.LSTMCell(4, 6), "quick"), ("'quick'", "loop")),
        (
            lambda: lb.Recurrent(lb.LSTMCell(4, 6, "odyssey"), "library")(X),
            ("library", "peepholes"),
        ),
        (
            lambda: lb.Recurrent(lb.GRUCell(4, 6), "fused")(X),
            ("fused", "GRUCell"),
        ),
        (lambda: lb.Stack(), ("at least one",)),
        (lambda: lb.Stack(layer(), layer()), ("6 features", "takes 4")),
        (lambda: lb.Stack(layer(), dropout=0.5), ("between layers", "only one")),
        (lambda: lb.Stack(layer(), dropout=1.5), ("1.5",)),
        (
            lambda: lb.Bidirectional(layer(), lb.Recurrent(lb.LSTMCell(3, 6))),
            ("4", "3", "same x"),
        ),
        (lambda: lb.LSTMCell(4, 6, "nfg").rows_of("f"), ("'f'", "igo")),
    ],
)  # fmt: skip
def test_a_bad_argument_raises_and_says_why(call, words):
    with pytest.raises(ValueError, match=says(*words)):
        call()


@pytest.mark.parametrize(
    ("cell", "call", "words"),
    [
        (lb.LSTMCell(4, 6), {}, ("library", "fastest")),
        (lb.LSTMCell(4, 6), {"trace": True}, ("fused", "library", "gates")),
        (lb.LSTMCell(4, 6, "cifg"), {}, ("fused", "forget_gate")),
        (lb.LSTMCell(4, 6, "lnlstm"), {}, ("fused", "layer norm")),
        (lb.LSTMCell(4, 6, "fgr"), {}, ("loop", "gate_recurrence", "full gate")),
        (lb.LSTMCell(4, 6, "lstm1997"), {}, ("loop", "not fused", "truncated")),
        (
            lb.LSTMCell(4, 6, lb.LSTMSpec(norm="carried")),
            {},
            ("loop", "not fused", "Ba et al. 2016", "'carried'"),
        ),
        (lb.GRUCell(4, 6, "before"), {}, ("loop", "after the product", "GRUCell")),
    ],
)
def test_explain_names_the_backend_and_why_not_a_faster_one(cell, call, words):
    assert says(*words).search(lb.Recurrent(cell).explain(X, **call))


def test_explain_speaks_for_stacks_and_directions():
    stack = lb.Stack(
        lb.Bidirectional(layer(), layer()), lb.Recurrent(lb.GRUCell(12, 3))
    )
    text = stack.explain(X)
    assert text.count("library") == 3 and "backward" in text


def test_the_forget_bias_is_where_it_was_asked_to_be():
    assert (lb.LSTMCell(4, 6).rows_of("f") == 1).all()
    assert (lb.LSTMCell(4, 6, forget_bias=5).rows_of("f") == 5).all()
    assert (lb.LSTMCell(4, 6, forget_bias=None).b == 0).all()
    assert (lb.LSTMCell(4, 6).rows_of("i") == 0).all()


def test_an_input_of_no_features_runs():
    y, _ = lb.Recurrent(lb.LSTMCell(0, 6))(torch.zeros(2, 5, 0))
    assert y.shape == (2, 5, 6)
