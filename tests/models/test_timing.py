import time

import pytest

from lstmbook.timing import Waiting, interleaved, ratios, waiting


def test_the_calls_take_turns_after_a_warm_up():
    order = []
    calls = {name: lambda name=name: order.append(name) for name in "ab"}
    times = interleaved(calls, rounds=3, warm_up=1)
    assert order == list("ab" * 4)
    assert {name: len(t) for name, t in times.items()} == {"a": 3, "b": 3}


def test_a_ratio_is_taken_within_a_round():
    # the machine is ten times as slow in the last rounds; b takes twice as long
    times = {"a": [1.0, 1.0, 10.0, 10.0], "b": [2.0, 2.0, 20.0, 20.0]}
    assert ratios(times, "a") == {"a": (1, 1, 1), "b": (2, 2, 2)}


def test_a_baseline_that_was_not_timed_raises():
    with pytest.raises(KeyError):
        ratios({"a": [1.0, 1.0]}, "b")


def slow(seconds, batches):
    for k in range(batches):
        time.sleep(seconds)
        yield k


def test_waiting_for_a_loader_is_told_from_the_work():
    seen = []

    class Loader(list):
        def __iter__(self):
            return slow(0.03, len(self))

    def step(batch):
        time.sleep(0.01)
        seen.append(batch)

    times = waiting(Loader(range(6)), step)
    assert seen == [0, 1, 2, 3, 4, 5] and len(times.loader) == len(times.model) == 5
    assert min(times.loader) >= 0.03 and min(times.model) >= 0.01
    assert times.share > 0.5
    assert len(waiting(Loader(range(6)), step, batches=3).model) == 2
    assert Waiting([1.0, 2.0], [3.0, 6.0]).share == 0.25


def test_one_batch_is_too_few_to_time():
    with pytest.raises(ValueError, match="1 to warm up"):
        waiting([1], lambda batch: None)
