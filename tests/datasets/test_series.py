"""Series keep their times, and a CSV file is read exactly or refused."""

import numpy as np
import pytest

from lstmbook.datasets import available
from lstmbook.datasets.series import (
    ETT_COLUMNS,
    Series,
    calendar,
    etth1,
    read_csv,
    traffic,
    weather_station,
)

pytest.importorskip("pandas")
HOUR = np.timedelta64(3600, "s")


def hours(count, start="2018-01-01"):
    return np.datetime64(start, "s") + HOUR * np.arange(count)


def example(count=48, known=False):
    random = np.random.default_rng(0)
    values = random.standard_normal((count, 3))
    return Series(
        hours(count),
        values[:, 0],
        values[:, 1:2],
        values[:, 2:] if known else None,
        "load",
        ("rain",),
        ("price",) if known else (),
    )


class TestSeries:
    def test_a_part_keeps_every_column_in_step(self):
        series = example(known=True)
        part = series[10:-5]
        assert len(part) == 33 and part.step == HOUR
        assert part.times[0] == series.times[10]
        for name, values in part.columns().items():
            assert np.array_equal(values, series.columns()[name][10:-5])

    def test_a_date_has_one_place(self):
        series = example()
        assert series.index("2018-01-01") == 0
        assert series.index("2018-01-02 03:00") == 27
        assert series.index(series.times[-1] + HOUR) == len(series)
        for date in ("2017-12-31", "2018-01-03 01:00"):
            with pytest.raises(ValueError, match="outside of the series"):
                series.index(date)
        with pytest.raises(ValueError, match="neighbours are 2018-01-01T01:00:00"):
            series.index("2018-01-01 01:30")

    def test_longer_means_missing_and_times_that_go_on(self):
        longer = example().extended(5)
        assert (np.diff(longer.times) == HOUR).all() and len(longer) == 53
        assert np.isnan(longer.target[48:]).all() and np.isnan(longer.past[48:]).all()
        assert np.array_equal(longer.target[:48], example().target)
        with pytest.raises(ValueError, match="values of \\['price'\\] are needed"):
            example(known=True).extended(5)

    def test_a_table_has_all_of_it(self):
        frame = example(known=True).to_frame()
        assert list(frame.columns) == ["load", "rain", "price"] and len(frame) == 48

    @pytest.mark.parametrize(
        "change, message",
        [
            ({"times": hours(48)[::-1]}, "must ascend"),
            ({"times": np.repeat(hours(24), 2)}, "must ascend"),
            ({"times": np.r_[hours(47), hours(50)[-1:]]}, "must be regular"),
            ({"times": hours(1), "target": np.zeros(1)}, "at least 2 steps"),
            ({"target": np.zeros(47)}, r"shape \[47\], expected \[48\]"),
            ({"past": np.zeros((48, 2))}, r"expected \[48, 1\]"),
            ({"target": np.r_[np.zeros(47), np.inf]}, "'load' is infinite"),
            ({"past_names": ("load",)}, "more than once"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, change, message):
        columns = {
            "times": hours(48),
            "target": np.zeros(48),
            "past": np.zeros((48, 1)),
            "target_name": "load",
            "past_names": ("rain",),
        }
        with pytest.raises(ValueError, match=message):
            Series(**{**columns, **change})

    def test_parts_that_are_no_series_are_refused(self):
        with pytest.raises(ValueError, match="has 1 of 48 steps"):
            example()[3:4]
        for wrong in (3, slice(None, None, 2)):
            with pytest.raises(TypeError, match=r"series\[a:b\]"):
                example()[wrong]


ROWS = [
    "2018-01-01 00:00,5,1.5",
    "2018-01-01 01:00,,2",
    "2018-01-01 02:00,7,NA",
    "2018-01-01 03:00,8,3",
]


def write(path, rows=ROWS, header="date,sales,rain", encoding="utf-8"):
    file = path / "file.csv"
    file.write_text("\n".join([header, *rows]) + "\n", encoding=encoding)
    return file


class TestCSV:
    def test_a_file_is_read_as_it_is(self, tmp_path):
        series = read_csv(write(tmp_path), "date", "sales", past=["rain"])
        np.testing.assert_equal(series.target, [5, np.nan, 7, 8])
        np.testing.assert_equal(series.past[:, 0], [1.5, 2, np.nan, 3])
        assert series.times[0] == np.datetime64("2018-01-01") and series.step == HOUR
        known = read_csv(write(tmp_path), "date", "sales", known="rain")
        assert known.known_names == ("rain",) and known.past.shape == (4, 0)

    def test_other_forms_are_read_when_named(self, tmp_path):
        rows = [f"{day:02d}.03.2018;{day}" for day in range(1, 15)]
        file = write(tmp_path, rows, "Zeit;Menge °C", "cp1252")
        series = read_csv(
            file,
            "Zeit",
            "Menge °C",
            encoding="cp1252",
            separator=";",
            time_format="%d.%m.%Y",
        )
        assert series.times[13] == np.datetime64("2018-03-14")
        assert series.step == 24 * HOUR
        assert read_csv(write(tmp_path, encoding="utf-8-sig"), "date", "sales")

    def test_gaps_are_filled_with_missing_values_on_request(self, tmp_path):
        file = write(tmp_path, [*ROWS, "2018-01-01 06:00,9,4"])
        with pytest.raises(ValueError, match=r"2 times are left out.*03:00:00 \(row 5"):
            read_csv(file, "date", "sales")
        series = read_csv(file, "date", "sales", gaps="missing")
        np.testing.assert_equal(series.target, [5, np.nan, 7, 8, np.nan, np.nan, 9])

    def test_the_step_can_be_given(self, tmp_path):
        series = read_csv(
            write(tmp_path), "date", "sales", frequency="30min", gaps="missing"
        )
        assert len(series) == 7 and series.step == HOUR / 2
        with pytest.raises(ValueError, match="not a whole number of steps of 2:00:00"):
            read_csv(write(tmp_path), "date", "sales", frequency="2h")
        with pytest.raises(ValueError, match="fixed step"):
            read_csv(write(tmp_path), "date", "sales", frequency="MS")

    @pytest.mark.parametrize(
        "rows, message",
        [
            ([], "a header and no rows"),
            (ROWS[:1], "is 5 in every row|one row"),
            ([ROWS[1], ROWS[0], *ROWS[2:]], "row 3: .*comes after.*Sort the file"),
            ([ROWS[0], ROWS[0], *ROWS[1:]], "1 times are repeated.*row 3"),
            ([*ROWS, "2018-01-01 04:00,many,3"], "row 6: 'many' in 'sales'"),
            ([*ROWS, '2018-01-01 04:00,"1,5",3'], "row 6: '1,5'.*with a point"),
            ([*ROWS, "", "2018-01-01 04:00,x,3"], "row 7: 'x'"),
            ([*ROWS, "2018-01-01 04:00,inf,3"], "row 6: 'inf' in 'sales' is infinite"),
            ([*ROWS, "tomorrow,9,3"], "row 6: 'tomorrow' in 'date' is not a date"),
            ([*ROWS, ",9,3"], "row 6: '' in 'date' is not a date"),
            ([*ROWS, "01/02/2018,9,3"], "row 6.*time_format="),
            ([*ROWS, "2018-01-01 04:00,9,3,1"], "number of columns, the header has 3"),
            ([r[:17] + "5,1" for r in ROWS], "'sales' is 5 in every row"),
            ([r[:17] + f"{i},1" for i, r in enumerate(ROWS)], "'rain' is 1 in every"),
            ([r[:17] + ",1" for r in ROWS], "every value of 'sales' is missing"),
            ([r[:16] + "+01:00" + r[16:] for r in ROWS], "carry a UTC offset"),
            ([r[:16] + "Z" + r[16:] for r in ROWS], "carry a UTC offset"),
            ([f"2018-{m:02d}-01,{m},{m % 3}" for m in range(1, 9)], "not equally long"),
        ],
    )
    def test_a_wrong_file_is_refused_with_the_place(self, tmp_path, rows, message):
        with pytest.raises(ValueError, match=message):
            read_csv(write(tmp_path, rows), "date", "sales", ["rain"])

    def test_a_wrong_name_is_refused_with_near_ones(self, tmp_path):
        file = write(tmp_path)
        with pytest.raises(ValueError, match=r"no column 'sale'.*mean 'sales'"):
            read_csv(file, "date", "sale")
        with pytest.raises(ValueError, match="separator=';'"):
            read_csv(write(tmp_path, ["a;b"], "x1;y1"), "time", "amount")
        with pytest.raises(ValueError, match="several columns called 'sales'"):
            read_csv(write(tmp_path, header="date,sales,sales"), "date", "sales")
        with pytest.raises(ValueError, match="more than once"):
            read_csv(file, "date", "sales", ["sales"])
        with pytest.raises(ValueError, match="gaps is 'fill'"):
            read_csv(file, "date", "sales", gaps="fill")

    def test_another_file_is_refused(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"no file .*nowhere\.csv"):
            read_csv(tmp_path / "nowhere.csv", "date", "sales")
        empty = tmp_path / "empty.csv"
        empty.write_text("\n")
        with pytest.raises(ValueError, match="is empty"):
            read_csv(empty, "date", "sales")
        rows = [*ROWS, "2018-01-01 04:00,9,é"]
        with pytest.raises(ValueError, match="row 6: byte 0xe9 is not utf-8"):
            read_csv(write(tmp_path, rows, encoding="latin-1"), "date", "sales")


class TestCalendar:
    def test_hours_lie_on_a_circle_and_one_weekday_is_on(self):
        times = hours(24 * 14)  # from a Monday
        values, names = calendar(times, ("hour", "weekday"))
        assert values.shape == (336, 9) and values.dtype == np.float32
        table = dict(zip(names, values.T, strict=True))
        np.testing.assert_allclose(table["hour_sin"] ** 2 + table["hour_cos"] ** 2, 1)
        assert abs(table["hour_sin"][6] - 1) < 1e-6  # a quarter of the day
        assert (values[:, 2:].sum(axis=1) == 1).all()
        assert np.flatnonzero(table["thu"]).tolist() == [
            *range(72, 96),
            *range(240, 264),
        ]
        np.testing.assert_array_equal(values[:168], values[168:])

    def test_what_never_changes_at_a_step_is_left_out(self):
        days = np.arange("2018-01-01", "2018-03-01", dtype="datetime64[D]")
        assert calendar(days)[1][:2] == ("mon", "tue")
        assert calendar(days[::7])[1] == ("year_sin", "year_cos")
        assert len(calendar(days[:1], ("hour",), step=24 * HOUR)[1]) == 0

    def test_holidays_know_their_neighbours(self):
        pytest.importorskip("holidays")
        days = np.arange("2018-07-02", "2018-07-07", dtype="datetime64[D]")
        values, names = calendar(days, ("holiday",), "US")
        assert names == ("holiday", "holiday_tomorrow", "holiday_yesterday")
        assert values.T.tolist() == [
            [0, 0, 1, 0, 0],
            [0, 1, 0, 0, 0],
            [0, 0, 0, 1, 0],
        ]
        # New Year lies in another year than its eve.
        eve = calendar(np.array(["2018-12-31"], "datetime64[s]"), ("holiday",), "US")
        assert eve[0].tolist() == [[0, 1, 0]]

    def test_the_future_is_like_the_past(self):
        parts = ("hour", "weekday", "year", "holiday")
        pytest.importorskip("holidays")
        long, _ = calendar(hours(2000), parts, "US-MN")
        short, _ = calendar(hours(2000)[1500:1524], parts, "US-MN")
        np.testing.assert_array_equal(long[1500:1524], short)

    def test_unknown_parts_and_countries_are_refused(self):
        pytest.importorskip("holidays")
        for wrong in (("day",), "hour"):
            with pytest.raises(ValueError, match="expected a tuple of some of: hour"):
                calendar(hours(3), wrong)
        with pytest.raises(ValueError, match="need a country"):
            calendar(hours(3), ("holiday",))
        with pytest.raises(ValueError, match="'Atlantis' are not known"):
            calendar(hours(3), ("holiday",), "Atlantis")


def need(name):
    if not available(name):
        pytest.skip(f"not in the cache: python -m lstmbook.datasets {name}")


def test_traffic_is_two_years_with_104_hours_missing():
    need("traffic")
    series = traffic()
    assert len(series) == 17_520 and np.isnan(series.target).sum() == 104
    assert series.past_names == ("temp", "rain_1h", "clouds_all")
    assert (np.isnan(series.past) == np.isnan(series.target)[:, None]).all()
    assert series.index("2018-05-08") == 14_016
    assert np.nanmin(series.past[:, 0]) > 240 and np.nanmax(series.past[:, 1]) < 11
    # The clock is set forward in March: there is no 2 o'clock.
    for date in ("2017-03-12 02:00", "2018-03-11 02:00"):
        assert np.isnan(series.target[series.index(date)])


def test_the_weather_station_has_no_jumps_at_midnight():
    need("weather")
    series = weather_station()
    assert len(series) == 26_304 and not np.isnan(series.target).any()
    assert np.isnan(series.past).sum() == 3_012
    change = np.abs(np.diff(series.target))
    assert change[23::24].mean() < change.mean()


def test_etth1_has_seven_columns_and_any_can_be_the_target():
    need("ett")
    series = etth1()
    assert len(series) == 17_420 and series.past_names == ETT_COLUMNS[:-1]
    np.testing.assert_array_equal(etth1("HUFL").target, series.past[:, 0])
    with pytest.raises(ValueError, match="no column 'oil'"):
        etth1("oil")
