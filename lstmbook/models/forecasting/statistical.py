"""ETS and ARIMA, fitted once, with a state that follows the series.

statsmodels estimates the parameters and runs the Kalman filter. One pass of it
over a series gives the state before every step from what lies before that step,
and the forecasts of all origins follow from these states: nothing is fitted again.

Hourly data get one model for each hour of the day, on the days. A single model
for all hours follows the last hour, which says little about the next afternoon;
separate ones are usual for the load of power grids (Ramanathan et al. 1997,
Short-run forecasts of electricity loads and peaks).
"""

import warnings
from statistics import NormalDist

import numpy as np

from ...datasets.timefeatures import calendar
from .baselines import Baseline


class _StateSpace(Baseline):
    """One linear Gaussian model for each place in the season."""

    own_quantiles = True

    def __init__(self, horizon: int, season: int):
        super().__init__(horizon)
        if season < 1:
            raise ValueError(f"season is {season}, expected at least 1 step")
        self.season = season
        self.history = 2 * season

    def _regressors(self, series) -> np.ndarray:
        return np.zeros((len(series), 0))

    def _learn(self, series):
        self._start = series.times[0]
        self._scale = float(np.nanstd(series.target)) or 1.0
        inputs = self._regressors(series)
        self._fits = []
        for place in range(self.season):
            values = series.target[place :: self.season] / self._scale
            x = inputs[place :: self.season]
            known = ~np.isnan(values)
            if known.sum() < 10:
                raise ValueError(
                    f"place {place} in the season of {self.season} steps has "
                    f"{known.sum()} known values; a model needs at least 10"
                )
            weights = np.linalg.lstsq(x[known], values[known], rcond=None)[0]
            rest = values - x @ weights
            begin = self._begin(rest)
            with warnings.catch_warnings():
                # Notes about starting values and iterations; what counts is scored.
                warnings.simplefilter("ignore")
                found = self._model(rest, begin).fit(
                    self._guess(rest), disp=False, maxiter=50
                )
            self._fits.append((weights, begin, found.params))

    def _point(self, series, origins):
        return self._moments(series, origins)[0]

    def _quantiles(self, series, origins, point, levels):
        deviation = np.sqrt(self._moments(series, origins)[1])
        normal = np.array([NormalDist().inv_cdf(level) for level in levels])
        return point[:, :, None] + deviation[:, :, None] * normal

    def _moments(self, series, origins):
        """Means and variances of the forecasts, each [N, H]."""
        if series.times[0] != self._start:
            raise ValueError(
                f"{type(self).__name__} builds its state up from {self._start}, where "
                f"the fitted series begins; this one begins at {series.times[0]}"
            )
        # What lies after the last origin is not needed.
        last = int(origins.max()) + self.horizon
        inputs = self._regressors(series[:last])
        target = series.target[:last] / self._scale
        steps = origins[:, None] + np.arange(self.horizon)
        mean, variance = np.empty(steps.shape), np.empty(steps.shape)
        for place, (weights, begin, params) in enumerate(self._fits):
            explained = inputs[place :: self.season] @ weights
            rest = target[place :: self.season] - explained
            filtered = self._model(rest, begin).filter(params).filter_results
            rows, ahead = np.nonzero(steps % self.season == place)
            cycle = steps[rows, ahead] // self.season
            # How many values of this place lie before the origin.
            known = (origins[rows] - place + self.season - 1) // self.season
            m, v = _propagate(filtered, known, cycle - known)
            mean[rows, ahead] = (m + explained[cycle]) * self._scale
            variance[rows, ahead] = v * self._scale**2
        return mean, variance

    def _begin(self, values: np.ndarray) -> dict:
        """What the state is at the start, for `_model`."""
        return {}

    def _guess(self, values: np.ndarray):
        """Where the search for parameters starts; None for statsmodels' choice."""
        return None


