"""Counting, against direct implementations and closed forms."""

from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from lstmbook.models import ngram
from lstmbook.models.ngram import NGram, kneser_ney_nats, ngram_bits

SMOOTHING = ("kneser-ney", "witten-bell")


def random_ids(symbols, length, seed=0):
    """Like a text: some symbols and some pairs much more often than others."""
    g = np.random.default_rng(seed)
    p = g.dirichlet(np.full(symbols, 0.3), size=symbols)
    ids = [0]
    while len(ids) < length:
        ids.append(int(g.choice(symbols, p=p[ids[-1]])))
    return ids


def witten_bell(train, test, order, symbols):
    """By dictionaries, one symbol at a time, filled up with symbol 0."""
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


class KneserNey:
    """The formula of Chen and Goodman 1999 by dictionaries, recursively."""

    def __init__(self, train, order, symbols):
        grams = [
            Counter(tuple(train[k : k + n]) for k in range(len(train) - n + 1))
            for n in range(1, order + 1)
        ]
        self.counts = [Counter(g[1:] for g in longer) for longer in grams[1:]]
        self.counts.append(grams[-1])  # counted; the others: how many stood before
        self.symbols = symbols

    def discounts(self, count):
        n = [sum(c == k for c in count.values()) for k in range(5)]
        if min(n[1:]) > 0:
            y = n[1] / (n[1] + 2 * n[2])
            found = [k - (k + 1) * y * n[k + 1] / n[k] for k in (1, 2, 3)]
            if min(found) > 0:
                return [0, *found]
        return [0, 0.5, 1, 1.5]

    def probability(self, symbol, context):
        if context is None:
            return 1 / self.symbols
        context = tuple(context)
        count = self.counts[len(context)]
        lower = self.probability(symbol, context[1:] if context else None)
        followers = {g: c for g, c in count.items() if g[:-1] == context}
        total = sum(followers.values())
        if total == 0:
            return lower
        D = self.discounts(count)
        lost = sum(D[min(c, 3)] for c in followers.values())
        c = count[(*context, symbol)]
        return (c - D[min(c, 3)] + lost * lower) / total


def test_witten_bell_is_the_direct_one():
    g = np.random.default_rng(0)
    train, test = g.integers(5, size=400), g.integers(5, size=100)
    got = ngram_bits(train, test, 4, 5)
    for order in range(1, 5):
        assert got[order - 1] == pytest.approx(witten_bell(train, test, order, 5))


@pytest.mark.parametrize("length", [3, 40, 400])
@pytest.mark.parametrize("order", [1, 2, 4])
def test_kneser_ney_is_the_direct_one(length, order):
    # the sixth symbol is never seen, a context of the test may end the text
    train, test = random_ids(5, length), [5, *random_ids(6, 40, seed=1)]
    direct = KneserNey(train, order, 6)
    want = [
        -np.log(direct.probability(s, test[max(0, k - order + 1) : k]))
        for k, s in enumerate(test)
    ]
    np.testing.assert_allclose(NGram(order, 6).fit(train).costs(test), want)


def test_a_kneser_ney_model_of_five_symbols_by_hand():
    # a b a b c: the pairs ab twice, ba and bc once. Too little to estimate
    # discounts, so 0.5 and 1. What stood before a: b; before b: a; before c: b.
    model = NGram(2, 3).fit([0, 1, 0, 1, 2])
    after_nothing = (1 - 0.5 + 1.5 / 3) / 3  # each of three symbols: 1/3
    after_a = [1 * after_nothing / 2, (2 - 1) / 2 + 1 * after_nothing / 2]
    assert model.probabilities([0]) == pytest.approx([*after_a, after_a[0]])
    after_b = [0.5 / 2 + 1 * after_nothing / 2, 1 * after_nothing / 2]
    assert model.probabilities([1]) == pytest.approx([*after_b, after_b[0]])
    assert model.probabilities([2]) == pytest.approx([1 / 3] * 3)  # ends the text


