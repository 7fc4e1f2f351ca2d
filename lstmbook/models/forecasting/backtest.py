"""Back-tests: forecast the past as if it were not known, and refuse to peek.

    result = backtest(SeasonalNaive(24, season=168), series, start="2018-05-08")
    result.scores()             # {"mae": ..., "mase": ..., "coverage_80": ...}

An origin is the position of the first step that is forecast. At origin t a
forecaster may use target and past inputs before t, and known inputs and the
calendar up to t + horizon - 1. This is checked: what is not yet known is replaced
by noise, and forecasts that change are refused with `LeakError`.
"""

import dataclasses
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ...datasets.regular import Series
from . import metrics


class LeakError(RuntimeError):
    """A forecast depends on what was not known when it was made."""


@dataclass(frozen=True, eq=False)
class Forecast:
    """Forecasts from N origins for the next H steps, in the unit of the series.

    origins:   [N] int, the position of the first step of each
    point:     [N, H]
    levels:    the levels of the quantiles, ascending, in (0, 1)
    quantiles: [N, H, Q], or None
    """

    origins: np.ndarray
    point: np.ndarray
    levels: tuple[float, ...] = ()
    quantiles: np.ndarray | None = None

    def interval(self, coverage: float = 0.8) -> tuple[np.ndarray, np.ndarray]:
        """Bounds, each [N, H], that hold the central share `coverage`.

        A level between two of `levels` is interpolated; one outside raises.
        """
        if self.quantiles is None:
            raise ValueError(
                "this forecast has no quantiles; pass levels=(0.1, 0.5, 0.9) to predict"
            )
        low, high = (1 - coverage) / 2, (1 + coverage) / 2
        inside = self.levels[0] - 1e-9 <= low < high <= self.levels[-1] + 1e-9
        if not inside:
            raise ValueError(
                f"coverage {coverage} needs the levels {low:.3g} and {high:.3g}; the "
                f"forecast has {self.levels[0]:.3g} to {self.levels[-1]:.3g}"
            )
        return self._quantile(low), self._quantile(high)

    def _quantile(self, level: float) -> np.ndarray:
        levels = np.asarray(self.levels)
        right = int(np.searchsorted(levels, level - 1e-9).clip(0, len(levels) - 1))
        left = max(right - 1, 0)
        if abs(levels[right] - level) < 1e-9:
            return self.quantiles[..., right]
        share = (level - levels[left]) / (levels[right] - levels[left])
        lower, upper = self.quantiles[..., left], self.quantiles[..., right]
        return lower + share * (upper - lower)


class Forecaster(Protocol):
    """What a back-test needs; every forecaster of this folder has it."""

    horizon: int

    def fit(self, series: Series) -> "Forecaster": ...

    def predict(
        self, series: Series, origins=None, levels: tuple[float, ...] = ()
    ) -> Forecast: ...


@dataclass(frozen=True, eq=False)
class Backtest:
    """Forecasts and what came.

    actual: [N, H], NaN where missing
    scale:  mean absolute error of the seasonal naive forecast, one step, on the
            fitted part (for MASE)
    times:  [N, H] datetime64[s]
    """

    forecast: Forecast
    actual: np.ndarray
    scale: float
    times: np.ndarray

    def scores(self) -> dict[str, float]:
        """mae, rmse, mase, smape; with quantiles pinball, crps, coverage, width.

        coverage_80 and width_80 belong to the interval between the levels 0.1
        and 0.9; there is a pair for every two levels that are symmetric.
        """
        actual, point = self.actual, self.forecast.point
        scores = {
            "mae": metrics.mae(actual, point),
            "rmse": metrics.rmse(actual, point),
            "mase": metrics.mase(actual, point, self.scale),
            "smape": metrics.smape(actual, point),
        }
        levels, quantiles = self.forecast.levels, self.forecast.quantiles
        if quantiles is None:
            return scores
        scores["pinball"] = metrics.pinball(actual, quantiles, levels)
        scores["crps"] = metrics.crps(actual, quantiles, levels)
        for level in levels:
            if level < 0.5 and np.isclose(levels, 1 - level).any():
                low, high = self.forecast.interval(1 - 2 * level)
                name = f"{100 * (1 - 2 * level):.4g}"
                scores[f"coverage_{name}"] = metrics.coverage(actual, low, high)
                scores[f"width_{name}"] = float((high - low).mean())
        return scores

    def by_horizon(self, metric: str = "mae") -> np.ndarray:
        """One of the scores for each step of the horizon, [H]."""
        known = self.scores()
        if metric not in known:
            raise ValueError(f"there is no score {metric!r}; there are: {[*known]}")
        return np.array([self._step(h).scores()[metric] for h in range(self._horizon)])

    @property
    def _horizon(self) -> int:
        return self.actual.shape[1]

    def _step(self, h: int) -> "Backtest":
        part = slice(h, h + 1)
        forecast = self.forecast
        quantiles = forecast.quantiles
        forecast = dataclasses.replace(
            forecast,
            point=forecast.point[:, part],
            quantiles=None if quantiles is None else quantiles[:, part],
        )
        return Backtest(forecast, self.actual[:, part], self.scale, self.times[:, part])


