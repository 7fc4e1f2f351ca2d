"""Published weight counts, rebuilt from the package's cells: equal to the integer.

A count pins down what a paper's equations leave open: whether gates have peepholes
and biases, whether there is one bias or two, what the output sees. Nets built of
other parts than these cells are not here: the memory blocks of 1997 and of Gers et
al. 2000 share gates between cells and let the gates feed the candidates too.
"""

import pytest
import torch
from torch import nn

import lstmbook as lb


def blstm(inputs, hidden):
    return lb.Bidirectional(
        *(lb.Recurrent(lb.LSTMCell(inputs, hidden, "odyssey")) for _ in range(2))
    )


def gers2002():
    return [lb.LSTMCell(1, 1, "odyssey"), nn.Linear(1, 1)]


def graves2006(labels):
    return [blstm(26, 100), nn.Linear(200, labels)]


def graves2013():
    """CTC-3l-250h: 123 inputs, 61 phonemes and a blank."""
    return [blstm(123, 250), blstm(500, 250), blstm(500, 250), nn.Linear(500, 62)]


def sutskever2014():
    """Two vocabularies, two nets of four layers, a softmax; no biases."""
    layers = [lb.LSTMCell(1000, 1000, bias=False) for _ in range(2 * 4)]
    words = [nn.Embedding(160_000, 1000), nn.Embedding(80_000, 1000)]
    return [*words, *layers, nn.Linear(1000, 80_000, bias=False)]


def zaremba2014(size):
    layers = [lb.LSTMCell(size, size) for _ in range(2)]
    return [nn.Embedding(10_000, size), *layers, nn.Linear(size, 10_000)]


def rtrl1997(p):
    """Experiment 2a: one hidden unit beside direct connections, no biases."""
    return [lb.RNNCell(p + 1, 1, bias=False), nn.Linear(p + 2, p + 1, bias=False)]


PUBLISHED = {
    "Gers et al. 2002, timing": (gers2002, 17),
    "Graves et al. 2006, CTC": (lambda: graves2006(62), 114_662),
    "Graves et al. 2006, framewise": (lambda: graves2006(61), 114_461),
    "Graves et al. 2013, CTC-3l-250h": (graves2013, 3_787_562),
    "Sutskever et al. 2014": (sutskever2014, 384_000_000),
    "Hochreiter and Schmidhuber 1997, 2a RTRL p=4": (lambda: rtrl1997(4), 36),
    "Hochreiter and Schmidhuber 1997, 2a RTRL p=10": (lambda: rtrl1997(10), 144),
    "Hochreiter and Schmidhuber 1997, 2a RTRL p=100": (lambda: rtrl1997(100), 10_404),
}
# Rounded in the paper ("small", "medium" and "large"); the integers are arithmetic.
ROUNDED = {
    "Zaremba et al. 2014, small": (lambda: zaremba2014(200), 4_651_600),
    "Zaremba et al. 2014, medium": (lambda: zaremba2014(650), 19_775_200),
    "Zaremba et al. 2014, large": (lambda: zaremba2014(1500), 66_022_000),
}


def weights(build):
    with torch.device("meta"):  # counts without memory
        net = nn.ModuleList(build())
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize("net", PUBLISHED | ROUNDED)
def test_the_net_has_the_published_number_of_weights(net):
    build, published = (PUBLISHED | ROUNDED)[net]
    assert weights(build) == published


@pytest.mark.parametrize(
    ("change", "more"),
    [
        ("plain cells", -3),
        ("torch's two biases, no peepholes", 1),
        ("no forget gate", -4),
    ],
)
def test_another_wiring_has_another_number(change, more):
    """The count of Gers et al. 2002 can fail: each other reading of it does."""
    cell = {
        "plain cells": lambda: [lb.LSTMCell(1, 1), nn.Linear(1, 1)],
        "torch's two biases, no peepholes": lambda: [nn.LSTM(1, 1), nn.Linear(1, 1)],
        "no forget gate": lambda: [lb.LSTMCell(1, 1, "nfg"), nn.Linear(1, 1)],
    }[change]
    assert weights(cell) == 17 + more


@pytest.mark.parametrize(
    ("spec", "per_unit"),
    [
        # of D + H + 1 weights a row, rows a unit; then what stands beside them
        ("lstm", lambda D, H: 4 * (D + H + 1)),
        ("odyssey", lambda D, H: 4 * (D + H + 1) + 3),
        ("nig", lambda D, H: 3 * (D + H + 1) + 2),
        ("cifg", lambda D, H: 3 * (D + H + 1) + 2),
        ("lstm1997", lambda D, H: 3 * (D + H + 1)),
        ("fgr", lambda D, H: 4 * (D + H + 1) + 3 + 9 * H),
        ("lnlstm", lambda D, H: 4 * (D + H + 1) + 2 * 4 + 2),
    ],
)
def test_a_preset_owns_what_its_equations_name(spec, per_unit):
    D, H = 5, 7
    assert weights(lambda: [lb.LSTMCell(D, H, spec)]) == H * per_unit(D, H)
