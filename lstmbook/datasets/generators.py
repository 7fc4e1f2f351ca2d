"""What the data sets that are made draw their random numbers from."""

import torch


def as_generator(generator: torch.Generator | int) -> torch.Generator:
    """The generator itself, or one of the CPU with this seed."""
    if isinstance(generator, torch.Generator):
        return generator
    return torch.Generator().manual_seed(generator)
