"""Edit distance against its definition, and the rates made of it."""

import itertools
from functools import cache

import pytest

from lstmbook.edits import Errors, edit_distance, errors


@cache
def by_definition(a, b):
    if not a or not b:
        return len(a) + len(b)
    return min(
        by_definition(a[1:], b) + 1,
        by_definition(a, b[1:]) + 1,
        by_definition(a[1:], b[1:]) + (a[0] != b[0]),
    )


def test_it_is_the_definition_on_all_short_strings():
    words = ["".join(w) for n in range(4) for w in itertools.product("ab", repeat=n)]
    for a, b in itertools.product(words, words):
        assert edit_distance(a, b) == by_definition(a, b)
        assert edit_distance(a, b) == edit_distance(b, a)


def test_known_distances_and_lists():
    assert edit_distance("kitten", "sitting") == 3
    assert edit_distance("intention", "execution") == 5
    assert edit_distance(["K", "AE", "T"], ("K", "T")) == 1


def test_rates_take_the_nearest_answer():
    found = ["abc", "xx", "ab"]
    answers = [["abc", "q"], ["abxx", "x"], ["abcd"]]
    assert errors(found, answers) == Errors(rate=3 / 8, wrong=2 / 3)


@pytest.mark.parametrize(
    ("found", "answers", "words"),
    [
        (["a"], [], "1 sequences and 0"),
        ([], [], "0 sequences"),
        (["a"], [[]], "question 0"),
        (["a"], [[""]], "empty"),
    ],
)
def test_questions_without_answers_raise(found, answers, words):
    with pytest.raises(ValueError, match=words):
        errors(found, answers)
