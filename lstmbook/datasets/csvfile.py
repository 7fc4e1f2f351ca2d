"""Read columns of a CSV file, and say exactly what is wrong with it.

Nothing is guessed, filled in or replaced: a value that is not a number, a date
that cannot be read or a row out of order raises, with its row in the file (the
header is row 1).
"""

import csv
import difflib
import io
from pathlib import Path

import numpy as np

MISSING = ("", "na", "n/a", "nan", "null", "none")  # in any case: a missing number


def read_columns(
    source: str | Path | bytes,
    time: str,
    columns: tuple[str, ...],
    *,
    time_format: str | None = None,
    encoding: str = "utf-8",
    separator: str = ",",
) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """Times datetime64[s] [T], {column: float64 [T]}, and row numbers int [T].

    source:      the path of a file, or its bytes
    time:        the column of times; ISO 8601 (2018-05-08 14:00), or time_format
    columns:     the columns of numbers; empty, NA, NaN and null are missing
    time_format: of other dates, as for strptime: "%d.%m.%Y %H:%M"
    """
    where = "the file" if isinstance(source, bytes) else str(source)
    text = _text(source, where, encoding)
    names = next(csv.reader(io.StringIO(text), delimiter=separator), [])
    for column in (time, *columns):
        _check_column(where, names, column, separator)
    table = _table(text, where, names, separator)
    if len(table) == 0:
        raise ValueError(f"{where} has a header and no rows")
    rows = table.index.to_numpy()
    times = _times(where, time, table[time], time_format)
    numbers = {column: _numbers(where, column, table[column]) for column in columns}
    return times, numbers, rows


def _text(source, where: str, encoding: str) -> str:
    if not isinstance(source, bytes):
        path = Path(source).expanduser()
        if not path.is_file():
            raise FileNotFoundError(
                f"there is no file {path.absolute()}; the folder to start from is "
                f"{Path.cwd()}"
            )
        source = path.read_bytes()
    if not source.strip():
        raise ValueError(f"{where} is empty; a header and rows are expected")
    try:
        # Some programs begin UTF-8 files with a mark, which belongs to no name.
        return source.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeDecodeError as error:
        row = source.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{where}, row {row}: byte 0x{source[error.start]:02x} is not "
            f"{encoding}. Pass the encoding of the file, for example "
            "encoding='cp1252' (Windows), 'latin-1' or 'utf-16'"
        ) from error


def _check_column(where: str, names: list[str], column: str, separator: str):
    if names.count(column) == 1:
        return
    if column in names:
        raise ValueError(f"{where} has several columns called {column!r}; rename them")
    hint = ""
    near = difflib.get_close_matches(column, names, n=3, cutoff=0.5)
    if near:
        hint = f". Did you mean {' or '.join(map(repr, near))}?"
    elif len(names) == 1 and (other := [s for s in ";\t|," if s in names[0]]):
        hint = f". Is the separator {other[0]!r}? Pass separator={other[0]!r}"
    raise ValueError(f"{where} has no column {column!r}; it has: {names}{hint}")


def _table(text: str, where: str, names: list[str], separator: str):
    import pandas as pd

    try:
        table = pd.read_csv(
            io.StringIO(text),
            sep=separator,
            dtype=str,
            keep_default_na=False,
            skip_blank_lines=False,  # so that rows can be counted
            index_col=False,
        )
    except pd.errors.ParserError as error:
        raise ValueError(
            f"{where}: rows differ in their number of columns, the header has "
            f"{len(names)} ({str(error).strip()})"
        ) from error
    table = table.fillna("")  # rows that end early
    table.index = np.arange(2, len(table) + 2)
    return table[(table != "").any(axis=1)]  # without blank lines


def _times(where: str, time: str, column, time_format: str | None) -> np.ndarray:
    import pandas as pd

    cells = column.str.strip()
    # One by one only where something is wrong, to find the row.
    read = {"format": time_format or "ISO8601"}
    try:
        times = pd.to_datetime(cells, errors="coerce", **read)
    except ValueError as error:
        raise ValueError(
            f"{where}: the column {time!r} cannot be read as dates: {error}"
        ) from error
    if not hasattr(times, "dt") or times.dt.tz is not None:
        raise ValueError(
            f"{where}: the dates in {time!r} carry a UTC offset "
            f"(row {cells.index[0]}: {cells.iloc[0]!r}). A series keeps plain times: "
            "convert them to UTC, or to one local time, and write them without offset"
        )
    if times.isna().any():
        row = times.index[times.isna()][0]
        raise ValueError(
            f"{where}, row {row}: {cells[row]!r} in {time!r} is not a date"
            + (
                f" of the form {time_format!r}"
                if time_format
                else ". Write it as 2018-05-08 14:00, or pass its form, for "
                "example time_format='%d.%m.%Y %H:%M'"
            )
        )
    seconds = times.to_numpy().astype("datetime64[s]")
    if (seconds != times.to_numpy()).any():
        raise ValueError(
            f"{where}: {time!r} has fractions of a second; whole seconds are expected"
        )
    return seconds


def _numbers(where: str, name: str, column) -> np.ndarray:
    import pandas as pd

    cells = column.str.strip()
    missing = cells.str.lower().isin(MISSING)
    numbers = pd.to_numeric(cells.where(~missing), errors="coerce")
    text = numbers.isna() & ~missing
    if text.any():
        row = cells.index[text][0]
        value = cells[row]
        comma = value.replace(",", "").lstrip("-").isdigit() and "," in value
        raise ValueError(
            f"{where}, row {row}: {value!r} in {name!r} is not a number"
            + (". Write decimals with a point" if comma else "")
            + f". Missing values are empty, or one of {', '.join(MISSING[1:])}"
        )
    values = numbers.to_numpy(dtype=np.float64)
    if np.isinf(values).any():
        row = cells.index[np.isinf(values)][0]
        raise ValueError(f"{where}, row {row}: {cells[row]!r} in {name!r} is infinite")
    known = values[~np.isnan(values)]
    if len(known) == 0:
        raise ValueError(f"{where}: every value of {name!r} is missing")
    if (known == known[0]).all():
        raise ValueError(
            f"{where}: {name!r} is {known[0]:g} in every row; a constant carries "
            "nothing that a model could use. Leave the column out"
        )
    return values
