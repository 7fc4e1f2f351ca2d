"""Scores agree with closed forms and with sums written out."""

import math

import numpy as np
import pytest

from lstmbook.models.forecasting import metrics

RANDOM = np.random.default_rng(0)
ACTUAL = RANDOM.standard_normal((30, 4))
POINT = RANDOM.standard_normal((30, 4))
LEVELS = (0.1, 0.4, 0.9)


def test_scores_are_those_that_can_be_computed_by_hand():
    actual, point = [[1.0, 2.0, 4.0]], [[2.0, 2.0, 1.0]]
    assert metrics.mae(actual, point) == pytest.approx(4 / 3)
    assert metrics.rmse(actual, point) == pytest.approx(math.sqrt(10 / 3))
    assert metrics.mase(actual, point, 2.0) == pytest.approx(2 / 3)
    assert metrics.smape(actual, point) == pytest.approx(200 * (1 / 3 + 3 / 5) / 3)
    assert metrics.smape([0.0], [0.0]) == 0
    assert metrics.naive_scale([1, 2, 4, 8], 1) == pytest.approx(7 / 3)
    assert metrics.naive_scale([1, 2, 4, np.nan, 6], 2) == pytest.approx(2.5)
    assert metrics.coverage([1.0, 2.0, 3.0, 4.0], [1] * 4, [2.5] * 4) == 0.5


def test_pinball_is_the_sum_written_out():
    quantiles = np.sort(RANDOM.standard_normal((30, 4, 3)), axis=-1)
    total = 0.0
    for place in np.ndindex(ACTUAL.shape):
        for level, value in zip(LEVELS, quantiles[place], strict=True):
            error = ACTUAL[place] - value
            total += level * error if error > 0 else (level - 1) * error
    assert metrics.pinball(ACTUAL, quantiles, LEVELS) == pytest.approx(total / 360)


def test_pinball_at_one_half_is_half_the_absolute_error():
    pinball = metrics.pinball(ACTUAL, POINT[..., None], [0.5])
    assert pinball == pytest.approx(metrics.mae(ACTUAL, POINT) / 2)
    crps = metrics.crps(ACTUAL, POINT[..., None], [0.5])
    assert crps == pytest.approx(metrics.mae(ACTUAL, POINT))


def test_the_true_quantiles_have_the_least_pinball_loss():
    from statistics import NormalDist

    actual = RANDOM.standard_normal(20_000)
    true = np.array([NormalDist().inv_cdf(level) for level in LEVELS])
    tiled = np.broadcast_to(true, (20_000, 3))
    best = metrics.pinball(actual, tiled, LEVELS)
    for wrong in (tiled + 0.2, tiled - 0.2, tiled * 1.5, tiled * 0.5):
        assert metrics.pinball(actual, wrong, LEVELS) > best


def test_three_ways_to_crps_agree_on_a_normal_distribution():
    from statistics import NormalDist

    normal = NormalDist(0.3, 1.7)
    exact = metrics.crps_gaussian(ACTUAL, 0.3, 1.7)
    samples = np.array([normal.inv_cdf((k + 0.5) / 2000) for k in range(2000)])
    samples = np.broadcast_to(samples, (*ACTUAL.shape, 2000))
    assert metrics.crps_samples(ACTUAL, samples) == pytest.approx(exact, rel=1e-3)
    levels = (np.arange(199) + 0.5) / 199
    quantiles = np.array([normal.inv_cdf(level) for level in levels])
    quantiles = np.broadcast_to(quantiles, (*ACTUAL.shape, 199))
    assert metrics.crps(ACTUAL, quantiles, levels) == pytest.approx(exact, rel=1e-2)


def test_crps_of_the_normal_is_the_integral_written_out():
    # Gneiting and Raftery 2007, eq. 20: of (F(y) - 1{y >= x})^2 over y.
    y = np.linspace(-12, 12, 400_001)
    below = np.array([0.5 * math.erfc(-v / math.sqrt(2)) for v in (y - 0.5) / 2])
    integral = ((below - (y >= 1.3)) ** 2).sum() * (y[1] - y[0])
    exact = metrics.crps_gaussian([1.3], [0.5], [2.0])
    assert exact == pytest.approx(integral, rel=1e-4)


def test_crps_of_samples_is_the_double_sum():
    samples = RANDOM.standard_normal((30, 4, 5))
    near = np.abs(samples - ACTUAL[..., None]).mean(-1)
    apart = np.abs(samples[..., None] - samples[..., None, :]).mean((-1, -2))
    expected = (near - apart / 2).mean()
    assert metrics.crps_samples(ACTUAL, samples) == pytest.approx(expected)


def test_missing_values_do_not_count():
    actual = ACTUAL.copy()
    actual[::3] = np.nan
    kept = ~np.isnan(actual[:, 0])
    quantiles = np.sort(RANDOM.standard_normal((30, 4, 3)), axis=-1)
    pairs = [
        (metrics.mae, (POINT,), ()),
        (metrics.rmse, (POINT,), ()),
        (metrics.smape, (POINT,), ()),
        (metrics.pinball, (quantiles,), (LEVELS,)),
        (metrics.crps, (quantiles,), (LEVELS,)),
        (metrics.crps_samples, (quantiles,), ()),
        (metrics.coverage, (quantiles[..., 0], quantiles[..., 2]), ()),
        (metrics.crps_gaussian, (POINT, np.ones_like(POINT)), ()),
    ]
    for score, arrays, rest in pairs:
        expected = score(actual[kept], *(a[kept] for a in arrays), *rest)
        assert score(actual, *arrays, *rest) == pytest.approx(expected)


@pytest.mark.parametrize(
    "score, arguments, message",
    [
        (metrics.mae, (ACTUAL, POINT[:, :3]), r"\[30, 4\].*\[30, 3\]"),
        (metrics.mae, (np.full(3, np.nan), np.zeros(3)), "nothing to score"),
        (metrics.mae, (np.zeros(2), np.array([0, np.nan])), "holds NaN"),
        (metrics.mase, (ACTUAL, POINT, 0.0), "above 0"),
        (metrics.naive_scale, ([1.0, 2.0], 2), "season is 2"),
        (metrics.pinball, (ACTUAL, POINT, [0.5]), "one dimension more"),
        (metrics.pinball, (ACTUAL, POINT[..., None], [0.1, 0.9]), "1 quantiles"),
        (metrics.pinball, (np.zeros(2), np.zeros((2, 2)), [0.9, 0.1]), "ascending"),
        (metrics.coverage, (np.zeros(2), np.zeros(3), np.zeros(2)), "the same"),
        (metrics.crps_gaussian, ([0.0], [0.0], [0.0]), "above 0"),
    ],
)
def test_what_cannot_be_scored_is_refused(score, arguments, message):
    with pytest.raises(ValueError, match=message):
        score(*arguments)
