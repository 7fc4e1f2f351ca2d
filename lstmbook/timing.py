"""Time as a ratio to a baseline in the same process, the calls taking turns."""

import statistics
import time

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
