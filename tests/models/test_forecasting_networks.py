"""Windows, networks, heads and the forecaster made of them."""

import math
import warnings

import numpy as np
import pytest
import torch

import lstmbook as lb
from lstmbook.datasets.regular import Series
from lstmbook.datasets.series import read_csv
from lstmbook.models.forecasting import LeakError, backtest
from lstmbook.models.forecasting.forecaster import KINDS, LSTMForecaster
from lstmbook.models.forecasting.heads import Gaussian, Point, Quantiles, StudentT
from lstmbook.models.forecasting.networks import Direct, EncoderDecoder, Recursive
from lstmbook.models.forecasting.windows import Features, Window, Windows

HEADS = [Point("mae"), Point("mse"), Gaussian(), StudentT(), Quantiles(),
         Quantiles((0.05, 0.25, 0.75))]  # fmt: skip
SMALL = {"hidden_size": 8, "calendar": ("hour",)}
QUICK = {"epochs": 2, "seed": 0, "progress": False}


def daily_cycle(steps=480, inputs=True, missing=(), seed=0) -> Series:
    random = np.random.default_rng(seed)
    hours = np.arange(steps)
    target = 100 + 10 * np.sin(2 * np.pi * hours / 24) + random.standard_normal(steps)
    target[list(missing)] = np.nan
    past = random.standard_normal((steps, 2)) * [1, 50] + [0, 300]
    times = np.datetime64("2020-01-01", "s") + hours * np.timedelta64(3600, "s")
    if not inputs:
        return Series(times, target)
    known = (hours % 7 == 0).astype(float)[:, None]
    return Series(times, target, past, known, "load", ("wind", "heat"), ("shift",))


def arrays(series, calendar=("hour",), cut=300):
    return Features.fitted(series[:cut], True, calendar, None)(series)


# ---- windows


def test_an_input_far_outside_what_was_fitted_is_cut_and_the_target_is_not():
    series = daily_cycle()
    series.past[400, 1] = 1e6  # a flood where there had hardly been rain
    series.target[401] = 1e4
    data = arrays(series)
    assert data.past[400, 2] == 5 and data.past[:400, 2].abs().max() < 5
    assert data.past[401, 0] > 100 and data.target[401] > 100


def test_a_window_holds_the_rows_before_the_origin_and_the_known_ones_after():
    series = daily_cycle(missing=[100])
    data = arrays(series)
    window, target = Windows(data, 10, 4, [105, 200])[[0, 1]]
    assert window.past.shape == (2, 10, 1 + 2 + 1 + 1 + 2)
    assert window.future.shape == (2, 4, 1 + 2) and target.shape == (2, 4)
    assert torch.equal(window.past[0], data.past[95:105])
    assert torch.equal(window.future[1], data.future[200:204])
    # column 0 is the target, column 3 its flag: it alone was ever missing
    assert window.past[0, 5, 0] == 0 and window.past[0, :, 3].tolist() == [
        *[0] * 5, 1, *[0] * 4,
    ]  # fmt: skip
    z = (series.target[200:204] - np.nanmean(series.target[:300])) / np.nanstd(
        series.target[:300]
    )
    np.testing.assert_allclose(target[1], z, rtol=1e-5)


def test_the_past_of_a_window_ends_with_the_features_of_its_future():
    data = arrays(daily_cycle())
    torch.testing.assert_close(data.past[:, -3:], data.future)


def test_scales_come_from_the_fitted_part_only():
    series = daily_cycle()
    later = Series(series.times, series.target.copy(), target_name="load")
    later.target[300:] = 1e6
    features = Features.fitted(later[:300], True, (), None)
    assert features.mean[0] == pytest.approx(series.target[:300].mean())
    assert features.scale[0] == pytest.approx(series.target[:300].std())
    assert features.unscale(features(later).target)[:300] == pytest.approx(
        series.target[:300], abs=1e-4
    )


