"""Shapes of animals, 28 x 28 pixels: sprites with names that read well."""

import gzip
import io
import pickle

import numpy as np
import torch
from torch import Tensor

from .archive import members
from .cache import DataError, fetch
from .splits import check_split, stratified

ANIMALS = (
    "bear", "bird", "cat", "cow", "dog", "elephant", "giraffe", "horse", "sheep",
    "zebra",
)  # fmt: skip

_FOLDER = "animal_shape_mnist/data/Animal Shape/"


def animals(split: str = "train") -> tuple[Tensor, Tensor]:
    """Shapes and labels of one part of the animal shapes.

    split: "train" (6,798 shapes), "valid" (1,459) or "test" (1,459)

    Returns images float32 [N, 28, 28] from 0 (ground) to 1 (ink) and labels int64 [N],
    numbers in `ANIMALS`. The parts are fixed and hold each animal in the same
    proportion. 284 pictures are in the file twice; here each is there once, so that
    none is in two parts.

    Source: S. Mohammadi, animal-shape-mnist 0.39.
    """
    check_split("animals", split)
    found = members(fetch("animal-shapes"), f"{_FOLDER}*.gz")
    images, labels = (
        load_arrays(gzip.decompress(found[f"{_FOLDER}animal_{what}_version_3.gz"]))
        for what in ("data", "label")
    )
    images, labels = images.reshape(-1, 28, 28), labels.reshape(-1)
    _, first = np.unique(images.reshape(len(images), -1), axis=0, return_index=True)
    first.sort()
    images, labels = images[first], labels[first]
    rows = stratified(labels)[split]
    return torch.from_numpy(images[rows]).float() / 255, torch.from_numpy(labels[rows])


class _OnlyArrays(pickle.Unpickler):
    """Makes NumPy arrays, and refuses whatever else a pickle asks for."""

    def find_class(self, module, name):
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return getattr(np, name)
        if module.endswith("core.multiarray") and name == "_reconstruct":
            return np.empty(0).__reduce__()[0]
        raise DataError(
            f"the pickle asks for {module}.{name}; only NumPy arrays are read"
        )


def load_arrays(content: bytes) -> np.ndarray:
    """The array in a pickle that may hold nothing but NumPy arrays of numbers.

    Raises `DataError` for anything else; no code of the pickle's choice is run.
    """
    try:
        found = _OnlyArrays(io.BytesIO(content)).load()
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError) as error:
        raise DataError(f"not a pickle of an array: {error}") from error
    if not isinstance(found, np.ndarray) or found.dtype.hasobject:
        raise DataError("the pickle does not hold an array of numbers")
    return found
