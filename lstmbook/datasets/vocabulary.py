"""Texts to numbers and back, by characters, by words or by symbols of any name."""

import re
from collections import Counter

import numpy as np
import torch
from torch import Tensor


class Vocabulary:
    """The characters of a text, in the order of their code points.

    text: any text; every character in it gets a number, from 0

    Characters that a later text has and this one has not raise: a model that
    reads them as something else is wrong without a sign of it.
    """

    def __init__(self, text: str):
        if not text:
            raise ValueError("the text is empty: there is no character to number")
        self.symbols = "".join(sorted(set(text)))
        codes = _codes(self.symbols)
        self._numbers = np.full(codes.max(initial=-1) + 2, -1)  # the last: unknown
        self._numbers[codes] = np.arange(len(codes))

    def __len__(self) -> int:
        return len(self.symbols)

    def __repr__(self) -> str:
        return f"Vocabulary({self.symbols!r})"

    def encode(self, text: str) -> Tensor:
        """The numbers of a text, int64 [len(text)]."""
        numbers = self._numbers[np.minimum(_codes(text), len(self._numbers) - 1)]
        if (numbers < 0).any():
            raise _unknown(text, int((numbers < 0).argmax()), len(self))
        return torch.from_numpy(numbers)

    def decode(self, numbers: Tensor) -> str:
        """The text of a sequence of numbers [time]."""
        return "".join(self.symbols[n] for n in torch.as_tensor(numbers).tolist())

    def config(self) -> dict:
        """The arguments that make it again, for `lstmbook.save`."""
        return {"text": self.symbols}


class WordVocabulary:
    """The commonest words of a text, and its characters for all other words.

    text: any text
    size: how many words get a number of their own
    symbols: a list to use as it is, in place of a text

    A word carries the space before it (" the"), a mark of punctuation may, and a
    line end stands alone, so that the symbols written one after another are the
    text. A word that is not among the `size` commonest is spelled, a symbol a
    character: nothing becomes "unknown", and a model of words can be compared
    with one of characters in nats per character.
    """

    # a word with inner apostrophes; a mark; or one character of white space
    _PIECE = re.compile(r" ?[^\W_]+(?:['’][^\W_]+)*| ?(?:[^\w\s]|_)|\s")

    def __init__(self, text: str = "", size: int = 5000, *, symbols=None):
        if symbols is None:
            if not text:
                raise ValueError("the text is empty: there is no word to number")
            if size < 1:
                raise ValueError(f"size={size}: it must be at least 1")
            letters = sorted(set(text))
            counts = Counter(w for w in self._PIECE.findall(text) if len(w) > 1)
            # by count, then by the alphabet: the same on every machine
            common = sorted(counts, key=lambda w: (-counts[w], w))[:size]
            symbols = letters + common
        self.symbols = list(symbols)
        self._numbers = {s: n for n, s in enumerate(self.symbols)}
        if len(self._numbers) != len(self.symbols):
            raise ValueError("a symbol stands twice in the list")

    def __len__(self) -> int:
        return len(self.symbols)

    def __repr__(self) -> str:
        words = sum(len(s) > 1 for s in self.symbols)
        return f"WordVocabulary({words} words, {len(self) - words} characters)"

    def split(self, text: str) -> list[str]:
        """The pieces of a text: common words whole, the others spelled."""
        pieces = []
        for piece in self._PIECE.findall(text):
            if piece in self._numbers:
                pieces.append(piece)
            else:
                pieces.extend(piece)
        return pieces

    def encode(self, text: str) -> Tensor:
        """The numbers of a text, int64 [pieces]."""
        try:
            numbers = [self._numbers[piece] for piece in self.split(text)]
        except KeyError as error:
            raise _unknown(text, text.index(error.args[0]), len(self)) from None
        return torch.tensor(numbers, dtype=torch.int64)

    def decode(self, numbers: Tensor) -> str:
        """The text of a sequence of numbers [time]."""
        return "".join(self.symbols[n] for n in torch.as_tensor(numbers).tolist())

    def config(self) -> dict:
        """The arguments that make it again, for `lstmbook.save`."""
        return {"symbols": self.symbols}


