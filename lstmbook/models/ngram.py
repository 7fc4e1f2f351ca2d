"""Predicting by counting: the honest baseline of every model of text.

An n-gram model remembers what followed each run of n - 1 symbols. Orders are
blended from the shortest up; a run with k different followers gives the shorter
order the weight k:

    p_n = (count + k p_{n-1}) / (total + k)

Source: Witten and Bell 1991, method C, as interpolation.
"""

import numpy as np


def ngram_bits(train, test, longest: int, symbols: int) -> list[float]:
    """Bits per symbol on `test` of the n-grams of order 1 to `longest`.

    train, test: [N], numbers from 0 to symbols - 1 (tensors or arrays)
    Runs that would begin before the text are filled up with symbol 0.
    """
    train, test = np.asarray(train), np.asarray(test)
    for name, numbers in (("train", train), ("test", test)):
        if numbers.ndim != 1 or len(numbers) == 0:
            raise ValueError(f"{name} has shape {numbers.shape}: give one sequence [N]")
        if numbers.min() < 0 or numbers.max() >= symbols:
            raise ValueError(
                f"{name} goes from {numbers.min()} to {numbers.max()}, "
                f"symbols={symbols} allows 0 to {symbols - 1}"
            )
    if longest < 1 or symbols**longest >= 2**63:
        raise ValueError(
            f"longest={longest}: runs of up to {longest} out of {symbols} symbols "
            "must be at least 1 long and fit a 64-bit number"
        )
    p, bits = 1 / symbols, []
    for n in range(longest):
        seen, asked = _contexts(train, n, symbols), _contexts(test, n, symbols)
        runs, count = np.unique(seen * symbols + train, return_counts=True)
        keys, total = np.unique(seen, return_counts=True)
        followers = np.unique(runs // symbols, return_counts=True)[1]
        k = np.maximum(_look_up(keys, followers, asked), 1)
        count = _look_up(runs, count, asked * symbols + test)
        p = (count + k * p) / (_look_up(keys, total, asked) + k)
        bits.append(float(-np.log2(p).mean()))
    return bits


def _contexts(numbers, n, symbols):
    """The n symbols before each one, as a single integer: [N]."""
    code = np.zeros(len(numbers), dtype=np.int64)
    for j in range(n, 0, -1):
        code *= symbols
        code[j:] += numbers[:-j]
    return code


def _look_up(keys, values, wanted):
    """The value of each wanted key, 0 where there is none."""
    at = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], 0)