def test_widths_are_those_of_the_arrays():
    for series in (daily_cycle(), daily_cycle(missing=[3]), daily_cycle(inputs=False)):
        for calendar in ((), ("hour", "weekday", "year")):
            features = Features.fitted(series, True, calendar, None)
            data = features(series)
            assert features.widths == (data.past.shape[1], data.future.shape[1])


def test_a_column_that_starts_to_be_missing_reads_as_its_mean_and_has_no_flag():
    series = daily_cycle(missing=[400])
    data = arrays(series)
    assert data.past.shape[1] == arrays(daily_cycle()).past.shape[1]
    assert data.past[400, 0] == 0 and data.target[400].isnan()


@pytest.mark.parametrize("origins", [[9], [477], []])
def test_origins_without_room_raise(origins):
    with pytest.raises(ValueError, match=r"room for 10 to 476|at least one"):
        Windows(arrays(daily_cycle()), 10, 4, origins)


def test_an_epoch_is_cut_in_whole_batches_and_sees_each_origin_once():
    windows = Windows(arrays(daily_cycle()), 10, 4, range(10, 60))
    seen = [w.past[:, -1, 0] for w, _ in windows.batches(16, shuffle=True)]
    assert [len(part) for part in seen] == [16, 16, 16, 2]
    together = torch.cat(seen)
    assert not torch.equal(together, windows.arrays.past[9:59, 0])
    torch.testing.assert_close(
        together.sort().values, windows.arrays.past[9:59, 0].sort().values
    )


# ---- heads


@pytest.mark.parametrize("head", HEADS, ids=repr)
def test_missing_targets_leave_loss_and_gradient_alone(head):
    torch.manual_seed(0)
    raw = torch.randn(3, 5, head.size, requires_grad=True)
    target = torch.randn(3, 5)
    target[1, 2:] = float("nan")
    loss = head.loss(raw, target)
    loss.backward()
    known = ~target.isnan()
    torch.testing.assert_close(loss, head.loss(raw[known], target[known]))
    assert raw.grad[~known].abs().max() == 0 and raw.grad.isfinite().all()
    assert head.loss(raw, target * float("nan")) == 0


def test_losses_are_the_densities_of_torch():
    torch.manual_seed(0)
    raw, y = torch.randn(50, 3, dtype=torch.float64), torch.randn(50).double()
    scale = torch.nn.functional.softplus(raw[:, 1]) + 1e-3
    df = 2 + torch.nn.functional.softplus(raw[:, 2]) + 1e-3
    normal = torch.distributions.Normal(raw[:, 0], scale)
    student = torch.distributions.StudentT(df, raw[:, 0], scale)
    got = Gaussian().loss(raw[:, :2], y)
    torch.testing.assert_close(got, -normal.log_prob(y).mean())
    torch.testing.assert_close(StudentT().loss(raw, y), -student.log_prob(y).mean())


def test_quantiles_of_the_distributions_are_those_of_scipy():
    from scipy import stats

    raw = torch.tensor([[0.3, -0.5, 1.0]], dtype=torch.float64)
    scale = math.log1p(math.exp(-0.5)) + 1e-3
    df = 2 + math.log1p(math.exp(1.0)) + 1e-3
    levels = (0.025, 0.5, 0.9)
    want = stats.norm(0.3, scale).ppf(levels)
    np.testing.assert_allclose(Gaussian().quantile(raw[:, :2], levels)[0], want)
    want = stats.t(df, 0.3, scale).ppf(levels)
    np.testing.assert_allclose(StudentT().quantile(raw, levels)[0], want)


def test_quantiles_never_cross_and_the_middle_one_is_the_point():
    torch.manual_seed(0)
    for levels in ((0.1, 0.5, 0.9), (0.5,), (0.05, 0.2, 0.4, 0.7), (0.5, 0.9)):
        head = Quantiles(levels)
        raw = 20 * torch.randn(200, head.size)
        values = head.values(raw)
        assert (values.diff(dim=-1) >= 0).all()
        torch.testing.assert_close(values[:, head.middle], head.point(raw))
        torch.testing.assert_close(head.quantile(raw, levels), values)