class SymbolVocabulary:
    """Symbols with names of any length: phonemes, tags, words of a list.

    symbols: their names, each once; they are numbered in this order, from 0
    """

    def __init__(self, symbols):
        self.symbols = list(symbols)
        self._numbers = {s: n for n, s in enumerate(self.symbols)}
        if not self.symbols:
            raise ValueError("there are no symbols to number")
        if len(self._numbers) != len(self.symbols):
            raise ValueError("a symbol stands twice in the list")

    def __len__(self) -> int:
        return len(self.symbols)

    def __repr__(self) -> str:
        return f"SymbolVocabulary({self.symbols!r})"

    def encode(self, symbols) -> Tensor:
        """The numbers of a sequence of names, int64 [time]."""
        symbols = list(symbols)
        for place, symbol in enumerate(symbols):
            if symbol not in self._numbers:
                raise ValueError(
                    f"the symbol {symbol!r} at position {place} is not among the "
                    f"{len(self)} of this vocabulary, such as {self.symbols[:3]}"
                )
        return torch.tensor([self._numbers[s] for s in symbols], dtype=torch.int64)

    def decode(self, numbers: Tensor) -> list[str]:
        """The names of a sequence of numbers [time]."""
        return [self.symbols[n] for n in torch.as_tensor(numbers).tolist()]

    def config(self) -> dict:
        """The arguments that make it again, for `lstmbook.save`."""
        return {"symbols": self.symbols}


class SentenceVocabulary(SymbolVocabulary):
    """Words of sentences: "The cat moves." is read as "the cat moves".

    symbols: the words, each once
    unknown: one of them that stands for every word that is not there; without it such
        a word raises

    A sentence becomes its words in small letters, without marks of punctuation
    (`words_of`), and comes back with a space between them.
    """

    def __init__(self, symbols, unknown: str | None = None):
        super().__init__(symbols)
        if unknown is not None and unknown not in self._numbers:
            raise ValueError(f"unknown={unknown!r} is not among the words")
        self.unknown = unknown

    @classmethod
    def of(cls, sentences, at_least: int = 1):
        """The words of some sentences, in the order of the alphabet.

        at_least: how often a word has to be there; with 2 or more, the rarer ones are
            read as "<unknown>", which a model can then write, too
        """
        counts = Counter(w for s in sentences for w in words_of(s))
        words = sorted(w for w, n in counts.items() if n >= at_least)
        if at_least > 1:
            return cls([*words, "<unknown>"], "<unknown>")
        return cls(words)

    def encode(self, sentence: str) -> Tensor:
        """The numbers of a sentence's words, int64 [words]."""
        words = words_of(sentence)
        if self.unknown is not None:
            words = [w if w in self._numbers else self.unknown for w in words]
        return super().encode(words)

    def decode(self, numbers: Tensor) -> str:
        """The sentence of a sequence of numbers [words]."""
        return " ".join(super().decode(numbers))

    def config(self) -> dict:
        return super().config() | {"unknown": self.unknown}


def words_of(sentence: str) -> list[str]:
    """The words of a sentence in small letters, without punctuation."""
    return re.findall(r"<unknown>|[^\W_]+(?:['’-][^\W_]+)*", sentence.lower())


def _unknown(text: str, position: int, size: int) -> ValueError:
    symbol = text[position]
    return ValueError(
        f"the character {symbol!r} (U+{ord(symbol):04X}) at position {position} is "
        f"not among the {size} of this vocabulary; build it from a text that has "
        "it, or replace it"
    )


def _codes(text: str) -> np.ndarray:
    # UTF-32 has one number a character: no loop over five million of them.
    return np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32).astype(np.int64)
