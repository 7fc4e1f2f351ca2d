"""Shapes of animals: in one part only, and read without running what a pickle asks."""

import pickle

import numpy as np
import pytest

from lstmbook.datasets import DataError, DataUnavailable, fetch
from lstmbook.datasets.animals import ANIMALS, animals, load_arrays


@pytest.fixture(scope="module")
def parts():
    try:
        fetch("animal-shapes")
    except DataUnavailable as error:
        pytest.skip(f"neither in the cache nor within reach: {error}")
    return {split: animals(split) for split in ("train", "valid", "test")}


def test_no_picture_is_in_two_parts(parts):
    pictures = {
        split: {i.numpy().tobytes() for i in images}
        for split, (images, _) in parts.items()
    }
    assert [len(p[0]) for p in parts.values()] == [6798, 1459, 1459]
    assert [len(p) for p in pictures.values()] == [6798, 1459, 1459]
    assert not pictures["train"] & pictures["test"]
    assert not pictures["train"] & pictures["valid"]
    assert not pictures["valid"] & pictures["test"]


def test_every_part_has_every_animal_in_proportion(parts):
    for images, labels in parts.values():
        share = labels.bincount(minlength=10) / len(labels)
        assert len(ANIMALS) == 10 and share.min() > 0.08 and share.max() < 0.11
        assert images.shape[1:] == (28, 28)
        assert images.min() == 0 and images.max() == 1


def test_an_unknown_part_is_named():
    with pytest.raises(ValueError, match="has no split 'dev'; it has: train"):
        animals("dev")


def test_arrays_come_out_of_a_pickle_and_nothing_else():
    array = np.arange(6, dtype=np.uint8).reshape(2, 3)
    for protocol in (3, 4):
        found = load_arrays(pickle.dumps(array, protocol))
        assert (found == array).all() and found.dtype == np.uint8


class Evil:
    def __reduce__(self):
        return (exec, ("raise SystemExit('this ran')",))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (pickle.dumps(Evil()), "builtins.exec"),
        (pickle.dumps(np.array([Evil()], dtype=object)), "builtins.exec"),
        (pickle.dumps(np.array([None], dtype=object)), "array of numbers"),
        (pickle.dumps([1, 2]), "array of numbers"),
        (b"no pickle", "not a pickle"),
        (b"", "not a pickle"),
    ],
)
def test_a_pickle_with_anything_else_is_refused(content, words):
    with pytest.raises(DataError, match=words):
        load_arrays(content)
