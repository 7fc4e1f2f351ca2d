"""What the benchmark says of itself: every cell is there, baselines are equals."""

import bench_cells as bench
import measure
import plain
import pytest
import torch

import lstmbook as lb
from lstmbook import cells

TINY = {
    "vectors": (bench.vectors, (2, 3, 4, 5)),
    "pictures": (bench.pictures, (2, 3, 2, 3, 3, 4, 5)),
    "lines": (bench.pictures, (2, 3, 2, 3, 3, 4)),
    "attention": (bench.attention, (2, 3, 4, 5, 6)),
}


def test_every_preset_has_a_row():
    assert lb.PRESETS["np"] == lb.PRESETS["lstm"]
    assert set(lb.PRESETS) - {"np"} <= set(bench.CELLS)


def test_every_cell_of_the_package_has_a_row():
    built = [
        *(build(4, 5) for build in bench.CELLS.values()),
        *(build(4, 5, kernel=3, dims=2) for build in bench.PICTURE_CELLS.values()),
        *(build(4, 5) for build in bench.ATTENTION_CELLS.values()),
    ]
    public = [getattr(cells, name) for name in cells.__all__]
    concrete = {c for c in public if isinstance(c, type) and issubclass(c, cells.Cell)}
    concrete -= {cells.Cell, cells.AttentionCell}
    assert {type(cell) for cell in built} == concrete


@pytest.mark.parametrize("table", TINY)
def test_every_row_is_measured(table, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["bench_cells.py"])  # an argument is a file
    make, sizes = TINY[table]
    _, calls = make(lb.device(), *sizes)
    bench.main([TINY[table]], rounds=2, warm_up=0)
    lines = capsys.readouterr().out.strip().splitlines()
    assert lines[0].endswith(f"; ratios to {next(iter(calls))}")
    assert [line.split("  ")[0] for line in lines[3:]] == list(calls)


@pytest.mark.parametrize("dims", [1, 2])
def test_the_convolution_in_a_loop_is_the_cell(dims):
    cell = lb.ConvLSTMCell(2, 3, input_kernel=5, dims=dims)
    loop = plain.ConvLSTMLoop(2, 3, kernel=5, dims=dims)
    fill(loop.conv, torch.cat([cell.W, cell.R], 1), cell.b)
    assert_same(loop, cell, torch.randn(2, 4, 2, *(6, 7)[:dims]))


def test_nn_lstm_cell_in_a_loop_is_the_cell():
    cell, loop = lb.LSTMCell(2, 3), plain.LSTMLoop(2, 3)
    fill_step(loop.cell, cell)
    assert_same(loop, cell, torch.randn(2, 4, 2))


def test_the_additive_loop_is_the_cell():
    cell = lb.AdditiveAttention(lb.LSTMCell(2 + 5, 3), 5)
    loop = plain.AdditiveLoop(2, 3, 5)
    fill_step(loop.cell, cell.cell)
    fill(loop.W_a, cell.W_a), fill(loop.U_a, cell.U_a), fill(loop.v, cell.v[None])
    assert_same(loop, cell, torch.randn(2, 4, 2), memory=torch.randn(2, 6, 5))


def test_the_multiplicative_loop_is_the_cell():
    cell = lb.MultiplicativeAttention(lb.LSTMCell(2 + 3, 3), 5)
    loop = plain.MultiplicativeLoop(2, 3, 5)
    fill_step(loop.cell, cell.cell)
    fill(loop.W_a, cell.W_a), fill(loop.W_c, cell.W_c)
    assert_same(loop, cell, torch.randn(2, 4, 2), memory=torch.randn(2, 6, 5))


def test_a_ratio_is_taken_within_its_round():
    times = {"base": [1.0, 10.0, 100.0], "twice": [2.0, 20.0, 200.0]}
    assert measure.ratios(times, "base")["twice"] == (2, 2, 2)


@pytest.mark.skipif(torch.cuda.is_available(), reason="counts the CPU's memory")
def test_peak_memory_is_what_is_held_at_once():
    def call():
        for _ in range(3):
            a = torch.ones(1000, 250)  # a megabyte; freed when the next one is there
        del a

    assert measure.peak_bytes(call) == 2_000_000


@torch.no_grad()
def fill(module, weight, bias=None):
    module.weight.copy_(weight)
    if bias is not None:
        module.bias.copy_(bias)


@torch.no_grad()
def fill_step(theirs, ours):
    """nn.LSTMCell with the weights of an LSTMCell; its second bias is zero."""
    theirs.weight_ih.copy_(ours.W), theirs.weight_hh.copy_(ours.R)
    theirs.bias_ih.copy_(ours.b), theirs.bias_hh.zero_()


def assert_same(loop, cell, x, **kw):
    with torch.no_grad():
        y, state = loop(x, **kw)
        want, last = lb.Recurrent(cell)(x, **kw)
    torch.testing.assert_close(y, want)
    # An attention cell's state begins with its output; a loop need not carry that.
    for a, b in zip(state, last[-len(state) :], strict=True):
        torch.testing.assert_close(a, b)
