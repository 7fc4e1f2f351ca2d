"""Texts to numbers and back, by characters and by words, losing nothing."""

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lstmbook.datasets.vocabulary import (
    SymbolVocabulary,
    Vocabulary,
    WordVocabulary,
)

TEXT = (
    "The cat sat on the mat; the cat, the CAT, didn't sit.\n"
    "“Don’t,” said the mat_maker — 3 cats\tsat on 12 mats.\n\n  the end\n"
)
WORDS = WordVocabulary(TEXT, size=8)


def test_encoding_and_decoding_is_the_identity():
    text = "To be, or not to be — that is the question:\n\U0001f480"
    vocabulary = Vocabulary(text)
    numbers = vocabulary.encode(text)
    assert numbers.dtype == torch.int64 and numbers.shape == (len(text),)
    assert numbers.unique().tolist() == list(range(len(vocabulary)))
    assert vocabulary.decode(numbers) == vocabulary.decode(numbers.tolist()) == text


def test_the_numbers_follow_the_code_points():
    assert Vocabulary("banana").encode("abn").tolist() == [0, 1, 2]


@pytest.mark.parametrize("symbol", ["z", "A", "b", "é", "\U0001f480"])
@pytest.mark.parametrize("kind", [Vocabulary, WordVocabulary])
def test_an_unknown_character_is_named_with_its_place(kind, symbol):
    vocabulary = kind("ac")
    words = f"{symbol!r} .U\\+{ord(symbol):04X}. at position 2.*{len(vocabulary)} of"
    with pytest.raises(ValueError, match=words):
        vocabulary.encode(f"ac{symbol}")


@pytest.mark.parametrize("kind", [Vocabulary, WordVocabulary])
def test_an_empty_text_has_no_vocabulary_and_no_numbers(kind):
    with pytest.raises(ValueError, match="the text is empty"):
        kind("")
    numbers = kind("a b").encode("")
    assert numbers.shape == (0,) and numbers.dtype == torch.int64
    assert kind("a b").decode(numbers) == ""


@pytest.mark.parametrize("kind", [Vocabulary, WordVocabulary])
def test_a_vocabulary_survives_json(kind):
    vocabulary = kind(TEXT)
    again = kind(**json.loads(json.dumps(vocabulary.config())))
    assert again.symbols == vocabulary.symbols
    assert torch.equal(again.encode(TEXT), vocabulary.encode(TEXT))


@given(st.text(alphabet=sorted(set(TEXT))))
def test_words_lose_nothing_of_any_text_of_their_characters(text):
    numbers = WORDS.encode(text)
    assert WORDS.decode(numbers) == text
    assert "".join(WORDS.split(text)) == text
    assert len(numbers) <= len(text)


@given(st.text(min_size=1))
def test_words_lose_nothing_of_the_text_they_come_from(text):
    vocabulary = WordVocabulary(text, size=3)
    assert vocabulary.decode(vocabulary.encode(text)) == text


def test_common_words_are_whole_and_others_are_spelled():
    text = "the dog and the dog and the cow"
    vocabulary = WordVocabulary(text, size=3)
    assert vocabulary.split(text) == [
        *"the", " dog", " and", " the", " dog", " and", " the", *" cow"
    ]  # fmt: skip
    assert repr(vocabulary) == "WordVocabulary(3 words, 11 characters)"
    assert len(vocabulary) == 14


def test_a_word_has_its_space_and_its_apostrophes_and_a_mark_may_have_one():
    text = "Don't - don’t, 'tis\n the\tend_it. " * 2
    assert WordVocabulary(text, size=100).split(text[:33]) == [
        "Don't", " -", " don’t", ",", " '", "tis", "\n", " the", "\t", "end", "_", "it",
        ".", " ",
    ]  # fmt: skip


def test_the_order_is_the_characters_then_the_words_by_count_and_alphabet():
    text = "bb aa dd cc dd"
    want = [" ", "a", "b", "c", "d", " dd", " aa", " cc", "bb"]
    assert WordVocabulary(text).symbols == want
    assert WordVocabulary(text, size=2).symbols == want[:7]
    # as many of each word, in another order: the same numbers
    assert WordVocabulary("bb cc aa dd dd").symbols == want


def test_bad_lists_and_sizes_raise():
    with pytest.raises(ValueError, match="size=0"):
        WordVocabulary("a text", size=0)
    with pytest.raises(ValueError, match="twice"):
        WordVocabulary(symbols=["a", "b", "a"])


def test_symbols_have_names_of_any_length():
    vocabulary = SymbolVocabulary(["AH", "B", "ZH"])
    assert len(vocabulary) == 3
    numbers = vocabulary.encode(("ZH", "AH", "ZH"))
    assert numbers.tolist() == [2, 0, 2] and numbers.dtype == torch.int64
    assert vocabulary.decode(numbers) == ["ZH", "AH", "ZH"]
    assert vocabulary.encode([]).shape == (0,)
    again = SymbolVocabulary(**vocabulary.config())
    assert again.symbols == vocabulary.symbols


def test_an_unknown_symbol_and_a_bad_list_raise():
    with pytest.raises(ValueError, match=r"'EE' at position 1 .* 2 of .*'AH'"):
        SymbolVocabulary(["AH", "B"]).encode(["B", "EE"])
    with pytest.raises(ValueError, match="twice"):
        SymbolVocabulary(["AH", "AH"])
    with pytest.raises(ValueError, match="no symbols"):
        SymbolVocabulary([])