class ETS(_StateSpace):
    """Exponential smoothing: a level and a seasonal pattern, both drifting.

    season: one model for each place in it; 24 for hourly data, 1 for a single one
    cycle:  the season of each model, in its own steps; 7 is the week of days

    ETS(A, N, A), or ETS(A, N, N) with cycle=1, normal errors. Missing values leave
    the state as predicted. Source: Hyndman, Koehler, Ord and Snyder 2008,
    Forecasting with exponential smoothing, ch. 2 to 5.
    """

    def __init__(self, horizon: int, season: int = 24, cycle: int = 7):
        super().__init__(horizon, season)
        if cycle < 1:
            raise ValueError(f"cycle is {cycle}, expected at least 1")
        self.cycle = cycle
        self.history = 2 * season * cycle

    def _begin(self, values):
        # Level and pattern of the first eight cycles (the first values of
        # `initialization_method="simple"` may be missing).
        first = values[: 8 * self.cycle]
        level = np.nanmean(first)
        begin = {"initialization_method": "known", "initial_level": level}
        if self.cycle > 1:
            known = [first[place :: self.cycle] for place in range(self.cycle)]
            pattern = [
                np.nanmean(k) - level if not np.isnan(k).all() else 0.0 for k in known
            ]
            # The latest first: what the last cycle before the start would hold.
            begin["initial_seasonal"] = np.array(pattern[::-1])
        return begin

    def _guess(self, values):
        weights = [0.1, 0.05] if self.cycle > 1 else [0.1]
        return np.array([*weights, np.nanvar(values)])

    def _model(self, values, begin):
        from statsmodels.tsa.statespace.exponential_smoothing import (
            ExponentialSmoothing,
        )

        # A concentrated scale would be estimated from all of `values`, also from
        # those that lie after an origin.
        return ExponentialSmoothing(
            values,
            seasonal=self.cycle if self.cycle > 1 else None,
            concentrate_scale=False,
            **begin,
        )


class ARIMA(_StateSpace):
    """Regression on the calendar, with ARIMA errors.

    season:         one model for each place in it; 24 for hourly data
    order:          (p, d, q)
    seasonal_order: (P, D, Q, cycle), in steps of each model
    calendar:       parts of `lstmbook.datasets.series.calendar`
    country:        adds holidays, "US" or "US-MN"

    Inputs known in advance take part in the regression. It is estimated first, by
    least squares, and the errors then: much faster than both at once, with nearly
    the same forecasts. Source: Box, Jenkins and Reinsel 1994, Time series
    analysis, ch. 4 and 9; Durbin and Koopman 2012 for the state-space form.
    """

    def __init__(
        self,
        horizon: int,
        season: int = 24,
        order: tuple[int, int, int] = (1, 0, 1),
        seasonal_order: tuple[int, int, int, int] = (0, 0, 0, 0),
        calendar: tuple[str, ...] = ("weekday",),
        country: str | None = None,
    ):
        super().__init__(horizon, season)
        self.order, self.seasonal_order = tuple(order), tuple(seasonal_order)
        self.calendar, self.country = tuple(calendar), country

    def _regressors(self, series):
        parts = self.calendar
        if self.country and "holiday" not in parts:
            parts = (*parts, "holiday")
        values, _ = calendar(series.times, parts, self.country, step=series.step)
        constant = np.ones((len(series), 1))
        return np.concatenate([constant, values, np.nan_to_num(series.known)], axis=1)

    def _model(self, values, begin):
        from statsmodels.tsa.statespace.sarimax import SARIMAX

        return SARIMAX(values, order=self.order, seasonal_order=self.seasonal_order)


def _propagate(filtered, known: np.ndarray, ahead: np.ndarray):
    """Mean and variance `ahead` steps after the first `known` values, each [M].

    The state before step t given all before it is a_t with covariance P_t; then
    a becomes T a and P becomes T P T' + R Q R' with each step, and the forecast is
    Z a with variance Z P Z' + H (Durbin and Koopman 2012, sec. 4.3 and 4.11).
    """
    design, transition = filtered.design[0, :, 0], filtered.transition[:, :, 0]
    selection, shocks = filtered.selection[:, :, 0], filtered.state_cov[:, :, 0]
    noise = selection @ shocks @ selection.T
    states = filtered.predicted_state.T[known]  # [M, K]
    covariances = filtered.predicted_state_cov.transpose(2, 0, 1)[known]
    mean, variance = np.empty(len(known)), np.empty(len(known))
    for step in range(int(ahead.max(initial=-1)) + 1):
        now = ahead == step
        mean[now] = states[now] @ design
        variance[now] = design @ covariances[now] @ design + filtered.obs_cov[0, 0, 0]
        states = states @ transition.T
        covariances = transition @ covariances @ transition.T + noise
    return mean, variance
