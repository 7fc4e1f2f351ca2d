"""Characters to numbers and back, and streams that lose nothing in silence."""

import json

import pytest
import torch

from lstmbook.datasets.text import Vocabulary, stream_batches


def test_encoding_and_decoding_is_the_identity():
    text = "To be, or not to be — that is the question:\n\U0001f480"
    vocabulary = Vocabulary(text)
    numbers = vocabulary.encode(text)
    assert numbers.dtype == torch.int64 and numbers.shape == (len(text),)
    assert numbers.unique().tolist() == list(range(len(vocabulary)))
    assert vocabulary.decode(numbers) == text


def test_the_numbers_follow_the_code_points():
    assert Vocabulary("banana").encode("abn").tolist() == [0, 1, 2]


@pytest.mark.parametrize("symbol", ["z", "A", "b", "é", "\U0001f480"])
def test_an_unknown_character_is_named(symbol):
    with pytest.raises(ValueError, match=f"{symbol!r}.*position 2.*among the 2"):
        Vocabulary("ac").encode(f"ac{symbol}")


def test_an_empty_text_has_no_characters():
    assert len(Vocabulary("")) == 0 and Vocabulary("a").encode("").shape == (0,)
    with pytest.raises(ValueError, match="'a'"):
        Vocabulary("").encode("a")


def test_a_vocabulary_survives_json():
    vocabulary = Vocabulary('a "quoted" é\n')
    saved = json.loads(json.dumps(vocabulary.to_dict()))
    assert Vocabulary.from_dict(saved).symbols == vocabulary.symbols


@pytest.mark.parametrize("length", [7, 60, 61, 62, 100])
@pytest.mark.parametrize("batch_size", [1, 3, 6])
@pytest.mark.parametrize("steps", [1, 5, 200])
def test_rows_continue_where_they_stopped_and_only_the_tail_is_lost(
    length, batch_size, steps
):
    numbers = torch.arange(length)
    batches = stream_batches(numbers, batch_size, steps)
    for x, y in batches:
        assert torch.equal(y, x + 1)  # the next number
        assert x.shape[0] == batch_size and x.shape[1] <= steps
    assert all(x.shape[1] == steps for x, _ in batches[:-1])
    rows = torch.cat([x for x, _ in batches], dim=1)
    assert torch.equal(rows.flatten(), torch.arange(rows.numel()))
    lost = (length - 1) - rows.numel()
    assert lost == (length - 1) % batch_size


def test_batches_are_views_and_can_be_read_twice():
    numbers = torch.arange(1000)
    batches = stream_batches(numbers, 4, 10)
    assert len(batches) == len(list(batches)) == len(list(batches)) == 25
    assert batches[0][0].data_ptr() == numbers.data_ptr()


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((torch.arange(4), 4, 2), "at least 5"),
        ((torch.zeros(4, 4), 2, 2), r"\[4, 4\]"),
        ((torch.arange(9), 0, 2), "at least 1"),
        ((torch.arange(9), 2, 0), "at least 1"),
    ],
)
def test_arguments_that_do_not_fit_raise(arguments, message):
    with pytest.raises(ValueError, match=message):
        stream_batches(*arguments)
