"""Time as a ratio to a baseline in the same process, the calls taking turns."""

import statistics
import time
from typing import NamedTuple

import torch


def interleaved(calls: dict, rounds: int = 15, warm_up: int = 3) -> dict:
    """Seconds of every call in every round, the calls taking turns.

    calls: {name: function without arguments}

    Taking turns gives a slow moment of the machine to all of them, so the ratio
    within a round is steadier than either time. On one CPU thread the clock is that
    of the process, which stands still while other programs have the core.
    Returns {name: [rounds]}.
    """
    cuda = torch.cuda.is_available()
    alone = not cuda and torch.get_num_threads() == 1
    clock = time.process_time if alone else time.perf_counter
    for _ in range(warm_up):
        for call in calls.values():
            call()
    times = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            if cuda:
                torch.cuda.synchronize()
            start = clock()
            call()
            if cuda:
                torch.cuda.synchronize()
            times[name].append(clock() - start)
    return times


def ratios(times: dict, baseline: str) -> dict:
    """How much longer than the baseline, from `interleaved`.

    Returns {name: (median ratio, lowest quartile, highest quartile)}, each ratio
    taken within a round. Raises KeyError when the baseline was not timed.
    """
    result = {}
    for name, t in times.items():
        r = [a / b for a, b in zip(t, times[baseline], strict=True)]
        low, middle, high = statistics.quantiles(r, n=4)
        result[name] = (middle, low, high)
    return result


class Waiting(NamedTuple):
    """Seconds of each batch: waiting for the loader, and working on what it gave."""

    loader: list[float]
    model: list[float]

    @property
    def share(self) -> float:
        """The share of all time that the model waited; near 0 it is not starved."""
        waited = sum(self.loader)
        return waited / (waited + sum(self.model))


def waiting(loader, step, batches: int | None = None, warm_up: int = 1) -> Waiting:
    """How long a loader makes a model wait, beside how long the model works.

    loader: gives batches; step: function of a batch, all that is done with it
    batches: how many at most; the first `warm_up` of them, in which workers start, are
        not counted

    By the clock on the wall: processes that load work at the same time as the model.
    """
    found, batches = Waiting([], []), batches or len(loader)
    source = iter(loader)
    for number in range(batches):
        start = time.perf_counter()
        try:
            batch = next(source)
        except StopIteration:
            break
        given = time.perf_counter()
        step(batch)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        done = time.perf_counter()
        if number >= warm_up:
            found.loader.append(given - start)
            found.model.append(done - given)
    if not found.loader:
        raise ValueError(
            f"no batch is left to time after {warm_up} to warm up: give more batches"
        )
    return found
