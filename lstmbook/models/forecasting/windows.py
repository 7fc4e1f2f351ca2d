"""From a series to batches: scaled features, and windows cut by index.

An origin t0 is the first step to forecast. The window of t0 holds what is known
just before it: the rows t0 - history to t0 - 1 of everything, and of the steps
t0 to t0 + horizon - 1 the inputs known in advance and the calendar.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from ...datasets.regular import Series
from ...datasets.timefeatures import calendar

FARTHEST = 5.0  # standard deviations


class Window(NamedTuple):
    """A batch of windows.

    past:   [B, L, F] of each past step the scaled target and past inputs (0 where
            missing), their flags (1 = missing), the known inputs, the calendar
    future: [B, H, K] known inputs, their flags and the calendar, of the steps to
            forecast
    taught: [B, H] the scaled target itself, for teacher forcing; None in forecasts
    """

    past: Tensor
    future: Tensor
    taught: Tensor | None = None


class Arrays(NamedTuple):
    """A series as a network reads it: past [T, F], future [T, K], target [T]."""

    past: Tensor
    future: Tensor
    target: Tensor


class Features(nn.Module):
    """How the columns of a series become features; scales are in its buffers.

    target, past, known: names of the columns
    flags:    columns that get a flag, 1 where missing: those that were ever missing
              when the scales were taken. A flag that never was 1 has weights that
              never learned; a column that starts to be missing later reads as its
              mean, 0, without one
    calendar: parts of the calendar, see `lstmbook.datasets.series.calendar`
    country:  for the part "holiday"
    step:     seconds between two steps

    Every column is scaled to mean 0 and standard deviation 1 over the part that
    `fitted` was given; calendar and flags stay as they are. Inputs, not the target,
    are cut at FARTHEST standard deviations: rain that hardly fell while the network
    learned would else drive every gate into saturation when it falls.
    """

    def __init__(self, target, past, known, flags, calendar, country, step: int):
        super().__init__()
        self.target, self.past, self.known = target, tuple(past), tuple(known)
        self.flags, self.calendar = tuple(flags), tuple(calendar)
        self.country, self.step = country, step
        self.register_buffer("mean", torch.zeros(len(self.names), dtype=torch.float64))
        self.register_buffer("scale", torch.ones(len(self.names), dtype=torch.float64))

    @property
    def names(self) -> tuple[str, ...]:
        """The columns of the series that are read."""
        return (self.target, *self.past, *self.known)

    @property
    def widths(self) -> tuple[int, int]:
        """F and K, the features of a past and of a future step."""
        when = [np.datetime64(0, "s")]
        _, dates = calendar(
            when, self.calendar, self.country, step=np.timedelta64(self.step, "s")
        )
        flagged = [name for name in self.known if name in self.flags]
        K = len(self.known) + len(flagged) + len(dates)
        F = 1 + len(self.past) + len(self.flags) - len(flagged) + K
        return F, K

    @classmethod
    def fitted(cls, series: Series, use_past: bool, calendar, country) -> "Features":
        """Take names and scales from the given part of a series and no other."""
        past = series.past_names if use_past else ()
        step = int(series.step / np.timedelta64(1, "s"))
        columns = series.columns()
        names = (series.target_name, *past, *series.known_names)
        flags = tuple(name for name in names if np.isnan(columns[name]).any())
        new = cls(series.target_name, past, series.known_names, flags, calendar,
                  country, step)  # fmt: skip
        for k, name in enumerate(names):
            if np.isnan(columns[name]).all():
                raise ValueError(f"{name!r} is missing in all of the training part")
            spread = float(np.nanstd(columns[name]))
            new.mean[k] = float(np.nanmean(columns[name]))
            # An input that is constant so far, snow in summer, may change later.
            new.scale[k] = spread if spread > 0 else 1.0
        return new

    def forward(self, series: Series) -> Arrays:
        """The series as arrays, on the device of the buffers."""
        self._check(series)
        mean, scale = self.mean.cpu().numpy(), self.scale.cpu().numpy()
        scaled = {}
        for k, name in enumerate(self.names):
            scaled[name] = (series.columns()[name] - mean[k]) / scale[k]
            if k:
                scaled[name] = scaled[name].clip(-FARTHEST, FARTHEST)

        def part(names):
            flags = [np.isnan(scaled[name]) for name in names if name in self.flags]
            return [np.nan_to_num(scaled[name]) for name in names] + flags

        dates, _ = calendar(series.times, self.calendar, self.country, step=series.step)
        future = [*part(self.known), *dates.T]
        past = [*part((self.target, *self.past)), *future]
        return Arrays(
            self._tensor(past, len(series)),
            self._tensor(future, len(series)),
            torch.tensor(scaled[self.target], dtype=torch.float32).to(self.mean.device),
        )

    def unscale(self, value: Tensor) -> np.ndarray:
        """Back to the unit of the target, float64."""
        value = value.detach().double().cpu().numpy()
        return value * float(self.scale[0]) + float(self.mean[0])

    def _tensor(self, columns, steps):
        values = np.stack(columns, axis=1) if columns else np.zeros((steps, 0))
        return torch.tensor(values, dtype=torch.float32).to(self.mean.device)

    def _check(self, series: Series):
        lacking = [name for name in self.names if name not in series.columns()]
        roles = (self.target, self.known)
        if lacking or roles != (series.target_name, series.known_names):
            raise ValueError(
                f"fitted on the target {self.target!r}, past inputs {list(self.past)} "
                f"and known inputs {list(self.known)}; this series has the target "
                f"{series.target_name!r}, past {list(series.past_names)} and known "
                f"{list(series.known_names)}"
            )
        step = int(series.step / np.timedelta64(1, "s"))
        if step != self.step:
            raise ValueError(
                f"fitted on steps of {self.step} s; this series has steps of {step} s"
            )

    def config(self) -> dict:
        names = ("target", "past", "known", "flags", "calendar", "country", "step")
        return {name: getattr(self, name) for name in names}


class Windows(Dataset):
    """The windows of some origins, cut when they are asked for.

    arrays:  from `Features`
    origins: [N] positions, each with `history` steps before it and `horizon` from
             it on
    teach:   whether windows hold the target too; never for a forecast

    windows[[3, 1]] is (Window, target [2, H]), the target scaled and NaN where
    missing: a whole batch is one look-up, not many copies.
    """

    def __init__(self, arrays: Arrays, history: int, horizon: int, origins, teach=True):
        origins = torch.as_tensor(np.asarray(origins), dtype=torch.long)
        steps = len(arrays.past)
        if origins.dim() != 1 or len(origins) == 0:
            raise ValueError(
                f"origins has shape {list(origins.shape)}: give at least one, [N]"
            )
        low, high = int(origins.min()), int(origins.max())
        if low < history or high + horizon > steps:
            raise ValueError(
                f"origins go from {low} to {high}; with history={history} and "
                f"horizon={horizon} a series of {steps} steps has room for "
                f"{history} to {steps - horizon}"
            )
        self.arrays, self.origins, self.teach = arrays, origins, teach
        self.before = torch.arange(-history, 0)
        self.after = torch.arange(horizon)

    def __len__(self) -> int:
        return len(self.origins)

    def __getitem__(self, rows):
        origins = self.origins[rows].reshape(-1, 1)
        after = origins + self.after
        taught = self.arrays.target[after]
        return (
            Window(
                self.arrays.past[origins + self.before],
                self.arrays.future[after],
                taught if self.teach else None,
            ),
            taught,
        )

    __getitems__ = __getitem__  # a loader hands over the rows of a batch at once

    def batches(self, batch_size: int, shuffle: bool = False, generator=None):
        """A loader of (Window, target)."""
        return DataLoader(
            self, batch_size, shuffle, generator=generator, collate_fn=_as_it_is
        )


def _as_it_is(batch):
    return batch
