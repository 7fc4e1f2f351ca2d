"""An LSTM that forecasts: fit(series), predict(series), save and load.

import lstmbook as lb
from lstmbook.datasets.series import read_csv
from lstmbook.models.forecasting import LSTMForecaster
series = read_csv("my.csv", time="date", target="sales")
model = LSTMForecaster(history=168, horizon=24).fit(series)
lb.save(model, "sales.safetensors")
lb.load("sales.safetensors").predict(series).point    # the next 24 steps
"""

import contextlib
import warnings

import numpy as np
import torch
from torch import nn

from ...datasets.regular import Series
from ...modes import evaluating
from ...scale import device
from .backtest import Forecast
from .heads import Gaussian, Head, Point, Quantiles
from .networks import Direct, EncoderDecoder, Recursive
from .windows import Features, Window, Windows

KINDS = ("direct", "recursive", "encoder-decoder")
FEWEST = 100  # training windows below which the default stride is less than H


class LSTMForecaster(nn.Module):
    """Forecasts the next `horizon` steps from the last `history` steps.

    kind:     "direct", "recursive" or "encoder-decoder", see `networks`
    hidden_size, layers, dropout: of its LSTMs; dropout also before the output
    head:     `Quantiles()`, `Gaussian()`, `StudentT()` or `Point()`
    calendar: parts of the calendar that are inputs: "hour", "weekday", "year",
              "holiday", of the past steps and of those to forecast
    country:  for "holiday": "US", "US-MN"
    use_past: whether measured inputs are read; by default yes, but for the
              recursive kind, which would have to forecast them too
    linear_path: q, how many last values go by a linear map to the forecast
              (LSTNet); 0 for no such path
    cell:     a preset of `lstmbook.PRESETS`, or an LSTMSpec
    features: for `lstmbook.load`; leave it out

    After `fit`, `losses` has the validation loss of each epoch; the weights are
    those of the lowest.
    """

    def __init__(
        self, history: int, horizon: int, *, kind: str = "direct",
        hidden_size: int = 64, layers: int = 1, head: Head | None = None,
        calendar: tuple[str, ...] = ("hour", "weekday"), country: str | None = None,
        use_past: bool | None = None, linear_path: int = 0, dropout: float = 0.0,
        cell="lstm", features: Features | None = None,
    ):  # fmt: skip
        super().__init__()
        if history < 1 or horizon < 1:
            raise ValueError(
                f"history={history}, horizon={horizon}: give at least 1 step of each"
            )
        if kind not in KINDS:
            raise ValueError(f"kind={kind!r}: choose one of {KINDS}")
        if kind == "recursive" and use_past:
            raise ValueError(
                "use_past=True: a recursive forecaster would have to forecast the "
                "measured inputs too; leave use_past out, or take another kind"
            )
        if not 0 <= linear_path <= history:
            raise ValueError(
                f"linear_path={linear_path}: give at most history={history} steps"
            )
        self.history, self.horizon, self.kind = history, horizon, kind
        self.sizes = {"hidden_size": hidden_size, "layers": layers, "cell": cell,
                      "dropout": dropout, "linear_path": linear_path}  # fmt: skip
        self.head = Quantiles() if head is None else head
        self.calendar, self.country = tuple(calendar), country
        self.use_past = kind != "recursive" if use_past is None else use_past
        self.losses = []
        # Stride of the training origins in steps, and one of them as a time in s.
        self.register_buffer("trained", torch.tensor([1, 0]))
        self.features = features
        self.network = None if features is None else self._new_network()

    def fit(
        self, series: Series, *, valid: float = 0.1, epochs: int = 10,
        batch_size: int = 8, learning_rate: float = 1e-2, every: int | None = None,
        patience: int | None = None, seed: int | None = None, progress: bool = True,
    ) -> "LSTMForecaster":  # fmt: skip
        """Learn from a series, all of it; returns the forecaster itself.

        valid:    share at the end that is not trained on: the weights of the epoch
                  that forecasts it best are kept. Scales come from what lies before.
                  0 trains on everything and keeps the last weights
        epochs:   over so many the learning rate rises to `learning_rate` and falls
                  to zero
        every:    stride of the training origins, counted back from the end of the
                  series; by default the horizon, or less where that leaves few. At
                  a stride of a day all of them have the hour at which the series
                  ends; `predict` warns where others are asked for
        patience: stop after so many epochs without a better validation
        seed:     of weights, dropout and order, leaving the global random state as
                  it is; None draws from that
        progress: a text bar an epoch on stdout

        Raises ValueError for a series that is too short, FloatingPointError when
        the loss is not finite.
        """
        train, held_out, cut = self._split(series, valid, every)
        with _seeded(seed):
            features = Features.fitted(
                series[:cut], self.use_past, self.calendar, self.country
            )
            self.features = features.to(device())
            self.network = self._new_network().to(device())
            self.train()
            arrays = self.features(series)
            sets = [
                Windows(arrays, self.history, self.horizon, origins)
                for origins in (train, held_out)
                if len(origins)
            ]
            self._train(sets, epochs, batch_size, learning_rate, patience, progress)
        stride = int(np.diff(train[-2:])[0]) if len(train) > 1 else 1
        start = int(series.times[train[-1]].astype(np.int64))
        self.trained = torch.tensor([stride, start])
        self.to(device())  # where a trainer may have taken it from
        return self.eval()

    @torch.no_grad()
    def predict(
        self, series: Series, origins=None, levels: tuple[float, ...] = (0.1, 0.5, 0.9),
        *, samples: int = 200,
    ) -> Forecast:  # fmt: skip
        """Forecasts from each origin; by default from after the last step.

        origins: positions in `series`, each with `history` steps before it and
                 `horizon` from it on (their targets are not read)
        levels:  of the quantiles; () for none. A `Point` head has none
        samples: trajectories of the recursive kind, drawn from a fixed seed

        Raises RuntimeError before `fit`, ValueError for other columns than those
        it was fitted on or origins without room.
        """
        if self.network is None:
            raise RuntimeError("LSTMForecaster is not fitted yet; call fit(series)")
        if origins is None:
            origins, series = [len(series)], series.extended(self.horizon)
        windows = Windows(
            self.features(series), self.history, self.horizon, origins, teach=False
        )
        self._warn_of_other_origins(series.times[windows.origins.numpy()])
        levels = () if isinstance(self.head, Point) else tuple(levels)
        with evaluating(self):
            parts = [self._read(w, levels, samples) for w, _ in windows.batches(256)]
        point, quantiles = (torch.cat(part) for part in zip(*parts, strict=True))
        return Forecast(
            windows.origins.numpy(),
            self.features.unscale(point),
            levels,
            self.features.unscale(quantiles) if levels else None,
        )

    def config(self) -> dict:
        return {
            "history": self.history,
            "horizon": self.horizon,
            "kind": self.kind,
            **self.sizes,
            "head": self.head,
            "calendar": self.calendar,
            "country": self.country,
            "use_past": self.use_past,
            "features": self.features,
        }

    def _new_network(self) -> nn.Module:
        kinds = (Direct, Recursive, EncoderDecoder)
        kind = dict(zip(KINDS, kinds, strict=True))[self.kind]
        reads = self.head if self.kind == "recursive" else self.head.size
        widths = self.features.widths
        return kind(*widths, self.horizon, reads, **self.sizes)

    def _split(self, series, valid, every):
        """Origins to train on, origins to validate on, end of the training part."""
        if not 0 <= valid < 1:
            raise ValueError(f"valid={valid}: give a share, at least 0, below 1")
        if every is not None and every < 1:
            raise ValueError(f"every={every}: give at least 1 step")
        T, L, H = len(series), self.history, self.horizon
        held = max(H, round(valid * T)) if valid else 0
        cut = T - held
        room = cut - H - L  # the last training origin, counted from the first
        if room < 0:
            raise ValueError(
                f"the series has {T} steps; history={L} and horizon={H}, with "
                f"{held} steps held out for validation, need at least {L + H + held}"
            )
        if every is None:
            every = min(H, max(1, room // FEWEST))
        # From the end of the series, so that the hour is that of the next forecast.
        grid = np.arange(T - H, L - 1, -every)[::-1]
        train, held_out = grid[grid <= cut - H], grid[grid >= cut]
        return train if len(train) else np.array([cut - H]), held_out, cut

    def _train(self, sets, epochs, batch_size, learning_rate, patience, progress):
        from ...training import KeepBest, Task, cosine, trainer

        loaders = [
            windows.batches(batch_size if k == 0 else 256, shuffle=k == 0)
            for k, windows in enumerate(sets)
        ]
        steps = epochs * len(loaders[0])
        rate = cosine(learning_rate, steps, warmup=steps // 5)
        task = Task(self.network, self.head.loss, optimizer=rate)
        best = KeepBest(patience)
        options = {} if loaders[1:] else {"limit_val_batches": 0}
        run = trainer(max_epochs=epochs, progress=progress, callbacks=[best], **options)
        run.fit(task, *loaders)
        self.losses = [loss for _, loss in best.history]

    def _warn_of_other_origins(self, times):
        stride, start = self.trained.tolist()
        away = (times.astype(np.int64) - start) // self.features.step % stride
        if away.any():
            warnings.warn(
                f"{(away > 0).sum()} of {len(away)} origins lie between those trained "
                f"on, which were {stride} steps apart (first {times[away > 0][0]}): "
                "forecasts may be worse there. fit(every=1) trains on all",
                stacklevel=3,
            )

    def _read(self, window, levels, samples):
        """point [B, H] and quantiles [B, H, Q] of a batch, both scaled."""
        none = window.future.new_zeros(*window.future.shape[:2], 0)
        if self.kind == "recursive" and not isinstance(self.head, Point):
            generator = torch.Generator().manual_seed(0)
            uniform = torch.rand(samples, self.horizon, generator=generator)
            values = torch.cat(
                [self.network.sample(part, uniform) for part in _parts(window, 32)]
            )
            mean = isinstance(self.head, Gaussian)
            point = values.mean(1) if mean else values.median(1).values
            if not levels:
                return point, none
            return point, values.quantile(point.new_tensor(levels), 1).movedim(0, -1)
        raw, _ = self.network(window)
        return self.head.point(raw), self.head.quantile(raw, levels) if levels else none


def _parts(window: Window, rows: int):
    """A window without `taught`, a few rows at a time."""
    pairs = zip(window.past.split(rows), window.future.split(rows), strict=True)
    return [Window(past, future) for past, future in pairs]


@contextlib.contextmanager
def _seeded(seed):
    """The global random state from a seed, and put back afterwards."""
    if seed is None:
        yield
        return
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
