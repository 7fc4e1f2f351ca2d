"""Which part of a data set an example is in: by its class, its name or its row."""

import hashlib

import numpy as np

SPLITS = ("train", "valid", "test")
SPLITS_AND_ALL = (*SPLITS, "all")


def check_split(name: str, split: str, known=SPLITS) -> None:
    """Raise ValueError for a part that the data set `name` does not have."""
    if split not in known:
        raise ValueError(f"{name} has no split {split!r}; it has: {', '.join(known)}")


def stratified(labels, held_out: float = 0.15) -> dict[str, np.ndarray]:
    """Rows of the three parts, {"train": rows, ...}: fixed, whatever the machine.

    labels: [N], the class of each example
    held_out: share of each class in "valid", and as much in "test"
    """
    labels = np.asarray(labels)
    # NumPy promises that RandomState draws the same numbers in every version.
    random = np.random.RandomState(0)
    parts = {split: [] for split in SPLITS}
    for label in np.unique(labels):
        rows = random.permutation(np.flatnonzero(labels == label))
        apart = round(held_out * len(rows))
        parts["test"].append(rows[:apart])
        parts["valid"].append(rows[apart : 2 * apart])
        parts["train"].append(rows[2 * apart :])
    # Mixed, so that the first hundred examples show all classes.
    return {
        split: random.permutation(np.concatenate(rows)) for split, rows in parts.items()
    }


def every_tenth(count: int) -> tuple[list[int], range]:
    """Rows to train on, and every tenth row, which is held out, beginning with 0."""
    return [k for k in range(count) if k % 10], range(0, count, 10)


def twentieth(name: str) -> int:
    """0 to 19, from a hash of the name: the same on every machine, in any order."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) % 20
