"""What a forecaster has to beat: the last value, the season, its median.

    SeasonalMedian(24, season=168, cycles=4).fit(past).predict(series)

`statistical` has ETS and ARIMA, `regression` ridge regression and boosting; all
share `Baseline`: fitting, origins, and intervals from errors of the past.
"""

from abc import ABC, abstractmethod

import numpy as np

from ...datasets.regular import Series
from .backtest import Forecast

FEWEST = 10  # windows of errors that quantiles are taken from


class Baseline(ABC):
    """A forecaster of the next `horizon` steps.

    A subclass learns from a series and gives point forecasts. Its quantiles are
    the point forecast plus quantiles of errors, step by step. Errors come from
    a back-test inside the fitted part: fitted on its first 80 per cent, forecasts
    of the rest, from origins `horizon` steps apart counted back from its end. So
    they belong to origins at the same time of the day where the horizon is a
    whole day.
    """

    history = 1  # steps that must lie before an origin
    own_quantiles = False  # whether `_quantiles` needs no errors of the past

    def __init__(self, horizon: int):
        if horizon < 1:
            raise ValueError(f"horizon is {horizon}, expected at least 1 step")
        self.horizon = horizon
        self._fitted = None  # names of the columns, once fitted
        self._errors = None  # [windows, H]

    def fit(self, series: Series) -> "Baseline":
        """Learn from a series, all of it; returns the forecaster itself."""
        need = self.history + self.horizon
        if len(series) < need:
            raise ValueError(
                f"{type(self).__name__} needs {self.history} steps of history and "
                f"{self.horizon} to forecast; the series has {len(series)} steps"
            )
        if np.isnan(series.target).all():
            raise ValueError(f"every value of {series.target_name!r} is missing")
        self._errors = None
        if not self.own_quantiles:
            self._errors = self._errors_of_the_past(series)
        self._learn(series)
        self._fitted = tuple(series.columns())
        return self

    def predict(
        self,
        series: Series,
        origins=None,
        levels: tuple[float, ...] = (0.1, 0.5, 0.9),
    ) -> Forecast:
        """Forecasts from each origin; by default from after the last step.

        origins: positions in `series`, each with `history` steps before it and
                 `horizon` from it on (their targets are not read)
        levels:  of the quantiles; () for none
        """
        name = type(self).__name__
        if self._fitted is None:
            raise RuntimeError(f"{name} is not fitted yet; call fit(series) first")
        if tuple(series.columns()) != self._fitted:
            raise ValueError(
                f"{name} was fitted on the columns {list(self._fitted)}; the series "
                f"has {list(series.columns())}"
            )
        if origins is None:
            origins = [len(series)]
            series = series.extended(self.horizon)
        origins = np.asarray(origins, dtype=np.int64)
        last = len(series) - self.horizon
        outside = (origins < self.history) | (origins > last)
        if origins.ndim != 1 or len(origins) == 0 or outside.any():
            raise ValueError(
                f"origins are {origins.tolist()}; expected positions from "
                f"{self.history} (the history) to {last} ({self.horizon} steps before "
                "the end). To forecast what comes after the series leave origins out"
            )
        point = self._point(series, origins)
        levels = tuple(levels)
        if not levels:
            return Forecast(origins, point)
        quantiles = self._quantiles(series, origins, point, levels)
        # Models of single levels may cross.
        return Forecast(origins, point, levels, np.sort(quantiles, axis=-1))

    @abstractmethod
    def _learn(self, series: Series) -> None: ...

    @abstractmethod
    def _point(self, series: Series, origins: np.ndarray) -> np.ndarray:
        """Point forecasts [N, H]."""

    def _quantiles(self, series, origins, point, levels) -> np.ndarray:
        """Quantiles [N, H, Q], for levels in ascending order."""
        if self._errors is None:
            raise ValueError(
                f"the fitted part is too short for quantiles: fewer than {FEWEST} "
                f"windows of {self.horizon} steps in its last fifth. Pass levels=()"
            )
        # The k-th of n errors as the quantile k / (n + 1): where errors to come are
        # like those of the past, an interval then covers its share for any n.
        errors = np.nanquantile(self._errors, levels, axis=0, method="weibull")
        return point[:, :, None] + errors.T  # errors [Q, H]

    def _errors_of_the_past(self, series: Series) -> np.ndarray | None:
        first = max(int(0.8 * len(series)), self.history + self.horizon)
        origins = np.arange(len(series) - self.horizon, first - 1, -self.horizon)[::-1]
        if len(origins) < FEWEST:
            return None
        self._learn(series[: origins[0]])
        actual = series.target[origins[:, None] + np.arange(self.horizon)]
        errors = actual - self._point(series, origins)
        return None if np.isnan(errors).all(axis=0).any() else errors