def test_the_pinball_loss_is_the_formula_and_at_the_median_the_absolute_error():
    raw = torch.tensor([[1.0, 0.0, 0.0]])
    low, mid, high = Quantiles().values(raw)[0].tolist()
    y = 3.0
    want = 2 * (0.1 * (y - low) + 0.5 * (y - mid) + 0.9 * (y - high)) / 3
    assert float(Quantiles().loss(raw, torch.tensor([y]))) == pytest.approx(want)
    assert float(Quantiles((0.5,)).loss(raw[:, :1], torch.tensor([y]))) == 2


def test_a_level_between_two_is_interpolated_and_one_outside_raises():
    head, raw = Quantiles(), torch.randn(4, 3)
    values = head.values(raw)
    got = head.quantile(raw, (0.3,))[:, 0]
    torch.testing.assert_close(got, values[:, :2].mean(1))
    with pytest.raises(ValueError, match="not learned"):
        head.quantile(raw, (0.05, 0.5))


@pytest.mark.parametrize("head", HEADS[2:], ids=repr)
def test_samples_fall_below_each_quantile_as_often_as_it_says(head):
    raw = torch.zeros(head.size).expand(20_000, -1)
    samples = head.sample(raw, torch.Generator().manual_seed(0))
    for level in (0.25, 0.5, 0.75):
        share = (samples <= head.quantile(raw[0], [level])).float().mean()
        assert float(share) == pytest.approx(level, abs=0.015)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Point("huber"), "'mae' or 'mse'"),
        (lambda: Quantiles((0.9, 0.1)), "ascending"),
        (lambda: Quantiles(()), "ascending"),
        (lambda: Quantiles((0.0, 0.5)), "ascending"),
        (lambda: Point().quantile(torch.zeros(1, 1), (0.5,)), "no quantiles"),
        (lambda: Gaussian().quantile(torch.zeros(1, 2), (1.0,)), "between 0 and 1"),
    ],
)
def test_heads_say_what_is_wrong(make, words):
    with pytest.raises(ValueError, match=words):
        make()


# ---- networks


def a_window(rows=3, past=6, future=4, L=9, H=5, taught=False):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(rows, L, past, generator=generator)
    f = torch.randn(rows, H, future, generator=generator)
    t = torch.randn(rows, H, generator=generator) if taught else None
    return Window(x, f, t)


def networks(path=0, future=4, **options):
    torch.manual_seed(0)
    options = {"hidden_size": 7, "linear_path": path, **options}
    return [
        Direct(6, future, 5, 3, **options),
        EncoderDecoder(6, future, 5, 3, **options),
        Recursive(2 + future, future, 5, Quantiles(), **options),
    ]


@pytest.mark.parametrize("path", [0, 4])
@pytest.mark.parametrize("layers", [1, 2])
def test_every_network_gives_a_row_a_step_and_all_its_weights_learn(path, layers):
    for net in networks(path, layers=layers):
        window = a_window(past=net.past_features, taught=True)
        raw, _ = net(window)
        assert raw.shape == (3, 5, 3)
        Quantiles().loss(raw, torch.randn(3, 5)).backward()
        idle = [n for n, p in net.named_parameters() if p.grad is None]
        assert not idle
        zero = [n for n, p in net.named_parameters() if p.grad.abs().max() == 0]
        assert not zero


@pytest.mark.parametrize("path", [0, 4])
def test_a_row_alone_is_the_row_in_a_batch(path):
    for net in networks(path):
        window = a_window(past=net.past_features)
        alone = Window(window.past[1:2], window.future[1:2])
        torch.testing.assert_close(net(alone)[0][0], net(window)[0][1])


def test_without_inputs_known_in_advance_all_three_still_run():
    for net in networks(future=0):
        window = a_window(past=net.past_features, future=0)
        assert net(window)[0].shape == (3, 5, 3)