def backtest(
    forecaster: Forecaster,
    series: Series,
    start,
    *,
    every: int | None = None,
    stop=None,
    season: int | None = None,
    refit_every: int | None = None,
    levels: tuple[float, ...] = (0.1, 0.5, 0.9),
    fit: bool = True,
    check: bool = True,
) -> Backtest:
    """Forecasts from rolling origins, and what came.

    start:       the first origin, a position or a date; the forecaster is fitted on
                 what lies before it
    every:       steps between origins; by default the horizon, so that each step
                 is forecast once
    stop:        the end of what is forecast, a position or a date; windows that
                 would reach beyond it (by default the series) are left out
    season:      for MASE; by default the steps of a day, of a week for daily data
    refit_every: fit again, on all that is known by then, after so many steps;
                 by default never
    levels:      of the quantiles; () for none
    fit:         False for a forecaster that is fitted already, on nothing that
                 lies after start: this alone cannot be checked
    check:       replace what is not yet known by noise, at the first, a middle and
                 the last origin; raises LeakError if a forecast changes
    """
    start = start if isinstance(start, int | np.integer) else series.index(start)
    stop = len(series) if stop is None else stop
    stop = stop if isinstance(stop, int | np.integer) else series.index(stop)
    horizon = forecaster.horizon
    every = horizon if every is None else every
    if every < 1 or (refit_every is not None and refit_every < 1):
        raise ValueError(
            f"every and refit_every must be at least 1, got {every} and {refit_every}"
        )
    if not (start >= 2 and stop <= len(series) and start + horizon <= stop):
        raise ValueError(
            f"no window of {horizon} steps fits between start={start} and stop={stop} "
            f"of {len(series)} steps"
        )
    if refit_every is not None and not fit:
        raise ValueError("refit_every asks for fitting, and fit=False forbids it")
    origins = np.arange(start, stop - horizon + 1, every)
    season = _season(series) if season is None else season
    scale = metrics.naive_scale(series.target[:start], season)

    parts = []
    for group in _groups(origins, refit_every):
        if fit:
            forecaster.fit(series[: group[0]])
        parts.append(_predict(forecaster, series, group, levels))
        if check and len(parts) == 1:
            _check_no_leak(forecaster, series, parts[0], start)
    steps = origins[:, None] + np.arange(horizon)
    return Backtest(_joined(parts), series.target[steps], scale, series.times[steps])


def _season(series: Series) -> int:
    day = np.timedelta64(86_400, "s")
    if series.step < day:
        return round(day / series.step)
    return 7 if series.step == day else 1


def _groups(origins: np.ndarray, refit_every: int | None) -> list[np.ndarray]:
    if refit_every is None:
        return [origins]
    fits = (origins - origins[0]) // refit_every
    return [origins[fits == number] for number in np.unique(fits)]


def _joined(parts: list[Forecast]) -> Forecast:
    quantiles = [part.quantiles for part in parts]
    return Forecast(
        np.concatenate([part.origins for part in parts]),
        np.concatenate([part.point for part in parts]),
        parts[0].levels,
        None if quantiles[0] is None else np.concatenate(quantiles),
    )


def _predict(forecaster, series: Series, origins: np.ndarray, levels) -> Forecast:
    forecast = forecaster.predict(series, origins=origins, levels=tuple(levels))
    name = type(forecaster).__name__
    shape = (len(origins), forecaster.horizon)
    if not np.array_equal(forecast.origins, origins) or forecast.point.shape != shape:
        raise ValueError(
            f"{name} was asked for {shape[0]} origins and {shape[1]} steps, and gave "
            f"{len(forecast.origins)} origins and a point forecast of shape "
            f"{list(forecast.point.shape)}"
        )
    if not np.isfinite(forecast.point).all():
        row = int((~np.isfinite(forecast.point)).any(axis=1).argmax())
        raise ValueError(
            f"{name} gave a forecast that is no number, first at origin "
            f"{origins[row]} ({series.times[origins[row]]})"
        )
    return forecast


def _check_no_leak(forecaster, series: Series, forecast: Forecast, start: int):
    # All origins are asked for again, since a forecaster may also peek from one
    # of them into what only a later one may know.
    origins = forecast.origins
    spread = float(np.nanstd(series.target[:start])) or 1.0
    for chosen in sorted({0, len(origins) // 2, len(origins) - 1}):
        origin = int(origins[chosen])
        noisy = _with_noise_from(series, origin)
        again = forecaster.predict(noisy, origins=origins, levels=forecast.levels)
        change = _change(forecast, again, chosen + 1)
        # Rounding may change with the machine's mood, by far less than this.
        if change <= 1e-5 * spread:
            continue
        name = type(forecaster).__name__
        same = forecaster.predict(series, origins=origins, levels=forecast.levels)
        if _change(forecast, same, chosen + 1) > 1e-5 * spread:
            raise ValueError(
                f"two forecasts of {name} from the same data differ, so that a leak "
                "cannot be told from chance; give it a fixed seed"
            )
        raise LeakError(
            f"{name} looks ahead: its forecasts from origins up to {origin} "
            f"({series.times[origin]}) change by up to {change:.4g} when target and "
            "past inputs from that origin on are replaced by noise. At origin t use "
            "series.target[:t] and series.past[:t] only"
        )


def _with_noise_from(series: Series, origin: int) -> Series:
    random = np.random.default_rng(origin)

    def noise(values):
        # Missing values as well: that one is missing is not known either.
        before = np.nan_to_num(values[:origin])
        center, spread = before.mean(axis=0), before.std(axis=0) + 1.0
        drawn = random.standard_normal(values[origin:].shape)
        return np.concatenate([values[:origin], center + 3 * spread * drawn])

    return dataclasses.replace(
        series, target=noise(series.target), past=noise(series.past)
    )


def _change(first: Forecast, second: Forecast, rows: int) -> float:
    change = np.abs(first.point[:rows] - second.point[:rows]).max()
    if first.quantiles is not None:
        quantiles = np.abs(first.quantiles[:rows] - second.quantiles[:rows]).max()
        change = max(change, quantiles)
    return float(change)
