import pytest

from lstmbook.timing import interleaved, ratios


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
