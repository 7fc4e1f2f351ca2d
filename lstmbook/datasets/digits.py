"""1,797 handwritten digits of 8 x 8 pixels, the smallest real pictures."""

import numpy as np
import torch
from torch import Tensor

from .cache import fetch
from .splits import check_split, stratified


def digits(split: str = "train") -> tuple[Tensor, Tensor]:
    """Images and labels of one part of the digits data set.

    split: "train" (1,259 images), "valid" (269) or "test" (269)

    Returns images float32 [N, 8, 8] from 0 (paper) to 1 (ink) and labels
    int64 [N] from 0 to 9. The parts are fixed and hold each digit in the same
    proportion. The same 13 people wrote in all three, so the score on "test"
    is that for new images of known writers.

    Source: Alpaydin and Kaynak 1998, the test file of the original set.
    """
    check_split("digits", split)
    table = np.loadtxt(fetch("digits"), delimiter=",", dtype=np.int64)
    pixels, labels = table[:, :64], table[:, 64]
    rows = stratified(labels)[split]
    images = torch.tensor(pixels[rows] / 16, dtype=torch.float32)
    return images.reshape(-1, 8, 8), torch.tensor(labels[rows])
