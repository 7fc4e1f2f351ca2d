"""Networks side by side: each does and learns what it would alone."""

import pytest
import torch

import lstmbook as lb
from lstmbook.models.crowd import Crowd

SEES, SEEDS = ["ifo", "", "o", "if"], [3, 3, 4, 5]


PLAIN = lb.PRESETS["lstm"]


def crowd_of(cells=2, spec=PLAIN, keep=slice(None)):
    return Crowd(SEES[keep], SEEDS[keep], spec, cells, forget_bias=0.5, bound=0.8)


def data():
    return torch.randn(3, 9, 1, generator=torch.Generator().manual_seed(0))


def squares(logits):
    """A loss for each network, of different sizes."""
    return (logits - 1).square().sum((0, 1)) * torch.tensor([1.0, 1e-3, 1, 1])[
        : logits.shape[2]
    ]


@pytest.mark.parametrize("cells", [1, 2])
@pytest.mark.parametrize("gradient", ["full", "truncated"])
def test_a_network_alone_does_and_learns_what_it_does_in_the_crowd(cells, gradient):
    spec = lb.LSTMSpec(output_activation="identity", gradient=gradient)
    crowd, x = crowd_of(cells, spec), data()
    for k in range(len(SEES)):
        alone = crowd_of(cells, spec, slice(k, k + 1))
        torch.testing.assert_close(alone(x)[..., 0], crowd(x)[..., k])
    optimizers = torch.optim.SGD(crowd.parameters(), 0.1)
    for net in (crowd, alone):
        loss = squares(net(x)).sum()
        net.zero_grad()
        loss.backward()
        net.clip(0.7)
    optimizers.step()
    torch.optim.SGD(alone.parameters(), 0.1).step()
    torch.testing.assert_close(alone(x)[..., 0], crowd(x)[..., -1])
    assert not torch.equal(crowd(x), crowd_of(cells, spec)(x))


def test_without_peepholes_it_is_the_plain_cell_and_starts_as_it_would_with():
    crowd = Crowd([""], [1], cells=3, bound=0.8)
    with_one = Crowd(["", "o"], [1, 2], cells=3, bound=0.8)
    torch.testing.assert_close(crowd(data())[..., 0], with_one(data())[..., 0])
    assert "library" in crowd.layer.explain(data())
    plain = lb.LSTMCell(1, 3)
    with torch.no_grad():
        for name in ("W", "R", "b"):
            getattr(plain, name).copy_(getattr(crowd.layer.cell, name))
    h, _ = lb.Recurrent(plain)(data())
    torch.testing.assert_close(h @ crowd.v + crowd.a, crowd(data())[..., 0])


def test_networks_of_one_seed_start_alike_but_for_what_they_see():
    cell = crowd_of(1).layer.cell
    R = cell.R.view(4, 4, 4).diagonal(dim1=1, dim2=2)  # [gates, networks]
    for weight in (cell.W.view(4, 4), R):
        assert torch.equal(weight[:, 0], weight[:, 1])
        assert not torch.equal(weight[:, 1], weight[:, 2])
    seen = [[1, 0, 0, 1], [1, 0, 0, 1], [1, 0, 1, 0]]
    assert (cell.p != 0).int().tolist() == seen
    assert cell.p.abs().max() <= 0.8


@pytest.mark.parametrize("gradient", ["full", "truncated"])
def test_what_is_not_there_stays_away(gradient):
    crowd = crowd_of(2, lb.LSTMSpec(gradient=gradient))
    optimizer = torch.optim.Adam(crowd.parameters(), 0.1)
    for _ in range(3):
        optimizer.zero_grad()
        squares(crowd(data())).sum().backward()
        crowd.clip(1.0)
        optimizer.step()
    cell = crowd.layer.cell
    assert (cell.R[~crowd.own] == 0).all() and (cell.R[crowd.own] != 0).all()
    assert (cell.p[~crowd.seen] == 0).all() and (cell.p[crowd.seen] != 0).all()


def test_clip_cuts_each_network_by_itself():
    crowd = crowd_of()
    squares(crowd(data())).sum().backward()
    before = crowd.a.grad.clone()
    crowd.clip(1.0)
    # The second network's loss is a thousandth: its gradient was short enough.
    cut = crowd.a.grad / before
    assert cut[1] == 1 and (cut[[0, 2, 3]] < 0.9).all()


def test_one_cell_with_all_peepholes_has_the_17_weights_of_2002():
    crowd = Crowd(["ifo"], [0])
    assert sum(w.numel() for w in crowd.parameters()) == 17


def test_arguments_that_do_not_fit_raise():
    with pytest.raises(ValueError, match="2 entries in sees and 1 seeds"):
        Crowd(["", "o"], [0])
    with pytest.raises(ValueError, match="sees='g'"):
        Crowd(["g"], [0])
    with pytest.raises(ValueError, match="here 'ifo'"):
        Crowd(["io", "x"], [0, 1])