class SeasonalNaive(Baseline):
    """The last known value at the same place in the season.

    season: in steps; 24 is the same hour of the day before, 168 of the week before
    """

    def __init__(self, horizon: int, season: int):
        super().__init__(horizon)
        if season < 1:
            raise ValueError(f"season is {season}, expected at least 1 step")
        self.season = self.history = season

    def _learn(self, series):
        pass

    def _point(self, series, origins):
        steps = _last_season(origins, self.horizon, self.season)
        return _known(_filled(series.target, self.season)[steps], series, steps)


class LastValue(SeasonalNaive):
    """The last known value, at every step of the horizon."""

    def __init__(self, horizon: int):
        super().__init__(horizon, season=1)


class SeasonalMedian(SeasonalNaive):
    """The median of values at the same place in the season.

    season: in steps; 168 is the hour of the week
    cycles: how many seasons back from the origin; None for all of the fitted part,
            a profile that later values do not change
    """

    def __init__(self, horizon: int, season: int, cycles: int | None = None):
        super().__init__(horizon, season)
        if cycles is not None and cycles < 1:
            raise ValueError(f"cycles is {cycles}, expected None or at least 1")
        self.cycles = cycles
        self.history = season * (cycles or 1)

    def _learn(self, series):
        values = series.target
        # NaN in front, so that the table ends where the series ends.
        empty = np.full(-len(values) % self.season, np.nan)
        table = np.concatenate([empty, values]).reshape(-1, self.season)
        self._profile = _median(table.T)
        self._end = series.times[-1] + series.step  # where the profile begins

    def _point(self, series, origins):
        if self.cycles is None:
            # Counted in time: the series may begin elsewhere than the fitted one.
            first = int((series.times[0] - self._end) // series.step)
            steps = origins[:, None] + np.arange(self.horizon)
            return _known(self._profile[(first + steps) % self.season], series, steps)
        last = _last_season(origins, self.horizon, self.season)
        back = self.season * np.arange(self.cycles)
        steps = last[:, :, None] - back
        values = np.where(steps >= 0, series.target[steps.clip(0)], np.nan)
        # Where all of them are missing, the last one before them.
        last_known = _filled(series.target, self.season)[last]
        median = _median(values)
        return _known(np.where(np.isnan(median), last_known, median), series, last)


def _last_season(origins: np.ndarray, horizon: int, season: int) -> np.ndarray:
    """The latest steps before each origin, whole seasons before its targets [N, H]."""
    ahead = np.arange(horizon)
    return origins[:, None] + ahead - season * (ahead // season + 1)


def _filled(values: np.ndarray, season: int) -> np.ndarray:
    """Values with missing ones taken from the season before, [T]."""
    values = values.copy()
    for place in range(min(season, len(values))):
        column = values[place::season]
        latest = np.where(np.isnan(column), 0, np.arange(len(column)))
        values[place::season] = column[np.maximum.accumulate(latest)]
    return values


def _median(values: np.ndarray) -> np.ndarray:
    """Median over the last axis of what is known, NaN where nothing is."""
    import warnings

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        return np.nanmedian(values, axis=-1)


def _known(values: np.ndarray, series: Series, steps: np.ndarray) -> np.ndarray:
    if np.isnan(values).any():
        step = steps[np.isnan(values)][0]
        raise ValueError(
            f"no value of {series.target_name!r} is known at the place in the season "
            f"of {series.times[step]}, up to then; give the series more history"
        )
    return values
