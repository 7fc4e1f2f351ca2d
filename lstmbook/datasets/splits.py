"""Which part of a data set an example is in: by its class, or by its name."""

import hashlib

import numpy as np

SPLITS = ("train", "valid", "test")


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


def twentieth(name: str) -> int:
    """0 to 19, from a hash of the name: the same on every machine, in any order."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) % 20
