"""A model in evaluation mode for a while."""

import contextlib

from torch import nn


@contextlib.contextmanager
def evaluating(model: nn.Module):
    """No dropout inside the block; the mode from before comes back, errors or not."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)
