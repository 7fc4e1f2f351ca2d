"""Back-tests score what was known, and find who looks ahead."""

import dataclasses

import numpy as np
import pytest

from lstmbook.datasets.series import Series
from lstmbook.models.forecasting import (
    Forecast,
    LastValue,
    LeakError,
    LinearOnLags,
    SeasonalNaive,
    backtest,
    metrics,
)


def example(days=60):
    random = np.random.default_rng(1)
    hours = np.arange(24 * days)
    target = 10 * np.sin(2 * np.pi * hours / 24) + random.standard_normal(len(hours))
    times = np.datetime64("2018-01-01", "s") + np.timedelta64(3600, "s") * hours
    past = random.standard_normal((len(hours), 1))
    return Series(times, target, past, None, "load", ("rain",))


SERIES = example()


class Peeking(LastValue):
    """Looks `ahead` steps after the origin, with little weight."""

    def __init__(self, horizon, ahead, weight=0.01, column="target"):
        super().__init__(horizon)
        self.ahead, self.weight, self.column = ahead, weight, column

    def _point(self, series, origins):
        values = series.target if self.column == "target" else series.past[:, 0]
        last = len(series) - 1
        seen = np.nan_to_num(values[np.minimum(origins + self.ahead, last)])
        honest = super()._point(series, origins)
        return honest + self.weight * seen[:, None]


class PeekingWindows(LinearOnLags):
    """Ridge regression whose windows end one step too late."""

    def _inputs(self, series, origins):
        late = dataclasses.replace(series, target=np.roll(series.target, -1))
        return super()._inputs(late, origins)


class ScaledByAll(LastValue):
    """Forecasts with the mean of everything, the classic leak."""

    def _point(self, series, origins):
        return super()._point(series, origins) + 0.01 * np.nanmean(series.target)


class FromLaterOrigins(LastValue):
    """Takes what the last of all origins knows."""

    def _point(self, series, origins):
        latest = series.target[origins.max() - 1]
        return super()._point(series, origins) + 0.01 * latest


class MissingnessLeak(LastValue):
    """Knows whether the next value will be missing."""

    def _point(self, series, origins):
        gone = np.isnan(series.target[origins])
        return super()._point(series, origins) + gone[:, None]


class TestLeaks:
    @pytest.mark.parametrize("ahead", [0, 1, 23, 100])
    def test_a_look_at_later_values_is_found(self, ahead):
        with pytest.raises(LeakError, match=r"from origins up to \d+ .*replaced"):
            backtest(Peeking(24, ahead), SERIES, 1200)

    def test_a_look_at_inputs_not_yet_measured_is_found(self):
        with pytest.raises(LeakError, match="looks ahead"):
            backtest(Peeking(24, 0, column="past"), SERIES, 1200)

    def test_a_look_at_the_step_before_the_origin_is_none(self):
        assert backtest(Peeking(24, -1), SERIES, 1200).scores()["mae"] > 0

    def test_windows_that_end_one_step_late_are_found(self):
        pytest.importorskip("sklearn")
        with pytest.raises(LeakError):
            backtest(PeekingWindows(48, 24), SERIES, 1200)
        backtest(LinearOnLags(48, 24), SERIES, 1200)

    def test_scaling_by_the_whole_series_is_found(self):
        with pytest.raises(LeakError):
            backtest(ScaledByAll(24), SERIES, 1200)

    def test_what_a_later_origin_knows_is_not_for_an_earlier_one(self):
        with pytest.raises(LeakError):
            backtest(FromLaterOrigins(24), SERIES, 1200)

    def test_that_a_value_will_be_missing_is_not_known(self):
        target = SERIES.target.copy()
        target[1200] = np.nan
        series = dataclasses.replace(SERIES, target=target)
        with pytest.raises(LeakError):
            backtest(MissingnessLeak(24), series, 1200)

    def test_only_the_check_sees_it(self):
        cheating = Peeking(1, 0, weight=1.0)
        result = backtest(cheating, SERIES, 1200, check=False)
        assert np.isfinite(result.scores()["mae"])

    def test_chance_is_not_called_a_leak(self):
        class Dice(LastValue):
            random = np.random.default_rng(0)

            def _point(self, series, origins):
                drawn = self.random.standard_normal((len(origins), 1))
                return super()._point(series, origins) + drawn

        with pytest.raises(ValueError, match="give it a fixed seed"):
            backtest(Dice(24), SERIES, 1200)


