"""Ridge regression and boosting, on the inputs that the LSTM gets.

scikit-learn does the work. Both read the last `history` values of the target, the
last `past_steps` of the measured inputs, and the calendar, the holidays and the
inputs known in advance of the step that is forecast.
"""

import numpy as np

from ...datasets.timefeatures import calendar
from .baselines import Baseline


class _OnLags(Baseline):
    """What both share: training origins, scaling, the calendar."""

    def __init__(self, history, horizon, calendar, country, past_steps, every):
        super().__init__(horizon)
        if history < 1 or not 0 <= past_steps <= history:
            raise ValueError(
                f"history is {history} and past_steps {past_steps}; expected at "
                "least 1, and from 0 to history"
            )
        self.history, self.past_steps = history, past_steps
        self.calendar, self.country = tuple(calendar), country
        self.every = horizon if every is None else every
        if self.every < 1:
            raise ValueError(f"every is {every}, expected at least 1 step")

    def _learn(self, series):
        self._end = series.times[-1] + series.step
        self._center = [np.nanmean(v) for v in series.columns().values()]
        spread = [np.nanstd(v) for v in series.columns().values()]
        self._spread = [s or 1.0 for s in spread]
        last = len(series) - self.horizon
        origins = np.arange(last, self.history - 1, -self.every)[::-1]
        actual = series.target[origins[:, None] + np.arange(self.horizon)]
        self._train(series, origins, actual)

    def _check_phase(self, series, origins):
        since = (series.times[origins - 1] + series.step - self._end) // series.step
        if (since % self.every != 0).any():
            bad = origins[(since % self.every) != 0][0]
            raise ValueError(
                f"{type(self).__name__} was fitted at origins every={self.every} steps "
                f"apart, counted back from {self._end}; origin {bad} lies between. "
                "Pass every=1 to fit for all"
            )

    def _scaled(self, series):
        """Target [T], past [T, P] and known [T, K], scaled as when fitted."""
        center, spread = np.array(self._center), np.array(self._spread)
        scaled = (np.stack([*series.columns().values()], axis=1) - center) / spread
        places = 1 + series.past.shape[1]
        return scaled[:, 0], scaled[:, 1:places], scaled[:, places:]

    def _calendar(self, series) -> np.ndarray:
        parts = self.calendar
        if self.country and "holiday" not in parts:
            parts = (*parts, "holiday")
        return calendar(series.times, parts, self.country, step=series.step)[0]


class LinearOnLags(_OnLags):
    """Ridge regression, one for each step of the horizon.

    history:    steps of the target it reads
    calendar:   parts of `lstmbook.datasets.series.calendar`
    country:    adds holidays, "US" or "US-MN"
    alpha:      penalty on the weights of the history, in units of the standardised
                target; those of the calendar are hardly penalised
    past_steps: steps of the measured inputs; 0 leaves them out
    every:      steps between training origins, by default the horizon; with 24
                hourly steps there is a regression for each hour of the day, and
                forecasts from other hours are refused
    """

    CALENDAR = 10.0  # a weight of 1/10 does the same, and costs 1/100

    def __init__(
        self,
        history: int,
        horizon: int,
        calendar: tuple[str, ...] = ("hour", "weekday"),
        country: str | None = None,
        alpha: float = 100.0,
        past_steps: int = 0,
        every: int | None = None,
    ):
        super().__init__(history, horizon, calendar, country, past_steps, every)
        self.alpha = alpha

    def _train(self, series, origins, actual):
        from sklearn.linear_model import Ridge

        behind, ahead = self._inputs(series, origins)
        actual = (actual - self._center[0]) / self._spread[0]
        self._models = []
        for h in range(self.horizon):
            known = ~np.isnan(actual[:, h])
            if not known.any():
                raise ValueError(f"step {h + 1} of every training window is missing")
            x = np.concatenate([behind, ahead[:, h]], axis=1)[known]
            self._models.append(Ridge(self.alpha).fit(x, actual[known, h]))

    def _point(self, series, origins):
        self._check_phase(series, origins)
        behind, ahead = self._inputs(series, origins)
        steps = [
            model.predict(np.concatenate([behind, ahead[:, h]], axis=1))
            for h, model in enumerate(self._models)
        ]
        return self._center[0] + self._spread[0] * np.stack(steps, axis=1)

    def _inputs(self, series, origins):
        """What lies behind each origin [N, F], and ahead of it [N, H, K]."""
        target, past, known = self._scaled(series)
        target = target[origins[:, None] + np.arange(-self.history, 0)]
        past = past[origins[:, None] + np.arange(-self.past_steps, 0)]
        missing = np.isnan(target)
        behind = [np.nan_to_num(target), missing, np.nan_to_num(past)]
        behind = [values.reshape(len(origins), -1) for values in behind]
        future = np.concatenate([self._calendar(series), np.nan_to_num(known)], axis=1)
        steps = origins[:, None] + np.arange(self.horizon)
        return np.concatenate(behind, axis=1), self.CALENDAR * future[steps]