def test_below_the_highest_order_a_symbol_counts_by_what_stood_before_it():
    # d (3) is as frequent as a, b and c together, and always behind c (2)
    ids = [0, 2, 3, 1, 2, 3, 2, 2, 3, 1, 0, 2, 3, 0, 1, 1, 2, 3, 0, 0]
    model = NGram(2, 5).fit([*ids, 4])
    p = model.probabilities([4])  # never followed by anything
    assert p[3] == p.min() < p[0] and Counter(ids)[3] == 5
    assert model.probabilities([], order=1)[3] > p[3]  # there it is counted


@pytest.mark.parametrize("smoothing", SMOOTHING)
@pytest.mark.parametrize("order", [1, 3, 6])
def test_the_probabilities_sum_to_one_and_none_is_zero(smoothing, order):
    train = random_ids(7, 500)
    model = NGram(order, 9, smoothing).fit(train)
    for context in ([], [3], [8], train[:4], train[-7:], [8, 1, 2], [1] * 20):
        for n in range(1, order + 1):
            p = model.probabilities(context, order=n)
            assert p.shape == (9,) and p.min() > 0
            assert p.sum() == pytest.approx(1)


@pytest.mark.parametrize("smoothing", SMOOTHING)
def test_costs_are_the_probabilities_of_what_came(smoothing):
    model = NGram(4, 7, smoothing).fit(random_ids(6, 300))
    test = random_ids(7, 30, seed=2)
    want = [-np.log(model.probabilities(test[:k])[s]) for k, s in enumerate(test)]
    np.testing.assert_allclose(model.costs(test), want)
    assert model.nats(test) == pytest.approx(np.mean(want))


@pytest.mark.parametrize("smoothing", SMOOTHING)
def test_one_fit_serves_all_orders(smoothing):
    train, test = random_ids(6, 300), random_ids(6, 90, seed=3)
    model = NGram(4, 6, smoothing).fit(train)
    alone = [NGram(n, 6, smoothing).fit(train).nats(test) for n in range(1, 5)]
    assert [model.nats(test, order=n) for n in range(1, 5)] == pytest.approx(alone)
    if smoothing == "kneser-ney":
        assert kneser_ney_nats(train, test, 4, 6) == pytest.approx(alone)


def test_a_text_is_predicted_better_with_every_order_and_best_by_kneser_ney():
    text = Path(ngram.__file__).read_text()  # English and code: real enough
    symbols = sorted(set(text))
    ids = np.array([symbols.index(c) for c in text])
    cut = len(ids) * 4 // 5
    nats = kneser_ney_nats(ids[:cut], ids[cut:], 5, len(symbols))
    assert all(a > b for a, b in pairwise(nats))
    bits = ngram_bits(ids[:cut], ids[cut:], 5, len(symbols))
    assert nats[-1] < bits[-1] * np.log(2)


def test_an_even_coin_costs_one_bit_and_a_cycle_next_to_none():
    coin = np.random.default_rng(0).integers(2, size=20_000)
    bits = ngram_bits(coin[:10_000], coin[10_000:], 1, 2)
    assert bits[0] == pytest.approx(1, abs=0.01)
    assert kneser_ney_nats(coin[:10_000], coin[10_000:], 3, 2) == pytest.approx(
        [np.log(2)] * 3, abs=0.01
    )
    cycle = np.arange(9000) % 3
    assert ngram_bits(cycle, cycle, 2, 3)[1] < 0.02
    assert kneser_ney_nats(cycle, cycle, 2, 3)[1] < 0.01


@pytest.mark.parametrize("smoothing", SMOOTHING)
def test_a_symbol_never_seen_still_has_a_probability(smoothing):
    assert np.isfinite(NGram(2, 3, smoothing).fit([0, 1, 0, 1]).costs([2, 2])).all()
    assert np.isfinite(ngram_bits([0, 1, 0, 1], [2, 2], 2, 3)).all()


def test_many_symbols_and_long_contexts_fit():
    # 5,000 to the power of 20 fits no integer; and numbers beyond 32 bits
    ids = np.random.default_rng(0).integers(5000, size=30_000)
    nats = kneser_ney_nats(ids, ids, 20, 5000)
    assert nats[0] < np.log(5000) and nats[-1] < 0.7