class Recorder(SeasonalNaive):
    """Notes on how much it was fitted."""

    def __init__(self, horizon):
        super().__init__(horizon, 24)
        self.fits = []

    def fit(self, series):
        self.fits.append(len(series))
        return super().fit(series)


class TestBacktest:
    def test_each_step_is_forecast_once_and_beside_what_came(self):
        result = backtest(SeasonalNaive(24, 24), SERIES, "2018-02-20", levels=())
        origins = result.forecast.origins
        assert origins.tolist() == list(range(1200, 1440, 24))
        np.testing.assert_array_equal(result.actual.ravel(), SERIES.target[1200:])
        np.testing.assert_array_equal(result.times.ravel(), SERIES.times[1200:])
        expected = np.abs(SERIES.target[1200:] - SERIES.target[1176:-24]).mean()
        assert result.scores()["mae"] == pytest.approx(expected)
        assert result.forecast.quantiles is None

    def test_origins_go_as_far_as_a_whole_window(self):
        result = backtest(LastValue(24), SERIES, 1200, every=7, stop=1300, levels=())
        assert result.forecast.origins.tolist() == list(range(1200, 1277, 7))

    def test_the_scale_is_that_of_the_fitted_part(self):
        result = backtest(LastValue(24), SERIES, 1200, levels=())
        expected = np.abs(SERIES.target[24:1200] - SERIES.target[:1176]).mean()
        assert result.scale == pytest.approx(expected)
        result = backtest(LastValue(24), SERIES, 1200, season=1, levels=())
        assert result.scale == metrics.naive_scale(SERIES.target[:1200], 1)

    def test_it_fits_on_what_lies_before_the_origins(self):
        recorder = Recorder(24)
        backtest(recorder, SERIES, 1200)
        assert recorder.fits == [1200]
        backtest(recorder, SERIES, 1200, fit=False)
        assert recorder.fits == [1200]
        recorder = Recorder(24)
        result = backtest(recorder, SERIES, 1200, refit_every=72)
        assert recorder.fits == [1200, 1272, 1344, 1416]
        assert result.forecast.point.shape == (10, 24)

    def test_scores_by_step_average_to_the_whole(self):
        result = backtest(LastValue(24), SERIES, 1200)
        scores = result.scores()
        for metric in ("mae", "mase", "pinball", "coverage_80"):
            assert result.by_horizon(metric).mean() == pytest.approx(scores[metric])
        assert result.by_horizon()[11] > 2 * result.by_horizon()[0]
        with pytest.raises(ValueError, match=r"no score 'mape'; there are: .*'mae'"):
            result.by_horizon("mape")

    def test_intervals_of_the_errors_of_the_past_cover_their_share(self):
        result = backtest(SeasonalNaive(24, 24), example(365), 24 * 250)
        assert result.scores()["coverage_80"] == pytest.approx(0.8, abs=0.04)

    def test_windows_that_do_not_fit_are_refused(self):
        with pytest.raises(ValueError, match="no window of 24 steps fits"):
            backtest(LastValue(24), SERIES, 1430)
        with pytest.raises(ValueError, match="at least 1"):
            backtest(LastValue(24), SERIES, 1200, every=0)
        with pytest.raises(ValueError, match="fit=False forbids"):
            backtest(LastValue(24), SERIES, 1200, refit_every=9, fit=False)

    def test_a_forecast_that_is_no_number_is_refused(self):
        class Silent(LastValue):
            def _point(self, series, origins):
                return np.full((len(origins), self.horizon), np.nan)

        with pytest.raises(ValueError, match="no number, first at origin 1200"):
            backtest(Silent(24), SERIES, 1200, levels=())


class TestForecast:
    FORECAST = Forecast(
        np.array([5]),
        np.zeros((1, 1)),
        (0.1, 0.25, 0.75, 0.9),
        np.array([[[-4.0, -1.0, 1.0, 4.0]]]),
    )

    def test_intervals_lie_between_levels(self):
        low, high = self.FORECAST.interval(0.8)
        assert (low.item(), high.item()) == (-4, 4)
        low, high = self.FORECAST.interval(0.65)
        assert (low.item(), high.item()) == pytest.approx((-2.5, 2.5))

    def test_intervals_that_are_not_there_are_refused(self):
        with pytest.raises(ValueError, match=r"0\.05 and 0\.95.*has 0\.1 to 0\.9"):
            self.FORECAST.interval(0.9)
        with pytest.raises(ValueError, match="no quantiles"):
            Forecast(np.array([5]), np.zeros((1, 1))).interval()
