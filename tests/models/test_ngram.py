"""Counting, against a direct implementation and closed forms."""

from collections import Counter, defaultdict

import numpy as np
import pytest

from lstmbook.models.ngram import ngram_bits


def direct(train, test, order, symbols):
    """The same by dictionaries, one symbol at a time."""
    tables = [defaultdict(Counter) for _ in range(order)]
    filled = [0] * order + list(train)
    for n, table in enumerate(tables):
        for k in range(order, len(filled)):
            table[tuple(filled[k - n : k])][filled[k]] += 1
    bits, filled = [], [0] * order + list(test)
    for k in range(order, len(filled)):
        p = 1 / symbols
        for n, table in enumerate(tables):
            seen = table.get(tuple(filled[k - n : k]))
            if seen is not None:
                p = (seen[filled[k]] + len(seen) * p) / (seen.total() + len(seen))
        bits.append(-np.log2(p))
    return np.mean(bits)


def test_the_fast_counts_are_the_direct_ones():
    g = np.random.default_rng(0)
    train, test = g.integers(5, size=400), g.integers(5, size=100)
    got = ngram_bits(train, test, 4, 5)
    for order in range(1, 5):
        assert got[order - 1] == pytest.approx(direct(train, test, order, 5))


def test_an_even_coin_costs_one_bit_and_a_cycle_next_to_none():
    coin = np.random.default_rng(0).integers(2, size=20_000)
    bits = ngram_bits(coin[:10_000], coin[10_000:], 1, 2)
    assert bits[0] == pytest.approx(1, abs=0.01)
    cycle = np.arange(9000) % 3
    assert ngram_bits(cycle, cycle, 2, 3)[1] < 0.02


def test_a_symbol_never_seen_still_has_a_probability():
    assert np.isfinite(ngram_bits([0, 1, 0, 1], [2, 2], 2, 3)).all()


@pytest.mark.parametrize(
    ("train", "longest", "words"),
    [([], 2, "one sequence"), ([0, 7], 2, "0 to 7"), ([0, 1], 0, "longest=0"),
     ([0, 1], 60, "64-bit")],
)  # fmt: skip
def test_bad_input_raises(train, longest, words):
    with pytest.raises(ValueError, match=words):
        ngram_bits(train, [0], longest, 3)