def test_a_text_is_shorter_than_the_order():
    model = NGram(5, 4).fit([2, 2])
    assert model.nats([2, 2, 1]) > 0 and model.probabilities([2, 2]).argmax() == 2


def test_tensors_arrays_and_lists_are_the_same():
    ids = random_ids(5, 60)
    a, b, c = (
        NGram(3, 5).fit(kind(ids)).costs(kind(ids))
        for kind in (list, np.array, torch.tensor)
    )
    assert (a == b).all() and (b == c).all()


def test_writing_is_seeded_and_follows_the_probabilities():
    cycle = np.arange(300) % 3
    model = NGram(2, 3).fit(cycle)
    assert model.generate([0], 5, temperature=0).tolist() == [1, 2, 0, 1, 2]
    model = NGram(2, 6).fit(random_ids(6, 200))
    a, b, c = (model.generate(torch.tensor([1]), 60, seed=s) for s in (1, 1, 2))
    assert a.shape == (60,) and torch.equal(a, b) and not torch.equal(a, c)
    draws = torch.cat([model.generate([1], 1, seed=s) for s in range(2000)])
    share = draws.bincount(minlength=6) / 2000
    p = torch.tensor(model.probabilities([1]))
    assert (share - p).abs().max() < 4 * (0.25 / 2000) ** 0.5
    assert model.generate([], 3, seed=0).shape == (3,)
    assert model.generate([1], 0).shape == (0,)


@pytest.mark.parametrize(
    ("train", "longest", "words"),
    [([], 2, "one sequence"), ([0, 7], 2, "0 to 7.*allows 0 to 2"),
     ([0, 1], 0, "longest=0|order=0"), ([-1, 1], 2, "-1 to 1"),
     ([[0, 1]], 2, r"\(1, 2\)"), ([0.5, 1.0], 2, "give integers")],
)  # fmt: skip
@pytest.mark.parametrize("count", [ngram_bits, kneser_ney_nats])
def test_bad_input_raises(count, train, longest, words):
    with pytest.raises(ValueError, match=words):
        count(train, [0], longest, 3)
    if longest:
        with pytest.raises(ValueError, match=words):
            count([0, 1], train, longest, 3)


def test_bad_use_of_the_model_raises():
    with pytest.raises(ValueError, match="smoothing='katz'"):
        NGram(2, 3, "katz")
    with pytest.raises(ValueError, match="symbols=0"):
        NGram(2, 0)
    with pytest.raises(ValueError, match="call fit"):
        NGram(2, 3).nats([0, 1])
    model = NGram(2, 3).fit([0, 1, 2])
    for order in (0, 3):
        with pytest.raises(ValueError, match=f"order={order}: .* orders 1 to 2"):
            model.costs([0, 1], order=order)
    with pytest.raises(ValueError, match="the context goes from 3 to 3"):
        model.probabilities([3])
    with pytest.raises(ValueError, match="the prompt goes"):
        model.generate([3], 2)
    with pytest.raises(ValueError, match="temperature=-1"):
        model.generate([0], 2, temperature=-1)


@pytest.mark.parametrize("order", [1, 3, None])
def test_candidates_at_places_of_a_text_have_the_probabilities_after_its_beginning(
    order,
):
    g = torch.Generator().manual_seed(0)
    text = torch.randint(5, (60,), generator=g)
    model = NGram(4, 5).fit(text)
    other = torch.randint(5, (20,), generator=g)
    found = model.among(other, [0, 1, 7, 19], [4, 0, 2], order)
    for row, at in zip(found, (0, 1, 7, 19), strict=True):
        wanted = model.probabilities(other[:at], order)[[4, 0, 2]]
        assert row == pytest.approx(wanted, rel=1e-12)
    everything = model.among(other, np.arange(20), np.arange(5), order)
    assert everything.sum(1) == pytest.approx(np.ones(20), abs=1e-12)
    costs = -np.log(everything[np.arange(20), other])
    assert costs == pytest.approx(model.costs(other, order), rel=1e-12)
