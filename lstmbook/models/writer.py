"""What all models share that read a source and write a target, symbol by symbol."""

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset

from ..datasets.batches import loader_by_length, pad
from ..datasets.splits import every_tenth
from ..modes import evaluating
from ..search import beam_search, greedy

LEFT_OUT = -100  # what the loss does not count, as in torch


class Pairs(NamedTuple):
    """A batch to learn from.

    source: ids [batch, source time], or vectors [batch, source time, features], or
        frames [batch, source time, channels, height, width]
    lengths: [batch], real steps of each source
    target: ids [batch, time], each behind the boundary symbol
    """

    source: Tensor
    lengths: Tensor
    target: Tensor


class Writer(nn.Module):
    """Learning, searching and writing for a model that has two methods:

        state, ctx = model.encode(source, lengths)
        logits, state = model(ids, state, ctx)        # ids [batch, time]

    source: what sources are made of: a vocabulary (anything with `encode` and
        len), its size for sources that are ids, None for sources that are tensors of
        numbers [time, ...] already (features, frames, sound), or something whose
        `encode` gives such tensors and that has no len (a reader of files)
    target: a vocabulary with `decode` too, or its size

    The second line is all there is to decoding: with the whole target it is teacher
    forcing, with a symbol at a time it is greedy or beam search (`lstmbook.search`).
    One symbol beyond the target's V, `boundary`, begins and ends every target.
    """

    def __init__(self, source, target):
        super().__init__()
        self.source, self.target = source, target
        self.boundary = size_of(target)

    @property
    def reads_ids(self) -> bool:
        """Whether sources are symbols; else they are tensors of numbers."""
        return isinstance(self.source, int) or hasattr(self.source, "__len__")

    def fit(
        self, pairs, valid=None, *, epochs: float = 10, batch_size: int = 64,
        learning_rate: float = 4e-3, patience: int | None = None, checks: int = 10,
        seed: int | None = None, workers: int = 0, progress: bool = True, **options,
    ):  # fmt: skip
        """Train on pairs by teacher forcing.

        pairs: [(source, target), ...], each as its vocabulary takes it, or ids; or a
            `torch.utils.data.Dataset` of such pairs, which are then read when their
            batch is due. It may say how long they are: `lengths`, one for each
        valid: the same, held out; every tenth pair unless given. The weights with
            the lowest loss on it are kept, `checks` looks in all
        workers: processes that read a data set and make the batches; 0 for none
        learning_rate: at its top; it falls to zero along a cosine
        patience: stop after so many looks without a better one
        seed: of the order of the batches and of torch's random numbers (dropout)
        options: for `lstmbook.training.trainer` (clip, checkpoint, precision ...)

        Returns the model, in evaluation mode. What happened is in
        `model.training_record`: {"updates": made, "valid": [(update, nats), ...]}.
        """
        from ..training import fit_by_length

        pairs = self._examples(pairs)
        if valid is None:
            rows, held_out = every_tenth(len(pairs))
            pairs, valid = _take(pairs, rows), _take(pairs, held_out)
        else:
            valid = self._examples(valid)
        if not len(pairs) or not len(valid):
            raise ValueError(
                f"{len(pairs)} pairs to train on and {len(valid)} to validate on: "
                "give at least one of each"
            )
        return fit_by_length(
            self, pairs, valid, self._collate, epochs=epochs, batch_size=batch_size,
            steps=_steps, seed=seed, network=TeacherForcing(self),
            learning_rate=learning_rate, checks=checks, patience=patience,
            workers=workers, progress=progress, **options,
        )  # fmt: skip

    def loader(
        self, pairs, batch_size: int = 64, *, workers: int = 0, shuffle: bool = True
    ) -> DataLoader:
        """The batches that `fit` learns from: (Pairs, wanted ids [batch, time])."""
        return loader_by_length(
            self._examples(pairs), self._collate, batch_size,
            shuffle=shuffle, steps=_steps, workers=workers,
        )  # fmt: skip

    def loss(self, batch) -> Tensor:
        """Cross entropy by teacher forcing, of a batch from `loader`: nats a symbol."""
        from ..training import sequence_loss

        pairs, wanted = batch
        device = self.output.weight.device
        logits, _ = TeacherForcing(self)(Pairs(*(p.to(device) for p in pairs)))
        return sequence_loss(logits, wanted.to(device))

    @torch.no_grad()
    def log_probabilities(self, pairs, batch_size: int = 256) -> Tensor:
        """Of each target, given its source, with its end: [N], in nats."""
        found, device = [], self.output.weight.device
        examples = self._examples(pairs)
        with evaluating(self):
            for rows in torch.arange(len(examples)).split(batch_size):
                batch, wanted = self._collate([examples[int(k)] for k in rows])
                logits, _ = TeacherForcing(self)(Pairs(*(p.to(device) for p in batch)))
                log_p = logits.log_softmax(2).cpu()
                at = wanted.clamp(min=0).unsqueeze(2)
                log_p = log_p.gather(2, at).squeeze(2)
                found.append(log_p.masked_fill(wanted == LEFT_OUT, 0).sum(1))
        return torch.cat(found)

    def search(
        self, sources, *, width: int = 1, max_length: int | None = None,
        batch_size: int = 256, **options,
    ):  # fmt: skip
        """What the model would write, for each source: hypotheses, best first.

        sources: a list, each as the source vocabulary takes it, or ids
        width: of the beam; 1 is greedy
        max_length: symbols at most; twice the longest source and ten unless given
        options: for `lstmbook.search.beam_search` (penalty, min_length)

        Returns a list of lists of `Hypothesis`.
        """
        found, device = [], self.output.weight.device
        sources = [self._encode(s, "source", k) for k, s in enumerate(sources)]
        for rows in torch.arange(len(sources)).split(batch_size):
            batch, lengths = pad([sources[k] for k in rows])
            with evaluating(self), torch.no_grad():
                state, ctx = self.encode(batch.to(device), lengths.to(device))
            common = {
                "end": self.boundary, "state": state, "ctx": ctx,
                "max_length": max_length or 2 * batch.shape[1] + 10,
            }  # fmt: skip
            start = torch.full((len(rows), 1), self.boundary)
            if width == 1:
                options.pop("penalty", None)  # no two lengths are compared
                found += [[h] for h in greedy(self, start, **common, **options)]
            else:
                found += beam_search(self, start, width=width, **common, **options)
        return found

    def translate(self, sources, **options):
        """The best target for one source or for a list; options as in `search`."""
        one = isinstance(sources, str | Path | Tensor)
        found = self.search([sources] if one else sources, **options)
        ids = [hypotheses[0].ids for hypotheses in found]
        written = ids if isinstance(self.target, int) else map(self.target.decode, ids)
        return next(iter(written)) if one else list(written)

    def _encode_pairs(self, pairs):
        return [self._encode_pair(pair, k) for k, pair in enumerate(pairs)]

    def _encode_pair(self, pair, k: int):
        source, target = pair
        return self._encode(source, "source", k), self._encode(target, "target", k)

    def _encode(self, sequence, kind: str, k: int) -> Tensor:
        vocabulary = getattr(self, kind)
        reader = kind == "source" and vocabulary is not None and not self.reads_ids
        if isinstance(sequence, Tensor) and not reader:
            found = sequence
        elif vocabulary is None or isinstance(vocabulary, int):
            found = torch.as_tensor(sequence)
        else:
            found = vocabulary.encode(sequence)
        if kind == "source" and len(found) == 0:
            raise ValueError(f"source {k} is empty: there is nothing to read")
        if kind == "source" and not self.reads_ids:
            return found
        if found.dim() != 1 or (found.is_floating_point() and len(found)):
            raise ValueError(
                f"{kind} {k} is {found.dtype} {tuple(found.shape)}: give ids [time]"
            )
        size = size_of(vocabulary)
        if len(found) and not 0 <= int(found.min()) <= int(found.max()) < size:
            raise ValueError(
                f"{kind} {k} has ids from {int(found.min())} to {int(found.max())}, "
                f"the model has {size} symbols: 0 to {size - 1}"
            )
        return found.long()

    def _examples(self, pairs):
        if isinstance(pairs, Dataset):
            return _Rows(pairs, range(len(pairs)), self._encode_pair)
        return self._encode_pairs(pairs)

    def _collate(self, pairs, training=False):
        sources, targets = zip(*pairs, strict=True)
        source, lengths = pad(sources)
        begin = nn.functional.pad
        given = [begin(t, (1, 0), value=self.boundary) for t in targets]
        wanted = [begin(t, (0, 1), value=self.boundary) for t in targets]
        given = pad_sequence(given, True, self.boundary)
        return Pairs(source, lengths, given), pad_sequence(wanted, True, LEFT_OUT)


class TeacherForcing(nn.Module):
    """The whole model as `Task` calls it, with a batch of pairs as its input."""

    def __init__(self, model: Writer):
        super().__init__()
        self.model = model

    def forward(self, pairs: Pairs, state=None, lengths=None):
        start = self.model.encode(pairs.source, pairs.lengths)
        return self.model(pairs.target, *start)


class _Rows(Dataset):
    """Some rows of a data set, each through a function when it is asked for."""

    def __init__(self, pairs: Dataset, rows, change=None):
        self.pairs, self.rows, self.change = pairs, list(rows), change
        lengths = getattr(pairs, "lengths", None)
        if lengths is not None:
            self.lengths = [lengths[k] for k in self.rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, k: int):
        pair = self.pairs[self.rows[k]]
        return pair if self.change is None else self.change(pair, k)


def _take(pairs, rows):
    if isinstance(pairs, Dataset):
        return _Rows(pairs, rows)
    return [pairs[k] for k in rows]


def _steps(pair) -> int:
    return len(pair[0]) + len(pair[1])


def size_of(vocabulary) -> int:
    """How many symbols a vocabulary has, or a number that is given for one."""
    return vocabulary if isinstance(vocabulary, int) else len(vocabulary)