def test_what_is_taught_reaches_the_recursive_network_alone():
    for net in networks():
        window = a_window(past=net.past_features, taught=True)
        other = window._replace(taught=window.taught + 1)
        same = torch.equal(net(window)[0], net(other)[0])
        assert same != isinstance(net, Recursive)


def test_teacher_forcing_never_shows_a_step_its_own_target_or_a_later_one():
    for path in (0, 4):
        net = networks(path)[2]
        window = a_window(taught=True)
        for k in range(5):
            taught = window.taught.clone()
            taught[:, k:] = 99
            raw = net(window._replace(taught=taught))[0]
            torch.testing.assert_close(raw[:, : k + 1], net(window)[0][:, : k + 1])
            if k < 4:
                assert not torch.allclose(raw[:, k + 1], net(window)[0][:, k + 1])


@pytest.mark.parametrize("path", [0, 4])
@pytest.mark.parametrize("L", [1, 9])
def test_free_running_is_teacher_forcing_with_its_own_values(path, L):
    if path > L:
        path = L
    net = networks(path)[2]
    window = a_window(L=L)
    own = net.head.point(net(window)[0])
    raw, _ = net(window._replace(taught=own))
    torch.testing.assert_close(raw, net(window)[0])
    samples = net.sample(window, torch.full((2, 5), 0.5))
    torch.testing.assert_close(samples, own.detach().unsqueeze(1).expand(3, 2, 5))


def test_a_missing_taught_value_reads_like_a_missing_past_one():
    net = networks()[2]
    window = a_window(taught=True)
    window.taught[:, 1] = float("nan")
    longer = Window(
        torch.cat([window.past, torch.cat([torch.zeros(3, 2, 2),
                                           window.future[:, :2]], dim=2)], dim=1),
        window.future[:, 2:],
        window.taught[:, 2:],
    )  # fmt: skip
    longer.past[:, -2, 0] = window.taught[:, 0]
    longer.past[:, -1, 1] = 1  # the flag
    raw = net(window)[0]
    net.horizon = 3
    torch.testing.assert_close(net(longer)[0], raw[:, 2:])


def test_the_linear_path_follows_a_level_and_reads_the_last_values_only():
    for net in networks(4)[:2]:
        window = a_window()
        moved = window.past.clone()
        moved[:, :-4, 0] += 9
        with torch.no_grad():
            for weight in net.layer.parameters():
                weight.zero_()
        torch.testing.assert_close(net(window._replace(past=moved))[0], net(window)[0])
        moved = window.past.clone()
        moved[:, -4:, 0] += 9
        rise = net(window._replace(past=moved))[0] - net(window)[0]
        torch.testing.assert_close(rise[..., 0], torch.full((3, 5), 9.0))
        torch.testing.assert_close(rise[..., 1:], torch.zeros(3, 5, 2))


def test_networks_say_what_does_not_fit():
    direct, _, recursive = networks(path=4)
    with pytest.raises(ValueError, match=r"wants \[B, L, 6\]"):
        direct(a_window(past=5))
    with pytest.raises(ValueError, match=r"\[B, 5, 4\]"):
        direct(a_window(H=4))
    with pytest.raises(ValueError, match="reads further back"):
        direct(a_window(L=3))
    with pytest.raises(ValueError, match="leave lengths out"):
        recursive(a_window(), None, torch.ones(3, dtype=torch.long))
    with pytest.raises(ValueError, match="use_past=False"):
        Recursive(7, 4, 5, Quantiles())


# ---- the forecaster


