"""A time series: one target at equal steps of time, and its inputs."""

import dataclasses
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Series:
    """A target at equal steps of time, with inputs.

    times:  [T] datetime64[s], ascending, one step apart
    target: [T] float64, NaN where missing
    past:   [T, P] float64, inputs known only up to now, NaN where missing
    known:  [T, K] float64, inputs known in advance, NaN where missing

    `past` and `known` may be left out (P = 0, K = 0). Raises ValueError where
    shapes differ, times are not regular, or a value is infinite.
    """

    times: np.ndarray
    target: np.ndarray
    past: np.ndarray | None = None
    known: np.ndarray | None = None
    target_name: str = "target"
    past_names: tuple[str, ...] = ()
    known_names: tuple[str, ...] = ()

    def __post_init__(self):
        put = object.__setattr__
        put(self, "times", np.asarray(self.times, dtype="datetime64[s]"))
        put(self, "target", np.asarray(self.target, dtype=np.float64))
        steps = len(self.times)
        if self.times.ndim != 1 or steps < 2:
            raise ValueError(
                f"times has shape {list(self.times.shape)}; a series has at least "
                "2 steps [T]"
            )
        if self.target.shape != (steps,):
            raise ValueError(
                f"target has shape {list(self.target.shape)}, expected [{steps}], "
                "one value for each time"
            )
        for kind in ("past", "known"):
            names = tuple(getattr(self, f"{kind}_names"))
            values = getattr(self, kind)
            values = np.zeros((steps, 0)) if values is None else values
            values = np.asarray(values, dtype=np.float64)
            if values.shape != (steps, len(names)):
                raise ValueError(
                    f"{kind} has shape {list(values.shape)}, expected "
                    f"[{steps}, {len(names)}]: a row for each time and a column for "
                    f"each of {kind}_names={names}"
                )
            put(self, kind, values)
            put(self, f"{kind}_names", names)
        check_names((self.target_name, *self.past_names, *self.known_names))
        _check_regular(self.times)
        for name, values in self.columns().items():
            if np.isinf(values).any():
                row = int(np.isinf(values).argmax())
                raise ValueError(f"{name!r} is infinite at {self.times[row]}")

    def __len__(self) -> int:
        return len(self.times)

    def __repr__(self) -> str:
        return (
            f"Series({self.target_name}, {len(self)} steps of {self.step.item()} from "
            f"{self.times[0]} to {self.times[-1]}, {np.isnan(self.target).sum()} "
            f"missing; past {list(self.past_names)}, known {list(self.known_names)})"
        )

    def __getitem__(self, part: slice) -> "Series":
        if not isinstance(part, slice) or part.step not in (None, 1):
            raise TypeError(
                f"a series is cut with series[a:b], got {part!r}; one value is "
                "series.target[i]"
            )
        start, stop, _ = part.indices(len(self))
        if stop - start < 2:
            raise ValueError(
                f"series[{part.start}:{part.stop}] has {max(stop - start, 0)} of "
                f"{len(self)} steps; a series has at least 2"
            )
        return dataclasses.replace(
            self,
            times=self.times[part],
            target=self.target[part],
            past=self.past[part],
            known=self.known[part],
        )

    @property
    def step(self) -> np.timedelta64:
        """The time between two steps."""
        return self.times[1] - self.times[0]

    def columns(self) -> dict[str, np.ndarray]:
        """Every column by its name, target first, each [T]."""
        names = (self.target_name, *self.past_names, *self.known_names)
        values = (self.target, *self.past.T, *self.known.T)
        return dict(zip(names, values, strict=True))

    def index(self, date) -> int:
        """The position of a date, "2018-05-08" or "2018-05-08 14:00".

        The time just after the last one is allowed, as the end of a slice.
        """
        time = np.datetime64(date, "s")
        position = (time - self.times[0]) / self.step
        if not 0 <= position <= len(self):
            raise ValueError(
                f"{date} lies outside of the series, which goes from "
                f"{self.times[0]} to {self.times[-1]}"
            )
        if position % 1:
            before = self.times[int(position)]
            raise ValueError(
                f"{date} is not a step of the series; its neighbours are {before} "
                f"and {before + self.step}"
            )
        return int(position)

    def to_frame(self):
        """A pandas DataFrame with the times as its index."""
        import pandas as pd

        return pd.DataFrame(self.columns(), index=pd.Index(self.times, name="time"))

    def extended(self, steps: int) -> "Series":
        """The same series with `steps` more times, target and past missing.

        Raises ValueError for a series with inputs known in advance: nobody
        but you has their future values.
        """
        if steps < 1:
            raise ValueError(f"steps is {steps}, expected at least 1")
        if self.known_names:
            raise ValueError(
                f"the next {steps} values of {list(self.known_names)} are needed. Add "
                "rows to the series (or its file) that have them, with the target "
                "and the past inputs missing, and pass origins=[the first such row]"
            )
        later = self.times[-1] + self.step * np.arange(1, steps + 1)
        unknown = np.full((steps, 1 + self.past.shape[1]), np.nan)
        return dataclasses.replace(
            self,
            times=np.concatenate([self.times, later]),
            target=np.concatenate([self.target, unknown[:, 0]]),
            past=np.concatenate([self.past, unknown[:, 1:]]),
            known=np.zeros((len(self) + steps, 0)),
        )


def check_names(names: tuple[str, ...]):
    """Raise ValueError where two columns have the same name."""
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(
            f"{repeated} stand more than once among {list(names)}; a column has one "
            "role: time, target, past or known"
        )


def _check_regular(times: np.ndarray):
    steps = np.diff(times)
    if np.isnat(times).any():
        raise ValueError("times holds NaT; every step needs a time")
    if (steps <= np.timedelta64(0, "s")).any():
        row = int((steps <= np.timedelta64(0, "s")).argmax()) + 1
        raise ValueError(f"times must ascend; {times[row]} follows {times[row - 1]}")
    if (steps != steps[0]).any():
        row = int((steps != steps[0]).argmax())
        raise ValueError(
            f"times must be regular: after steps of {steps[0].item()}, "
            f"{times[row + 1]} follows {times[row]}"
        )
