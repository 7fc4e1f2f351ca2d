"""Sphinx extension of the book: lets the API pages find the package."""

import sys
from pathlib import Path


def setup(app):
    sys.path.insert(0, str(Path(__file__).parents[2]))
    return {"parallel_read_safe": True}
