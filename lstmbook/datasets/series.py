"""Time series: hourly traffic, a weather station, ETTh1, and any CSV file.

    from lstmbook.datasets.series import read_csv, traffic
    series = read_csv("my.csv", time="date", target="sales", past=["price"])
    series[: series.index("2018-01-01")]    # what was known on that day

A series has one target, inputs that are measured with it (`past`: known up to
now) and inputs known in advance (`known`: a price list, a timetable).
"""

import io
import re
from pathlib import Path

import numpy as np

from .archive import members
from .cache import DataError, fetch
from .csvfile import read_columns
from .regular import Series, check_names
from .timefeatures import calendar

__all__ = [
    "Series",
    "calendar",
    "etth1",
    "read_csv",
    "traffic",
    "weather_station",
]


def read_csv(
    path: str | Path,
    time: str,
    target: str,
    past: tuple[str, ...] = (),
    known: tuple[str, ...] = (),
    *,
    frequency: str | None = None,
    gaps: str = "raise",
    time_format: str | None = None,
    encoding: str = "utf-8",
    separator: str = ",",
) -> Series:
    """A series from a CSV file with a header.

    time:        the column of times, as 2018-05-08 14:00, or in `time_format`
    target:      the column to forecast
    past, known: columns of inputs: measured, and known in advance
    frequency:   the step, "1h", "15min", "1D"; by default the most frequent one
    gaps:        what to do where times are left out: "raise", or "missing" (rows
                 with every value missing take their place)
    time_format: of dates in another form, as for strptime: "%d.%m.%Y %H:%M"

    An empty cell, NA, NaN or null is a missing value. Anything else that is not
    what it should be raises ValueError (FileNotFoundError for the file) with the
    row where it stands, the header being row 1; nothing is repaired.
    """
    past, known = (
        (names,) if isinstance(names, str) else tuple(names) for names in (past, known)
    )
    if gaps not in ("raise", "missing"):
        raise ValueError(f"gaps is {gaps!r}; expected 'raise' or 'missing'")
    columns = (target, *past, *known)
    check_names((time, *columns))
    times, values, rows = read_columns(
        path,
        time,
        columns,
        time_format=time_format,
        encoding=encoding,
        separator=separator,
    )
    where = "the file" if isinstance(path, bytes) else str(path)
    _check_ascending(where, times, rows)
    step = _step(times, frequency)
    places = _places(where, times, rows, step, gaps)
    table = np.full((places[-1] + 1, len(columns)), np.nan)
    table[places] = np.stack([values[column] for column in columns], axis=1)
    return Series(
        times[0] + step * np.arange(len(table)),
        table[:, 0],
        table[:, 1 : 1 + len(past)],
        table[:, 1 + len(past) :],
        target,
        past,
        known,
    )


def traffic() -> Series:
    """Vehicles per hour, westbound, between Minneapolis and St Paul, two years.

    17,520 hours from 2016-10-01 00:00 to 2018-09-30 23:00; the target is
    traffic_volume, the measured inputs are temp (kelvin), rain_1h (mm) and
    clouds_all (per cent). 104 hours are missing, in all columns at once. Times
    are those on the clock: on 12 March 2017 and 11 March 2018 there is no 2 o'clock.

    Left out: snow_1h, which is 0 throughout these two years, and weather_main,
    which is text. Temperatures of 0 K and 9,831 mm of rain, known from the full
    set (2012 to 2018), are not in these years: values are as published.

    Source: J. Hogue (2019), Metro Interstate Traffic Volume, UCI, station
    ATR 301 of the Minnesota Department of Transportation.
    """
    archive = members(fetch("traffic"), "autots/datasets/data/traffic_hourly.zip")
    content = _zipped_csv(_only(archive))
    past = ("temp", "rain_1h", "clouds_all")
    return read_csv(content, "datetime", "traffic_volume", past)


