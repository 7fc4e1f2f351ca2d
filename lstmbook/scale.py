"""How large a run is, where it runs, and from which seed.

Every notebook is one program for two sizes: `LSTMBOOK_SCALE=quick` (the default,
a minute on two CPU cores) and `LSTMBOOK_SCALE=paper` (the published size, on one
GPU). `pick` is the only place where the two differ.
"""

from __future__ import annotations

import os
import random
import warnings

SCALES = ("quick", "paper")


def scale():
    """The size of this run: "quick" or "paper", from $LSTMBOOK_SCALE.

    Raises ValueError when the variable has any other value.
    """
    name = os.environ.get("LSTMBOOK_SCALE") or "quick"
    if name not in SCALES:
        raise ValueError(
            f'LSTMBOOK_SCALE is {name!r}; the two sizes are "quick" and "paper"'
        )
    return name


def pick(*, quick, paper):
    """`quick` on a laptop, `paper` when LSTMBOOK_SCALE=paper.

    steps = pick(quick=500, paper=30_000)
    """
    return {"quick": quick, "paper": paper}[scale()]


def seed_everything(seed):
    """Seed Python, NumPy and torch (CPU and CUDA).

    seed: an integer, 0 <= seed < 2**32
    Returns a CPU torch.Generator with the same seed, for data that must not
    change when the model draws one more number.
    """
    import numpy as np
    import torch

    if not 0 <= int(seed) < 2**32:
        raise ValueError(f"seed is {seed}; it must lie in 0 <= seed < 2**32")
    seed = int(seed)
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)  # CUDA included, now or when it is first used
    return torch.Generator().manual_seed(seed)


def device(name=None):
    """The torch.device to run on: CUDA when there is one, else the CPU.

    name: "cpu", "cuda", "cuda:1" or "mps" to choose by hand. Apple's "mps" is
    used only when it is named, with a warning: silently wrong results of
    recurrent layers are on record there.
    Raises RuntimeError when the device that is named is not there.
    """
    import torch

    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    chosen = torch.device(name)
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise RuntimeError(
            f"{name} was asked for; torch sees {torch.cuda.device_count()} CUDA "
            "devices. Leave the name out to run on what there is."
        )
    if chosen.type == "mps":
        if not torch.backends.mps.is_available():
            raise RuntimeError(
                "mps was asked for; torch sees none on this machine. "
                "Leave the name out to run on what there is."
            )
        warnings.warn(
            "mps has given silently wrong results for recurrent layers; compare "
            "with the CPU before you trust a number",
            stacklevel=2,
        )
    return chosen
