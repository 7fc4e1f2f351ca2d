"""What a time says by itself: hour, weekday, season, holidays."""

import functools

import numpy as np

PARTS = ("hour", "weekday", "year", "holiday")
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY = np.timedelta64(1, "D").astype("timedelta64[s]")


def calendar(
    times,
    parts: tuple[str, ...] = ("hour", "weekday", "year"),
    country: str | None = None,
    *,
    step: np.timedelta64 | None = None,
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Inputs that are known for any time, past or future.

    times:   [T] datetime64, or what NumPy can turn into it
    parts:   "hour": sine and cosine of the time of the day, 2 columns
             "weekday": one column for each day of the week, 0 or 1, 7 columns
             "year": sine and cosine of the day of the year, 2 columns
             "holiday": 0 or 1 for a holiday today, tomorrow, yesterday, 3 columns
    country: for "holiday", its ISO 3166 code as the package `holidays` knows it,
             "US", or "US-MN" with the state or province
    step:    the time between steps; by default the smallest in `times`

    "hour" is left out where the step is whole days, "weekday" where it is whole
    weeks: there they never change. Returns values float32 [T, K] and their K
    names. Raises ValueError for an unknown part or country.
    """
    times = np.atleast_1d(np.asarray(times, dtype="datetime64[s]"))
    unknown = [part for part in parts if part not in PARTS]
    if unknown or isinstance(parts, str):
        raise ValueError(
            f"parts is {parts!r}; expected a tuple of some of: {', '.join(PARTS)}"
        )
    if step is None and len(times) > 1:
        step = np.diff(times).min()
    columns = {}
    for part in parts:
        if part == "hour" and (step is None or step % DAY):
            share = (times - times.astype("datetime64[D]")) / DAY
            columns |= _circle("hour", share)
        elif part == "weekday" and (step is None or step % (7 * DAY)):
            # 1970-01-01, day 0, was a Thursday.
            weekday = (times.astype("datetime64[D]").astype(np.int64) + 3) % 7
            for number, name in enumerate(WEEKDAYS):
                columns[name] = weekday == number
        elif part == "year":
            years = times.astype("datetime64[Y]")
            days = (times - years) / DAY
            columns |= _circle("year", days / 365.25)
        elif part == "holiday":
            columns |= _holidays(times.astype("datetime64[D]"), country)
    if not columns:
        return np.zeros((len(times), 0), dtype=np.float32), ()
    return np.stack(list(columns.values()), axis=1).astype(np.float32), tuple(columns)


def _circle(name: str, share: np.ndarray) -> dict[str, np.ndarray]:
    # On a circle the end of a period lies beside its beginning.
    angle = 2 * np.pi * share
    return {f"{name}_sin": np.sin(angle), f"{name}_cos": np.cos(angle)}


def _holidays(days: np.ndarray, country: str | None) -> dict[str, np.ndarray]:
    if not country:
        raise ValueError(
            "holidays need a country: pass country='US', or 'US-MN' with the state"
        )
    unique, place = np.unique(days, return_inverse=True)
    years = np.unique(unique.astype("datetime64[Y]").astype(int)) + 1970
    # The day after 31 December and the day before 1 January belong to others.
    span = tuple(range(int(years[0]) - 1, int(years[-1]) + 2)) if len(years) else ()
    dates = _holiday_dates(country, span)
    shifts = {"holiday": 0, "holiday_tomorrow": 1, "holiday_yesterday": -1}
    return {
        name: np.isin(unique + np.timedelta64(shift, "D"), dates)[place]
        for name, shift in shifts.items()
    }


@functools.lru_cache(maxsize=32)
def _holiday_dates(country: str, years: tuple[int, ...]) -> np.ndarray:
    import holidays

    code, _, subdivision = country.partition("-")
    try:
        dates = holidays.country_holidays(code, subdiv=subdivision or None, years=years)
    except (NotImplementedError, KeyError) as error:
        raise ValueError(
            f"holidays of {country!r} are not known: expected an ISO 3166 code such "
            "as 'US', 'DE' or 'US-MN'; see holidays.list_supported_countries()"
        ) from error
    return np.array(sorted(dates), dtype="datetime64[D]")
