"""Tests draw into files, never into windows."""

import os

os.environ.setdefault("MPLBACKEND", "Agg")
