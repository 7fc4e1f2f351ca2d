"""Predicting by counting: the honest baseline of every model of text.

An n-gram model remembers what followed each context of n - 1 symbols. Every order
leans on the order below, down to 1/V, so that nothing has probability 0:

    p_n(w | context) = share_n(w | context) + back_n(context) p_{n-1}(w | shorter)

    model = NGram(6, len(vocabulary)).fit(vocabulary.encode(text))
    model.nats(vocabulary.encode(other))      # of order 6; of 4 with order=4
"""

from typing import NamedTuple

import numpy as np
import torch

from ..search import probabilities as tempered


class NGram:
    """An interpolated n-gram model; one fit serves all orders up to `order`.

    order: symbols looked at, the predicted one among them
    symbols: V; ids go from 0 to V - 1
    smoothing: "kneser-ney", interpolated and modified: three discounts an order,
        and below the highest order a symbol counts once for each symbol that was
        seen before it and its context (Kneser and Ney 1995; Chen and Goodman
        1999, sec. 3); or "witten-bell" (1991, method C): k different followers
        give the shorter context the weight k

    At the beginning of a text the contexts are shorter: the first symbol is
    predicted from nothing, the second from the first.
    """

    def __init__(self, order: int, symbols: int, smoothing: str = "kneser-ney"):
        if order < 1 or symbols < 1:
            raise ValueError(f"order={order}, symbols={symbols}: at least 1 of each")
        if smoothing not in ("kneser-ney", "witten-bell"):
            raise ValueError(f"smoothing={smoothing!r}: kneser-ney or witten-bell")
        self.order, self.symbols, self.smoothing = order, symbols, smoothing
        self._tables = None

    def fit(self, ids):
        """Count in a text, ids [N] (tensor, array or list). Returns the model."""
        self._tables = self._count(_sequence("the text", ids, self.symbols))
        return self

    def costs(self, ids, order: int | None = None) -> np.ndarray:
        """What each symbol of a text costs, the first too, in nats: [N]."""
        ids = _sequence("the text", ids, self.symbols)
        contexts = [c[:-1] for c in self._contexts(ids, order)]
        *_, p = self._chances(contexts, ids)
        return -np.log(p)

    def nats(self, ids, order: int | None = None) -> float:
        """Mean cost of a symbol in nats."""
        return float(self.costs(ids, order).mean())

    def probabilities(self, context, order: int | None = None) -> np.ndarray:
        """Of each next symbol after a context, ids [time], maybe none: [V]."""
        ids = _sequence("the context", context, self.symbols, least=0)
        ids = ids[max(0, len(ids) - self.order + 1) :]
        contexts = [c[-1:] for c in self._contexts(ids, order)]
        *_, p = self._chances(contexts, np.arange(self.symbols))
        return p

    def among(self, ids, at, candidates, order: int | None = None) -> np.ndarray:
        """What each candidate had as its probability at some places of a text.

        at: [K], places in ids [N]; candidates: [C], symbols. Returns [K, C]; the sum
        over all V symbols is 1, so over some of them it is below.
        """
        ids = _sequence("the text", ids, self.symbols)
        candidates = _sequence("the candidates", candidates, self.symbols)
        K, C = len(at), len(candidates)
        contexts = [np.repeat(c[at], C) for c in self._contexts(ids, order)]
        *_, p = self._chances(contexts, np.tile(candidates, K))
        return p.reshape(K, C)

    def generate(self, prompt, steps: int, *, seed: int | None = None,
                 order: int | None = None, **options) -> torch.Tensor:  # fmt: skip
        """Read a prompt of ids [time], then draw `steps` ids: [steps].

        options: temperature, top_k, top_p, as in `lstmbook.search.probabilities`
        """
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        ids = _sequence("the prompt", prompt, self.symbols, least=0).tolist()
        for _ in range(steps):
            p = torch.from_numpy(self.probabilities(ids[-self.order :], order))
            p = tempered(p.log(), **options)
            ids.append(int(torch.multinomial(p, 1, generator=generator)))
        return torch.tensor(ids[len(ids) - steps :], dtype=torch.int64)

    def _count(self, ids, skip=0):
        """A table for each order; the first `skip` symbols are only context."""
        tables, C, V = [], 1, self.symbols
        codes, suffix = ids, None
        for n in range(1, self.order + 1):
            keys, grams = _numbered(codes, C * V)  # contexts are 0 to C - 1
            if n > 1 and self.smoothing == "kneser-ney":
                # Each gram counts once for the one that is left without its
                # first symbol: what the order below is when this one leans on it.
                below, shorter = tables[-1], np.zeros(len(keys), dtype=np.int64)
                shorter[grams] = suffix[1:]
                count = np.bincount(shorter, minlength=len(below.keys))
                inner = self._shares(below.keys // V, count, len(below.top[1]) - 1)
                tables[-1] = below._replace(inner=inner)
            count = np.bincount(grams[max(0, skip - n + 1) :], minlength=len(keys))
            top = self._shares(keys // V, count, C)
            tables.append(Table(keys, top, top))
            codes = grams[:-1] * V + ids[n:]
            C, suffix = len(keys), grams
        return tables

    def _shares(self, context, count, contexts):
        """share [grams + 1] and back [contexts + 1]; -1 looks up "never seen"."""
        total = np.bincount(context, count, contexts)
        if self.smoothing == "witten-bell":
            lost = np.bincount(context, count > 0, contexts)
            kept, total = count, total + lost
        else:
            discount = _discounts(count)[np.minimum(count, 3)]
            lost = np.bincount(context, discount, contexts)
            kept = count - discount
        seen = total > 0
        total = np.where(seen, total, 1)
        share, back = kept / total[context], np.where(seen, lost / total, 1)
        return np.append(share, 0), np.append(back, 1)

    def _contexts(self, ids, order=None):
        """Number of the last 0, 1, ... symbols at each gap of a text: [N + 1]."""
        if self._tables is None:
            raise ValueError("the model has counted nothing: call fit(ids) first")
        order = self.order if order is None else order
        if not 1 <= order <= self.order:
            raise ValueError(
                f"order={order}: the model has the orders 1 to {self.order}"
            )
        numbers = [np.zeros(len(ids) + 1, dtype=np.int64)]
        for table in self._tables[: order - 1]:
            found = table.find(numbers[-1][:-1] * self.symbols + ids)
            numbers.append(np.append(-1, found))
        return numbers

    def _chances(self, contexts, ids):
        """The probability of each symbol after its context, an order at a time."""
        lower = 1 / self.symbols
        for table, context in zip(self._tables, contexts, strict=False):
            gram = table.find(context * self.symbols + ids)
            (share, back), (inner_share, inner_back) = table.top, table.inner
            yield share[gram] + back[context] * lower
            lower = inner_share[gram] + inner_back[context] * lower


class Table(NamedTuple):
    """Of one order: `top` where it is the highest, `inner` where it is below."""

    keys: np.ndarray  # context V + symbol, sorted
    top: tuple[np.ndarray, np.ndarray]
    inner: tuple[np.ndarray, np.ndarray]

    def find(self, codes):
        """The number of each gram, -1 where it was never seen."""
        if len(self.keys) == 0:
            return np.full(len(codes), -1)
        at = np.searchsorted(self.keys, codes).clip(max=len(self.keys) - 1)
        return np.where(self.keys[at] == codes, at, -1)


def kneser_ney_nats(train, test, longest: int, symbols: int) -> list[float]:
    """Nats per symbol on `test` of the Kneser-Ney models of order 1 to `longest`.

    train, test: [N], numbers from 0 to symbols - 1 (tensors or arrays)
    """
    model = NGram(longest, symbols).fit(train)
    test = _sequence("test", test, symbols)
    contexts = [c[:-1] for c in model._contexts(test)]
    return [float(-np.log(p).mean()) for p in model._chances(contexts, test)]


def ngram_bits(train, test, longest: int, symbols: int) -> list[float]:
    """Bits per symbol on `test` of the Witten-Bell models of order 1 to `longest`.

    train, test: [N], numbers from 0 to symbols - 1 (tensors or arrays)
    Contexts that would begin before the text are filled up with symbol 0.
    """
    train, test = _sequence("train", train, symbols), _sequence("test", test, symbols)
    if longest < 1:
        raise ValueError(f"longest={longest}: it must be at least 1")
    model, fill = NGram(longest, symbols, "witten-bell"), np.zeros(longest - 1, int)
    model._tables = model._count(np.append(fill, train), skip=len(fill))
    test = np.append(fill, test)
    contexts = [c[:-1] for c in model._contexts(test)]
    every = model._chances(contexts, test)
    return [float(-np.log2(p[len(fill) :]).mean()) for p in every]


def _numbered(codes, limit):
    """The distinct codes, sorted, and the place of each code among them."""
    if limit > 8 * len(codes):
        return np.unique(codes, return_inverse=True)
    seen = np.zeros(limit, dtype=bool)  # the same, faster where codes are dense
    seen[codes] = True
    places = np.cumsum(seen, dtype=np.int32) - 1
    return np.flatnonzero(seen), places[codes].astype(np.int64)


def _discounts(count):
    """What grams seen 0, 1, 2, and 3 times or more give away: [4].

    Chen and Goodman 1999, sec. 3. Where too few grams are seen to estimate them
    they are fixed at 0.5, 1 and 1.5, as in KenLM (Heafield et al. 2013).
    """
    n = np.bincount(np.minimum(count, 5), minlength=6)
    if n[1:5].all():
        y, k = n[1] / (n[1] + 2 * n[2]), np.arange(1, 4)
        found = k - (k + 1) * y * n[2:5] / n[1:4]
        if (found > 0).all():
            return np.append(0, found)
    return np.array([0, 0.5, 1, 1.5])


def _sequence(name, ids, symbols, least=1):
    """Ids as an array [N] of int64, once they are seen to fit."""
    ids = np.asarray(ids)
    if ids.ndim != 1 or len(ids) < least:
        raise ValueError(f"{name} has shape {ids.shape}: give one sequence [N]")
    if len(ids) == 0:
        return np.zeros(0, dtype=np.int64)
    if not np.issubdtype(ids.dtype, np.integer):
        raise ValueError(f"{name} is {ids.dtype}: give integers")
    if ids.min() < 0 or ids.max() >= symbols:
        raise ValueError(
            f"{name} goes from {ids.min()} to {ids.max()}, "
            f"symbols={symbols} allows 0 to {symbols - 1}"
        )
    return ids.astype(np.int64)
