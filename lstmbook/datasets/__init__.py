"""The book's data: where it comes from, and how it is read.

    from lstmbook import datasets
    datasets.fetch("tinyshakespeare")       # -> Path of the verified file
    datasets.text.tiny_shakespeare("train") # -> str

``python -m lstmbook.datasets`` lists the data sets and ``python -m
lstmbook.datasets NAME`` fetches one, so that chapters run offline later.
Files are kept under ``$LSTMBOOK_DATA``, else in the user's cache folder.
"""

from . import (
    accents,
    cmudict,
    digits,
    music,
    series,
    speech,
    synthetic,
    text,
    video,
    voices,
)
from .cache import (
    DataError,
    DataUnavailable,
    HashMismatch,
    available,
    cache_dir,
    fetch,
)
from .registry import DATASETS, card

__all__ = [
    "DATASETS",
    "DataError",
    "DataUnavailable",
    "HashMismatch",
    "accents",
    "available",
    "cache_dir",
    "card",
    "cmudict",
    "digits",
    "fetch",
    "music",
    "series",
    "speech",
    "synthetic",
    "text",
    "video",
    "voices",
]