class Boosting(_OnLags):
    """Gradient boosting of trees, one model for all steps of the horizon.

    history, calendar, country, past_steps, every: as in `LinearOnLags`
    season:  the history is read at whole seasons before the step that is forecast
             (24: the same hour of the days before), and in its last `recent` steps:
             trees find no pattern in 672 columns that each matter for one hour
    levels:  one model with quantile loss for each; by default the intervals come
             from errors of the past
    iterations, learning_rate, leaves, seed: of HistGradientBoostingRegressor

    The point forecast is trained with the absolute error. Source: Friedman 2001,
    Greedy function approximation: a gradient boosting machine.
    """

    def __init__(
        self,
        history: int,
        horizon: int,
        calendar: tuple[str, ...] = ("hour", "weekday"),
        country: str | None = None,
        *,
        season: int = 24,
        recent: int = 24,
        past_steps: int = 0,
        every: int | None = None,
        levels: tuple[float, ...] = (),
        iterations: int = 300,
        learning_rate: float = 0.05,
        leaves: int = 31,
        seed: int = 0,
    ):
        super().__init__(history, horizon, calendar, country, past_steps, every)
        if not 0 <= recent <= history:
            raise ValueError(f"recent is {recent}, expected from 0 to {history}")
        self.season, self.recent, self.levels = season, recent, tuple(levels)
        self.own_quantiles = bool(levels)
        self._settings = {
            "max_iter": iterations,
            "learning_rate": learning_rate,
            "max_leaf_nodes": leaves,
            "random_state": seed,
            "early_stopping": False,
        }

    def _train(self, series, origins, actual):
        inputs, known = self._inputs(series, origins), ~np.isnan(actual)
        if not known.any():
            raise ValueError("every target of the training windows is missing")
        x, y = inputs[known], actual[known]
        self._model = self._new(loss="absolute_error").fit(x, y)
        self._of_levels = {
            level: self._new(loss="quantile", quantile=level).fit(x, y)
            for level in self.levels
        }

    def _new(self, **loss):
        from sklearn.ensemble import HistGradientBoostingRegressor

        return HistGradientBoostingRegressor(**self._settings, **loss)

    def _point(self, series, origins):
        self._check_phase(series, origins)
        return self._evaluate(self._model, self._inputs(series, origins))

    def _quantiles(self, series, origins, point, levels):
        if not self.levels:
            return super()._quantiles(series, origins, point, levels)
        lacking = [level for level in levels if level not in self._of_levels]
        if lacking:
            raise ValueError(
                f"Boosting was fitted for the levels {self.levels}, not for {lacking}"
            )
        inputs = self._inputs(series, origins)
        models = [self._of_levels[level] for level in levels]
        return np.stack([self._evaluate(m, inputs) for m in models], axis=-1)

    @staticmethod
    def _evaluate(model, inputs):
        return model.predict(inputs.reshape(-1, inputs.shape[-1])).reshape(
            inputs.shape[:2]
        )

    def _inputs(self, series, origins):
        """The inputs of each origin and step [N, H, F]; missing ones are NaN."""
        ahead = np.arange(self.horizon)
        steps = origins[:, None] + ahead
        back = self.season * np.arange(1, self.history // self.season + 1)
        lags = steps[:, :, None] - back
        allowed = lags < origins[:, None, None]
        lags = np.where(allowed, series.target[np.where(allowed, lags, 0)], np.nan)
        recent = series.target[origins[:, None] + np.arange(-self.recent, 0)]
        past = series.past[origins[:, None] + np.arange(-self.past_steps, 0)]
        behind = np.concatenate([recent, past.reshape(len(origins), -1)], axis=1)
        behind = np.repeat(behind[:, None], self.horizon, axis=1)
        step = np.broadcast_to(ahead[:, None], (*steps.shape, 1))
        future = np.concatenate([self._calendar(series), series.known], axis=1)[steps]
        return np.concatenate([step, lags, behind, future], axis=-1)