def test_five_lines_from_a_file_to_a_forecast_saved_and_loaded(tmp_path):
    series = daily_cycle(inputs=False)
    series.to_frame().to_csv(tmp_path / "my.csv")

    series = read_csv(tmp_path / "my.csv", time="time", target="target")
    model = LSTMForecaster(history=48, horizon=24).fit(series, progress=False)
    before = model.predict(series)
    lb.save(model, tmp_path / "model.safetensors")
    after = lb.load(tmp_path / "model.safetensors").predict(series)

    assert np.array_equal(before.point, after.point)
    assert np.array_equal(before.quantiles, after.quantiles)
    assert before.origins.tolist() == [480] and before.point.shape == (1, 24)
    truth = 100 + 10 * np.sin(2 * np.pi * np.arange(480, 504) / 24)
    assert np.abs(before.point[0] - truth).mean() < 2  # the mean alone is 6.4 off


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("head", HEADS[1:4], ids=repr)
def test_every_kind_and_head_is_fitted_tested_saved_and_loaded(kind, head, tmp_path):
    series = daily_cycle(240, missing=[50, 51])
    model = LSTMForecaster(24, 6, kind=kind, head=head, linear_path=3, layers=2,
                           dropout=0.1, **SMALL)  # fmt: skip
    scores = backtest(_Quick(model), series, 200).scores()
    assert math.isfinite(scores["mae"])
    assert ("coverage_80" in scores) == (not isinstance(head, Point))
    lb.save(model, tmp_path / "model.safetensors")
    again = lb.load(tmp_path / "model.safetensors")
    origins = [100, 200]
    a, b = (m.predict(series, origins, (0.2, 0.5)) for m in (model, again))
    assert np.array_equal(a.point, b.point) and a.levels == b.levels
    if a.quantiles is not None:
        assert np.array_equal(a.quantiles, b.quantiles)
        assert (np.diff(a.quantiles, axis=-1) >= 0).all()


class _Quick:
    """The forecaster with a fit that takes a moment."""

    def __init__(self, model):
        self.model, self.horizon, self.predict = model, model.horizon, model.predict

    def fit(self, series):
        self.model.fit(series, **QUICK)


def test_a_window_that_peeks_is_found_by_the_back_test(monkeypatch):
    cut = Windows.__getitem__

    def peeks(self, rows):
        self.before = torch.arange(-24, 0) + 1  # one row too far: the origin itself
        return cut(self, rows)

    monkeypatch.setattr(Windows, "__getitems__", peeks)
    model = LSTMForecaster(24, 6, **SMALL)
    with pytest.raises(LeakError):
        backtest(_Quick(model), daily_cycle(240), 200)


@pytest.mark.parametrize("kind", KINDS)
def test_a_forecast_does_not_depend_on_the_other_origins(kind):
    series = daily_cycle(240)
    model = LSTMForecaster(24, 6, kind=kind, **SMALL).fit(series, **QUICK)
    many = model.predict(series, [100, 150, 200])
    one = model.predict(series, [150])
    np.testing.assert_allclose(many.point[1], one.point[0], rtol=1e-5)
    np.testing.assert_allclose(many.quantiles[1], one.quantiles[0], rtol=1e-5)


def test_what_is_held_out_is_neither_trained_on_nor_measured():
    series = daily_cycle(240)
    other = daily_cycle(240)
    other.target[216:] += 40  # the last tenth
    a, b = (
        LSTMForecaster(24, 6, **SMALL).fit(s, **QUICK | {"epochs": 1})
        for s in (series, other)
    )
    for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True):
        torch.testing.assert_close(x, y)
    assert a.losses != b.losses


def test_without_validation_everything_is_trained_on():
    model = LSTMForecaster(24, 6, **SMALL)
    train, held_out, cut = model._split(daily_cycle(240), 0, 1)
    assert train.tolist() == list(range(24, 235)) and len(held_out) == 0 and cut == 240
    assert model.fit(daily_cycle(240), valid=0, **QUICK).losses == []


def test_training_origins_are_counted_back_from_the_end():
    model = LSTMForecaster(24, 6)
    train, held_out, cut = model._split(daily_cycle(240), 0.1, 6)
    assert cut == 216 and train[-1] + 6 <= cut and held_out.tolist() == [
        216, 222, 228, 234,
    ]  # fmt: skip
    assert set((240 - train) % 6) == {0} and train[0] >= 24


