"""Scores of forecasts; a step whose actual value is missing (NaN) does not count.

Arrays have any shape, [N, H] as a rule: N origins, H steps. Errors are actual
minus forecast, in the unit of the series unless stated otherwise.

Sources: Hyndman and Koehler 2006, Another look at measures of forecast accuracy
(MASE, sMAPE and what speaks against it); Gneiting and Raftery 2007, Strictly
proper scoring rules, prediction, and estimation (pinball loss, sec. 6.1; CRPS,
sec. 4.2).
"""

import math

import numpy as np


def mae(actual, point) -> float:
    """Mean absolute error; the median of what may come makes it least."""
    return float(np.abs(_errors(actual, point)).mean())


def rmse(actual, point) -> float:
    """Root mean square error; the mean of what may come makes it least."""
    return float(np.sqrt(np.square(_errors(actual, point)).mean()))


def mase(actual, point, scale: float) -> float:
    """Mean absolute scaled error: below 1 is better than the naive forecast.

    scale: `naive_scale` of the data the model was fitted on
    Source: Hyndman and Koehler 2006, sec. 3; the seasonal form.
    """
    if not scale > 0:
        raise ValueError(f"scale is {scale}, expected a mean absolute error above 0")
    return mae(actual, point) / scale


def naive_scale(target, season: int = 1) -> float:
    """Mean absolute difference from the value `season` steps before, [T] -> float."""
    target = np.asarray(target, dtype=np.float64)
    if not 1 <= season < len(target):
        raise ValueError(
            f"season is {season}; expected 1 to {len(target) - 1}, less than the "
            "length of the series"
        )
    differences = np.abs(target[season:] - target[:-season])
    if np.isnan(differences).all():
        raise ValueError("no two values a season apart are both there")
    return float(np.nanmean(differences))


def smape(actual, point) -> float:
    """Symmetric mean absolute percentage error, 0 to 200; 0 where both are 0.

    Given because papers report it. It is unstable near 0 and punishes forecasts
    that are too low more than those too high (Hyndman and Koehler 2006, sec. 2).
    """
    actual, point = _pairs(actual, point)
    size = np.abs(actual) + np.abs(point)
    error = np.abs(actual - point)
    return float(
        200 * np.divide(error, size, np.zeros_like(size), where=size > 0).mean()
    )


def pinball(actual, quantiles, levels) -> float:
    """Pinball loss, the mean over steps and levels: least at the true quantiles.

    quantiles: [..., Q], one for each of the Q levels, in (0, 1)
    Half the mean absolute error at level 0.5.
    """
    return float(_pinball(actual, quantiles, levels).mean())


def crps(actual, quantiles, levels) -> float:
    """Continuous ranked probability score, from quantiles; an approximation.

    quantiles: [..., Q], for the Q levels in ascending order

    CRPS is twice the integral of the pinball loss over all levels from 0 to 1.
    Here each level stands for the levels that are nearest to it, which is coarse
    for a few levels: compare values at the same levels only. For an exact value
    use `crps_gaussian` or `crps_samples`.
    """
    levels = np.asarray(levels, dtype=np.float64)
    edges = np.concatenate([[0], (levels[1:] + levels[:-1]) / 2, [1]])
    return float(2 * (_pinball(actual, quantiles, levels) @ np.diff(edges)).mean())


def crps_gaussian(actual, mean, deviation) -> float:
    """CRPS of normal distributions, exact.

    Source: Gneiting and Raftery 2007, eq. 21 (there with the opposite sign).
    """
    actual, mean, deviation = np.broadcast_arrays(
        *(np.asarray(a, dtype=np.float64) for a in (actual, mean, deviation))
    )
    if not (deviation > 0).all():
        raise ValueError("deviation must be above 0 everywhere")
    actual, mean, deviation = (a[_known(actual)] for a in (actual, mean, deviation))
    z = (actual - mean) / deviation
    below = np.array([0.5 * math.erfc(-value / math.sqrt(2)) for value in z])
    density = np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    score = deviation * (z * (2 * below - 1) + 2 * density - 1 / math.sqrt(math.pi))
    return float(score.mean())


def crps_samples(actual, samples) -> float:
    """CRPS of the distribution that S samples make, [..., S], exact for it.

    Mean distance to the actual value, less half the mean distance between two
    samples (Gneiting and Raftery 2007, eq. 20), the latter from sorted samples.
    """
    actual, samples = _rows(actual, samples)
    count = samples.shape[-1]
    weights = (2 * np.arange(1, count + 1) - count - 1) / count**2
    spread = np.sort(samples, axis=-1) @ weights
    return float((np.abs(samples - actual[:, None]).mean(axis=-1) - spread).mean())


def coverage(actual, low, high) -> float:
    """The share of actual values from `low` to `high`, 0 to 1."""
    actual, low, high = (np.asarray(a, dtype=np.float64) for a in (actual, low, high))
    if not actual.shape == low.shape == high.shape:
        raise ValueError(
            f"actual has shape {list(actual.shape)}, low {list(low.shape)} and high "
            f"{list(high.shape)}; expected the same"
        )
    known = _known(actual)
    return float(((low <= actual) & (actual <= high))[known].mean())


def _known(actual: np.ndarray) -> np.ndarray:
    known = ~np.isnan(actual)
    if not known.any():
        raise ValueError("every actual value is missing; there is nothing to score")
    return known


def _pairs(actual, point) -> tuple[np.ndarray, np.ndarray]:
    actual, point = (np.asarray(a, dtype=np.float64) for a in (actual, point))
    if actual.shape != point.shape:
        raise ValueError(
            f"actual has shape {list(actual.shape)}, the forecast "
            f"{list(point.shape)}; expected the same"
        )
    return _scored(actual, point)


def _errors(actual, point) -> np.ndarray:
    actual, point = _pairs(actual, point)
    return actual - point


def _rows(actual, values) -> tuple[np.ndarray, np.ndarray]:
    """Known actual values [n], and what belongs to each [n, ...]."""
    actual, values = (np.asarray(a, dtype=np.float64) for a in (actual, values))
    if values.shape[:-1] != actual.shape:
        raise ValueError(
            f"actual has shape {list(actual.shape)}, the forecast "
            f"{list(values.shape)}; expected one dimension more, at the end"
        )
    return _scored(actual, values)


def _scored(actual, values) -> tuple[np.ndarray, np.ndarray]:
    """Both where the actual value is known."""
    known = _known(actual)
    if np.isnan(values[known]).any():
        raise ValueError("the forecast holds NaN; a forecaster has to give numbers")
    return actual[known], values[known]


def _pinball(actual, quantiles, levels) -> np.ndarray:
    levels = np.asarray(levels, dtype=np.float64)
    actual, quantiles = _rows(actual, quantiles)
    if levels.shape != quantiles.shape[-1:]:
        raise ValueError(
            f"{quantiles.shape[-1]} quantiles were given for {levels.size} levels"
        )
    if not (np.diff(levels, prepend=0, append=1) > 0).all():
        raise ValueError(
            f"levels are {levels.tolist()}; expected ascending, between 0 and 1"
        )
    errors = actual[:, None] - quantiles
    return np.maximum(levels * errors, (levels - 1) * errors)
