"""Forecasting: the back-test, the baselines and the LSTM forecaster."""

from . import metrics
from .backtest import Backtest, Forecast, Forecaster, LeakError, backtest
from .baselines import Baseline, LastValue, SeasonalMedian, SeasonalNaive
from .forecaster import LSTMForecaster
from .heads import Gaussian, Point, Quantiles, StudentT
from .regression import Boosting, LinearOnLags
from .statistical import ARIMA, ETS

__all__ = [
    "ARIMA",
    "ETS",
    "Backtest",
    "Baseline",
    "Boosting",
    "Forecast",
    "Forecaster",
    "Gaussian",
    "LSTMForecaster",
    "LastValue",
    "LeakError",
    "LinearOnLags",
    "Point",
    "Quantiles",
    "SeasonalMedian",
    "SeasonalNaive",
    "StudentT",
    "backtest",
    "metrics",
]
