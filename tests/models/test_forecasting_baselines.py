"""Baselines do what their names say, and state-space forecasts are exact."""

import dataclasses

import numpy as np
import pytest

from lstmbook.datasets import available
from lstmbook.datasets.series import Series, traffic
from lstmbook.models.forecasting import (
    ARIMA,
    ETS,
    Boosting,
    LastValue,
    LinearOnLags,
    SeasonalMedian,
    SeasonalNaive,
    backtest,
)

DAY, WEEK = 6, 42  # steps of four hours, so that there are few models to fit


def example(days=70, noise=0.3, known=False):
    random = np.random.default_rng(2)
    steps = np.arange(DAY * days)
    weekday = 2.0 * (steps // DAY % 7 >= 5)
    daily = np.sin(2 * np.pi * steps / DAY)
    target = 5 + daily - weekday + noise * random.standard_normal(len(steps))
    times = np.datetime64("2018-01-01", "s") + np.timedelta64(4 * 3600, "s") * steps
    past = random.standard_normal((len(steps), 1))
    promotion = (random.random((len(steps), 1)) < 0.2).astype(float)
    if known:
        target += 3 * promotion[:, 0]
    return Series(
        times,
        target,
        past,
        promotion if known else None,
        "load",
        ("rain",),
        ("promotion",) if known else (),
    )


SERIES = example()
START = DAY * 56
ALL = {
    "last": lambda: LastValue(DAY),
    "naive": lambda: SeasonalNaive(DAY, WEEK),
    "median": lambda: SeasonalMedian(DAY, WEEK),
    "median of 3": lambda: SeasonalMedian(DAY, WEEK, 3),
    "ets": lambda: ETS(DAY, DAY),
    "arima": lambda: ARIMA(DAY, DAY, order=(1, 0, 0)),
    "linear": lambda: LinearOnLags(WEEK, DAY, past_steps=6),
    "boosting": lambda: Boosting(
        WEEK, DAY, season=DAY, recent=6, past_steps=2, iterations=20
    ),
    "boosted levels": lambda: Boosting(
        WEEK, DAY, season=DAY, recent=6, levels=(0.1, 0.5, 0.9), iterations=20
    ),
}
NEEDS = {"ets": "statsmodels", "arima": "statsmodels"}


def make(name):
    if name not in ("last", "naive", "median", "median of 3"):
        pytest.importorskip(NEEDS.get(name, "sklearn"))
    return ALL[name]()


@pytest.mark.parametrize("name", ALL)
def test_a_baseline_stands_the_back_test_and_knows_the_season(name):
    result = backtest(make(name), SERIES, START)
    scores = result.scores()
    quantiles = result.forecast.quantiles
    assert (np.diff(quantiles, axis=-1) >= 0).all()
    if name != "last":
        assert scores["mae"] < 0.5  # the noise alone: 0.24, its difference 0.34
        # Boosting learns the noise of so short a series, with quantiles as well.
        assert (0.5 if name == "boosted levels" else 0.6) < scores["coverage_80"] < 0.95


@pytest.mark.parametrize("name", ALL)
def test_missing_values_lead_to_numbers(name):
    target = SERIES.target.copy()
    target[np.random.default_rng(0).random(len(target)) < 0.1] = np.nan
    series = dataclasses.replace(SERIES, target=target)
    assert backtest(make(name), series, START).scores()["mae"] < 2


@pytest.mark.parametrize("name", ALL)
def test_without_origins_it_forecasts_what_comes_after_the_series(name):
    forecaster = make(name).fit(SERIES[:START])
    ahead = forecaster.predict(SERIES[:START])
    inside = forecaster.predict(SERIES, origins=[START])
    assert ahead.origins.tolist() == [START]
    np.testing.assert_allclose(ahead.point, inside.point)
    np.testing.assert_allclose(ahead.quantiles, inside.quantiles)
    assert forecaster.predict(SERIES, [START], levels=()).quantiles is None


@pytest.mark.parametrize("name", ["linear", "boosting", "arima"])
def test_inputs_known_in_advance_are_used(name):
    series = example(known=True)
    blind = dataclasses.replace(series, known=None, known_names=())
    with_it = backtest(make(name), series, START).scores()["mae"]
    without = backtest(make(name), blind, START).scores()["mae"]
    assert with_it < 0.85 * without


def test_simple_baselines_are_what_they_are_called():
    y, origins = SERIES.target, np.array([START, START + 5])
    steps = origins[:, None] + np.arange(DAY)
    point = LastValue(DAY).fit(SERIES).predict(SERIES, origins).point
    np.testing.assert_array_equal(point, y[origins - 1][:, None].repeat(DAY, axis=1))
    point = SeasonalNaive(DAY, WEEK).fit(SERIES).predict(SERIES, origins).point
    np.testing.assert_array_equal(point, y[steps - WEEK])
    point = SeasonalMedian(DAY, WEEK, 3).fit(SERIES).predict(SERIES, origins).point
    last = [y[steps - WEEK * k] for k in (1, 2, 3)]
    np.testing.assert_array_equal(point, np.median(last, axis=0))


def test_a_horizon_beyond_the_season_repeats_it():
    point = (
        SeasonalNaive(15, DAY).fit(SERIES).predict(SERIES, [START], levels=()).point[0]
    )
    np.testing.assert_array_equal(point[:6], SERIES.target[START - 6 : START])
    np.testing.assert_array_equal(point[6:12], point[:6])
    np.testing.assert_array_equal(point[12:], point[:3])


def test_a_missing_value_is_taken_from_the_season_before():
    target = SERIES.target.copy()
    target[[START - DAY, START - 2 * DAY]] = np.nan
    series = dataclasses.replace(SERIES, target=target)
    point = SeasonalNaive(DAY, DAY).fit(series).predict(series, [START]).point
    assert point[0, 0] == target[START - 3 * DAY]


def test_a_profile_stays_that_of_the_fitted_part():
    profile = SeasonalMedian(DAY, WEEK).fit(SERIES[:START])
    place = SERIES.target[:START].reshape(-1, WEEK)
    expected = np.median(place, axis=0)
    point = profile.predict(SERIES, [START, START + 10]).point
    np.testing.assert_allclose(point[0], expected[:6])
    np.testing.assert_allclose(point[1], expected[10:16])
    # Also for a series that begins elsewhere.
    later = profile.predict(SERIES[100:], [START - 100, START - 90]).point
    np.testing.assert_allclose(later, point)


class TestStateSpace:
    def test_forecasts_are_those_of_statsmodels_at_each_origin(self):
        sarimax = pytest.importorskip("statsmodels.tsa.statespace.sarimax")
        model = ARIMA(6, season=1, order=(2, 0, 1), calendar=()).fit(SERIES[:START])
        origins = np.array([START, START + 3, START + 50])
        forecast = model.predict(SERIES, origins, levels=(0.1, 0.5, 0.9))
        weights, _, params = model._fits[0]
        rest = SERIES.target / model._scale - weights[0]
        for row, origin in enumerate(origins):
            known = sarimax.SARIMAX(rest[:origin], order=(2, 0, 1)).filter(params)
            theirs = known.get_forecast(6)
            mean = (theirs.predicted_mean + weights[0]) * model._scale
            np.testing.assert_allclose(forecast.point[row], mean, rtol=1e-6)
            low = (theirs.conf_int(alpha=0.2)[:, 0] + weights[0]) * model._scale
            np.testing.assert_allclose(forecast.quantiles[row, :, 0], low, rtol=1e-6)

    def test_each_hour_sees_the_days_before_the_origin(self):
        holtwinters = pytest.importorskip(
            "statsmodels.tsa.statespace.exponential_smoothing"
        )
        model = ETS(8, DAY).fit(SERIES[:START])
        origin = START + 2  # places 0 and 1 of that day are known
        point = model.predict(SERIES, [origin]).point[0]
        for place in (1, 2, 5):
            _, begin, params = model._fits[place]
            days = SERIES.target[place:origin:6] / model._scale
            known = holtwinters.ExponentialSmoothing(
                days, seasonal=7, concentrate_scale=False, **begin
            ).filter(params)
            theirs = known.forecast(2) * model._scale
            first = (place - origin) % DAY
            np.testing.assert_allclose(point[first::6], theirs[: 1 + (first < 2)])

    def test_holidays_change_the_forecast_of_arima(self):
        pytest.importorskip("holidays")
        pytest.importorskip("statsmodels")
        target = SERIES.target.copy()
        for date in ("2018-01-01", "2018-01-15", "2018-02-19"):
            start = SERIES.index(date)
            target[start : start + DAY] -= 4
        series = dataclasses.replace(SERIES, target=target)
        day = [series.index("2018-02-19")]
        plain = ARIMA(DAY, DAY, order=(1, 0, 0)).fit(series[: day[0]])
        aware = ARIMA(DAY, DAY, order=(1, 0, 0), country="US").fit(series[: day[0]])
        actual = target[day[0] : day[0] + DAY]
        error = np.abs(aware.predict(series, day).point[0] - actual).mean()
        assert error < 0.5 * np.abs(plain.predict(series, day).point[0] - actual).mean()

    def test_another_beginning_is_refused(self):
        pytest.importorskip("statsmodels")
        model = ETS(DAY, season=1, cycle=DAY).fit(SERIES[: DAY * 20])
        with pytest.raises(ValueError, match="builds its state up from 2018-01-01"):
            model.predict(SERIES[DAY:], [DAY * 20])


class TestRegression:
    def test_origins_between_those_of_training_are_refused(self):
        pytest.importorskip("sklearn")
        model = LinearOnLags(12, DAY).fit(SERIES[:START])
        model.predict(SERIES, [START + 12])
        model.predict(SERIES[30:], [START + 12 - 30])
        with pytest.raises(ValueError, match=r"origin 338 lies between. Pass every=1"):
            model.predict(SERIES, [START + 2])
        LinearOnLags(12, DAY, every=1).fit(SERIES[:START]).predict(SERIES, [START + 2])

    def test_no_input_lies_at_or_after_its_origin(self):
        pytest.importorskip("sklearn")
        origins = np.array([START])
        unknown = SERIES.target.copy(), SERIES.past.copy()
        unknown[0][START:], unknown[1][START:] = 1e6, 1e6
        later = dataclasses.replace(SERIES, target=unknown[0], past=unknown[1])
        boosting = Boosting(
            24, 15, season=DAY, recent=6, past_steps=9, iterations=1
        ).fit(SERIES[:START])
        a, b = (boosting._inputs(s, origins) for s in (SERIES, later))
        np.testing.assert_array_equal(a, b)
        # 9 steps ahead, the same hour of the day before lies ahead as well.
        lags = a[0, 9, 1:5]
        assert np.isnan(lags[0])
        assert (
            lags[1:].tolist()
            == SERIES.target[[START - 3, START - 9, START - 15]].tolist()
        )

    def test_levels_that_were_not_fitted_are_refused(self):
        model = make("boosted levels").fit(SERIES[:START])
        with pytest.raises(ValueError, match=r"not for \[0\.2\]"):
            model.predict(SERIES, [START], levels=(0.2,))


def test_what_a_baseline_cannot_do_is_refused():
    with pytest.raises(RuntimeError, match="LastValue is not fitted"):
        LastValue(DAY).predict(SERIES)
    with pytest.raises(ValueError, match="needs 42 steps of history and 6"):
        SeasonalNaive(DAY, WEEK).fit(SERIES[:45])
    model = SeasonalNaive(DAY, WEEK).fit(SERIES[:100])
    with pytest.raises(ValueError, match="too short for quantiles"):
        model.predict(SERIES)
    assert model.predict(SERIES, levels=()).point.shape == (1, DAY)
    for wrong in ([20], [len(SERIES)], []):
        with pytest.raises(ValueError, match="expected positions from 42"):
            model.predict(SERIES, wrong)
    with pytest.raises(ValueError, match=r"fitted on the columns \['load', 'rain'\]"):
        model.predict(example(known=True))
    gone = dataclasses.replace(SERIES, target=np.full(len(SERIES), np.nan))
    with pytest.raises(ValueError, match="every value of 'load' is missing"):
        LastValue(DAY).fit(gone)
    for wrong in (lambda: LastValue(0), lambda: SeasonalMedian(DAY, WEEK, 0)):
        with pytest.raises(ValueError, match="at least 1"):
            wrong()


def test_traffic_a_day_ahead_has_the_errors_that_were_measured_before():
    if not available("traffic"):
        pytest.skip("not in the cache: python -m lstmbook.datasets traffic")
    series = traffic()
    expected = {
        510.3: SeasonalNaive(24, 24),
        260.7: SeasonalNaive(24, 168),
        213.5: SeasonalMedian(24, 168),
        196.9: SeasonalMedian(24, 168, 4),
    }
    for mae, forecaster in expected.items():
        scores = backtest(forecaster, series, "2018-05-08").scores()
        assert scores["mae"] == pytest.approx(mae, abs=0.06)
    hour = backtest(LastValue(1), series, "2018-05-08", levels=(), check=False)
    assert hour.scores()["mae"] == pytest.approx(581, abs=1)
