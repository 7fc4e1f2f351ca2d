"""1,797 handwritten digits of 8 x 8 pixels, the smallest real pictures."""

import numpy as np
import torch
from torch import Tensor

from .cache import fetch

SPLITS = ("train", "valid", "test")


def digits(split: str = "train") -> tuple[Tensor, Tensor]:
    """Images and labels of one part of the digits data set.

    split: "train" (1,259 images), "valid" (269) or "test" (269)

    Returns images float32 [N, 8, 8] from 0 (paper) to 1 (ink) and labels
    int64 [N] from 0 to 9. The parts are fixed and hold each digit in the same
    proportion. The same 13 people wrote in all three, so the score on "test"
    is that for new images of known writers.

    Source: Alpaydin and Kaynak 1998, the test file of the original set.
    """
    if split not in SPLITS:
        raise ValueError(f"digits has no split {split!r}; it has: {', '.join(SPLITS)}")
    table = np.loadtxt(fetch("digits"), delimiter=",", dtype=np.int64)
    pixels, labels = table[:, :64], table[:, 64]
    rows = _rows(labels)[split]
    images = torch.tensor(pixels[rows] / 16, dtype=torch.float32)
    return images.reshape(-1, 8, 8), torch.tensor(labels[rows])


def _rows(labels: np.ndarray) -> dict[str, np.ndarray]:
    # NumPy promises that RandomState draws the same numbers in every version.
    random = np.random.RandomState(0)
    parts = {split: [] for split in SPLITS}
    for digit in range(10):
        rows = random.permutation(np.flatnonzero(labels == digit))
        held_out = round(0.15 * len(rows))
        parts["test"].append(rows[:held_out])
        parts["valid"].append(rows[held_out : 2 * held_out])
        parts["train"].append(rows[2 * held_out :])
    # Mixed, so that the first hundred images show all ten digits.
    return {
        split: random.permutation(np.concatenate(rows)) for split, rows in parts.items()
    }