def weather_station() -> Series:
    """Air temperature (°C) by the hour at a weather station in Hesse, Germany.

    26,304 hours, 2014 to 2016. Measured inputs: air pressure (hPa), solar
    radiation (W/m²), relative humidity (per cent), wind speed (m/s), rain (mm a
    day, as an intensity: single hours reach 2,057; take its logarithm) and the
    level of the groundwater (m, 3,012 values missing).

    The file writes the first twelve days of each month with day and month
    exchanged (2 January as 2014-02-01), in the right order. They are exchanged
    back here; a file sorted by its own dates would jump by 2.6 °C at midnight,
    not by 0.6.

    Source: Chair of Landscape, Water and Biogeochemical Cycles, University of
    Giessen; distributed with SPOTPY (Houska et al. 2015).
    """
    archive = members(
        fetch("weather"), "spotpy/examples/cmf_data/driver_data_site24.csv"
    )
    lines = _only(archive).splitlines(keepends=True)
    content = b"".join(line for line in lines if not line.startswith(b"#"))
    # A last number up to 12 is a month, since greater days were not exchanged.
    exchanged = re.compile(rb"^(\d{4})-(\d\d)-(0\d|1[0-2]) ", re.MULTILINE)
    content = exchanged.sub(rb"\1-\3-\2 ", content)
    past = (
        "airpressure_hPa",
        "solarrad_Wm2",
        "relhum_perc",
        "windspeed_ms",
        "rain_mmday",
        "gwhead_m",
    )
    return read_csv(content, "time", "airtemp_degC", past)


ETT_COLUMNS = ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT")


def etth1(target: str = "OT") -> Series:
    """ETTh1: oil temperature and six loads of a power transformer, hourly.

    17,420 hours from 2016-07-01; the target is one of `ETT_COLUMNS`, by default
    the oil temperature OT (°C), and the six others are measured inputs. The
    usual split: 12 months to train (8,640 rows), 4 to choose (2,880), 4 to test
    (2,880); the rest is not used.

    Source: Zhou et al. 2021, Informer, sec. 5.1.
    """
    if target not in ETT_COLUMNS:
        raise ValueError(
            f"ETTh1 has no column {target!r}; it has: {', '.join(ETT_COLUMNS)}"
        )
    past = tuple(column for column in ETT_COLUMNS if column != target)
    return read_csv(fetch("ett"), "date", target, past)


def _only(found: dict[str, bytes]) -> bytes:
    if len(found) != 1:
        raise DataError(f"expected one file in the archive, found {sorted(found)}")
    return next(iter(found.values()))


def _zipped_csv(content: bytes) -> bytes:
    import zipfile

    # A zip file inside the wheel, with one CSV file.
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.read(archive.namelist()[0])


def _check_ascending(where: str, times: np.ndarray, rows: np.ndarray):
    if len(times) < 2:
        raise ValueError(f"{where} has one row of data; a series has at least 2")
    steps = np.diff(times)
    back = steps < np.timedelta64(0, "s")
    if back.any():
        at = int(back.argmax()) + 1
        raise ValueError(
            f"{where}, row {rows[at]}: {times[at]} comes after {times[at - 1]}. "
            "Sort the file by time"
        )
    same = steps == np.timedelta64(0, "s")
    if same.any():
        at = int(same.argmax()) + 1
        raise ValueError(
            f"{where}: {same.sum()} times are repeated, the first is {times[at]} in "
            f"row {rows[at]}. Keep one row for each time; if the file holds several "
            "series, choose one"
        )


def _step(times: np.ndarray, frequency: str | None) -> np.timedelta64:
    if frequency is None:
        steps, counts = np.unique(np.diff(times), return_counts=True)
        return steps[counts.argmax()]
    import pandas as pd

    try:
        step = pd.Timedelta(pd.tseries.frequencies.to_offset(frequency))
    except ValueError as error:
        raise ValueError(
            f"frequency is {frequency!r}; expected a fixed step such as '1h', "
            "'15min' or '1D' (months are not equally long)"
        ) from error
    return step.to_timedelta64().astype("timedelta64[s]")


def _places(
    where: str, times: np.ndarray, rows: np.ndarray, step: np.timedelta64, gaps: str
) -> np.ndarray:
    since = times - times[0]
    off = since % step != np.timedelta64(0, "s")
    if off.any():
        at = int(off.argmax())
        raise ValueError(
            f"{where}, row {rows[at]}: {times[at]} is not a whole number of steps of "
            f"{step.item()} after {times[0]}. A series has equal steps: pass the right "
            "frequency, or bring the data to one (months are not equally long)"
        )
    places = since // step
    lacking = places[-1] + 1 - len(places)
    if lacking and gaps == "raise":
        at = int((np.diff(places) > 1).argmax())
        raise ValueError(
            f"{where}: {lacking} times are left out at steps of {step.item()}, first "
            f"after {times[at]} (row {rows[at]}). Pass gaps='missing' to read them as "
            "missing values"
        )
    return places
