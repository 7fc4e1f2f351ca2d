"""Which examples go into one batch, and how they lie there side by side."""

import math

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence


def pad(sequences) -> tuple[Tensor, Tensor]:
    """Sequences [time, ...] of several lengths as [batch, time, ...], and the lengths.

    Zeros stand behind the shorter ones.
    """
    lengths = torch.tensor([len(s) for s in sequences])
    return pad_sequence(list(sequences), batch_first=True), lengths


class ByLength:
    """Batches of examples of about one length, so that little padding is computed.

    lengths: one for each example
    shuffle: another order at each pass. All are shuffled, sorted by length within
        every 50 batches' worth and cut, and the batches are shuffled again

    Iterating gives lists of the examples' numbers: a batch_sampler for
    `torch.utils.data.DataLoader`. Drawn from torch's own random numbers.
    """

    def __init__(self, lengths, batch_size: int, shuffle: bool = True):
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size}: it must be at least 1")
        self.lengths = torch.tensor(list(lengths))
        self.batch_size, self.shuffle = batch_size, shuffle

    def __len__(self) -> int:
        return math.ceil(len(self.lengths) / self.batch_size)

    def __iter__(self):
        n = len(self.lengths)
        order = torch.randperm(n) if self.shuffle else torch.arange(n)
        pools = order.split(50 * self.batch_size)
        order = torch.cat([p[self.lengths[p].argsort(stable=True)] for p in pools])
        batches = order.split(self.batch_size)
        at = torch.randperm(len(batches)) if self.shuffle else range(len(batches))
        return iter([batches[k].tolist() for k in at])