def test_a_seed_repeats_the_fit_and_leaves_the_global_state_alone():
    series = daily_cycle(240)
    torch.manual_seed(5)
    want = torch.rand(1)
    torch.manual_seed(5)
    a, b = (
        LSTMForecaster(24, 6, dropout=0.2, layers=2, **SMALL).fit(series, **QUICK)
        for _ in range(2)
    )
    assert torch.equal(torch.rand(1), want)
    assert np.array_equal(a.predict(series, [99]).point, b.predict(series, [99]).point)
    c = LSTMForecaster(24, 6, **SMALL).fit(series, **QUICK | {"seed": 1})
    assert not np.array_equal(a.predict(series, [99]).point,
                              c.predict(series, [99]).point)  # fmt: skip


def test_missing_values_are_no_obstacle_in_any_place():
    series = daily_cycle(240, missing=[*range(30, 60), 120, *range(230, 240)])
    series.past[40:80] = np.nan
    forecast = (
        LSTMForecaster(24, 6, **SMALL).fit(series, **QUICK).predict(series, [60, 234])
    )
    assert np.isfinite(forecast.point).all() and np.isfinite(forecast.quantiles).all()


def test_nothing_is_printed_but_the_bar(capfd):
    LSTMForecaster(24, 6, **SMALL).fit(daily_cycle(240), **QUICK)
    assert capfd.readouterr() == ("", "")
    LSTMForecaster(24, 6, **SMALL).fit(daily_cycle(240), epochs=1)
    out, err = capfd.readouterr()
    assert "epoch 1/1" in out and err == ""


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kind": "transformer"}, "choose one of"),
        ({"horizon": 0}, "at least 1 step"),
        ({"kind": "recursive", "use_past": True}, "measured inputs too"),
        ({"linear_path": 25}, "at most history=24"),
    ],
)
def test_a_forecaster_that_cannot_be_says_why(options, words):
    with pytest.raises(ValueError, match=words):
        LSTMForecaster(**{"history": 24, "horizon": 6} | options)


def test_bad_series_and_calls_say_what_is_wrong():
    series, model = daily_cycle(240), LSTMForecaster(24, 6, **SMALL)
    with pytest.raises(RuntimeError, match=r"call fit\(series\)"):
        model.predict(series)
    with pytest.raises(ValueError, match=r"has 33 steps.*at least 36"):
        model.fit(series[:33])
    with pytest.raises(ValueError, match="valid=1"):
        model.fit(series, valid=1.0)
    with pytest.raises(ValueError, match="every=0"):
        model.fit(series, every=0)
    empty = Series(series.times, np.full(240, np.nan))
    with pytest.raises(ValueError, match="missing in all"):
        model.fit(empty)
    model.fit(series, **QUICK)
    with pytest.raises(ValueError, match=r"past inputs \['wind', 'heat'\]"):
        model.predict(daily_cycle(240, inputs=False))
    with pytest.raises(ValueError, match="room for 24 to 234"):
        model.predict(series, [235])
    with pytest.raises(ValueError, match="pass origins"):
        model.predict(series)  # the future of what is known is not there
    two_hours = Series(series.times[0] + np.arange(240) * np.timedelta64(7200, "s"),
                       series.target, series.past, series.known, "load",
                       ("wind", "heat"), ("shift",))  # fmt: skip
    with pytest.raises(ValueError, match="steps of 3600 s"):
        model.predict(two_hours, [100])
    with pytest.raises(ValueError, match="not learned"):
        model.predict(series, [100], levels=(0.01, 0.5))


def test_origins_between_those_trained_on_are_named_in_a_warning():
    series = daily_cycle(inputs=False)
    model = LSTMForecaster(24, 12, **SMALL).fit(series[:360], **QUICK)
    with pytest.warns(UserWarning, match="1 of 2 origins lie between"):
        model.predict(series, origins=[360, 365])
    everywhere = LSTMForecaster(24, 12, **SMALL).fit(series[:360], every=1, **QUICK)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        everywhere.predict(series, origins=[360, 365])
