"""Gradients over time and gates, against closed forms and the NumPy oracle."""

import numpy as np
import pytest
import torch

import lstmbook as lb
from lstmbook import reference
from lstmbook.diagnostics import (
    gradient_flow,
    half_life,
    influence,
    jacobians,
    memory_horizon,
    norms,
    saturation,
)

X = torch.randn(9, 3, generator=torch.Generator().manual_seed(0)).double()


def test_the_jacobian_of_a_plain_rnn_is_the_product_of_its_steps():
    torch.manual_seed(0)
    cell = lb.RNNCell(3, 4).double()
    J = jacobians(cell, X)
    h = lb.Recurrent(cell)(X[None])[0][0].detach().numpy()
    steps = reference.rnn_jacobian(h, cell.R.detach().numpy())
    product = np.eye(4)
    for t in range(8, -1, -1):
        np.testing.assert_allclose(J[t].numpy(), product, atol=1e-12)
        product = product @ steps[t]


def test_along_the_cell_state_the_jacobian_is_the_product_of_forget_gates():
    torch.manual_seed(0)
    cell = lb.LSTMCell(3, 4).double()
    J = jacobians(cell, X, "c", "c", through=("c",))
    _, _, trace = lb.Recurrent(cell)(X[None], trace=True)
    f = trace.gates.f[0]
    for t in range(9):
        want = torch.diag(f[t + 1 :].prod(0))
        torch.testing.assert_close(J[t], want, atol=1e-14, rtol=1e-12)


@pytest.mark.parametrize("of", ["h", "c"])
@pytest.mark.parametrize("to", ["h", "c"])
def test_the_full_jacobian_of_an_lstm_is_the_oracles(of, to):
    torch.manual_seed(0)
    cell = lb.LSTMCell(3, 4, "odyssey").double()
    J = jacobians(cell, X, of, to)
    w = {n: p.detach().numpy() for n, p in cell.named_parameters()}
    *_, cache = reference.lstm_forward(X[None].numpy(), None, w, peepholes=True)
    at = {"h": slice(0, 4), "c": slice(4, 8)}
    product = np.eye(8)
    for t in range(8, -1, -1):
        np.testing.assert_allclose(J[t], product[at[of], at[to]], atol=1e-12)
        product = product @ reference.lstm_jacobian(cache, t)[0]


def test_gradient_flow_is_the_oracles():
    torch.manual_seed(0)
    cell = lb.LSTMCell(3, 4).double()
    flow = gradient_flow(lb.Recurrent(cell), X[None], lambda y: y[:, -1].sum())
    w = {n: p.detach().numpy() for n, p in cell.named_parameters()}
    y, _, cache = reference.lstm_forward(X[None].numpy(), None, w)
    dy = np.zeros_like(y)
    dy[:, -1] = 1
    back = reference.lstm_backward(dy, cache)
    want = np.linalg.norm(back["h"][0], axis=1)
    np.testing.assert_allclose(flow["h"], want, atol=1e-12)
    assert flow["c"].shape == (9,)


def test_norms_are_the_largest_singular_values():
    J = torch.randn(5, 3, 4)
    torch.testing.assert_close(norms(J), torch.linalg.svdvals(J)[:, 0])


def test_saturation_counts_shut_and_open():
    f = torch.tensor([0.05, 0.5, 0.95, 0.99]).view(1, 4, 1)
    shut, open_ = saturation(lb.LSTMGates(f, f, f, f))["f"]
    assert shut.item() == 0.25 and open_.item() == 0.5
    assert "g" not in saturation(lb.LSTMGates(f, f, f, f))


def test_half_life_of_a_constant_gate():
    f = torch.full((2, 7, 1), 0.5 ** (1 / 10))
    assert half_life(f).item() == pytest.approx(10, rel=1e-5)


def test_memory_horizon_of_a_geometric_decay():
    decay = 0.5 ** torch.arange(19, -1, -1.0)
    assert memory_horizon(decay, share=0.01) == 6
    assert memory_horizon(torch.ones(20)) == 19


def test_a_batch_is_refused_with_its_shape():
    with pytest.raises(ValueError, match=r"\(1, 9, 3\)"):
        jacobians(lb.RNNCell(3, 4).double(), X[None])


def lstm(inputs, hidden):
    return lb.Recurrent(lb.LSTMCell(inputs, hidden)).double()


def test_the_influence_of_inputs_on_outputs_is_autograds_jacobian():
    torch.manual_seed(0)
    layer = lb.Bidirectional(lstm(3, 2), lstm(3, 4))
    J = torch.autograd.functional.jacobian(lambda x: layer(x[None])[0][0], X)
    want = J.square().sum((1, 3)).sqrt()  # J [time, outputs, time, features]
    torch.testing.assert_close(influence(layer, X), want)


def test_a_forward_layer_is_influenced_by_its_past_only():
    torch.manual_seed(0)
    forward = influence(lstm(3, 4), X)
    assert (forward.triu(1) == 0).all()
    assert (forward[torch.ones(9, 9).tril() == 1] > 0).all()


def test_a_bidirectional_layer_is_influenced_by_every_input():
    torch.manual_seed(0)
    assert (influence(lb.Bidirectional(lstm(3, 4), lstm(3, 4)), X) > 0).all()


def test_influence_refuses_a_batch_and_an_output_of_another_length():
    with pytest.raises(ValueError, match=r"give one \[time, features\]"):
        influence(lstm(3, 4), X[None])
    with pytest.raises(ValueError, match="9 steps, the model's output 1"):
        influence(lambda x: lstm(3, 4)(x)[0][:, -1:], X)
