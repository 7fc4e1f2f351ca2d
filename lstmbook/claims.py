"""What the book says it reproduces, and the check.

`claims.yml` lists every claim with its source, the published number and the range
that a run must fall into. A chapter calls

    check("lstm-equals-torch", difference)

which shows the row *claim, paper, ours, verdict* and raises ClaimError when the
value is outside. The scoreboard page is made from the stored rows.
"""

from __future__ import annotations

import difflib
import math
import statistics
import textwrap
from dataclasses import dataclass, fields
from pathlib import Path

from .notebook import show_record
from .scale import SCALES, scale

#: Mime type of the record that `check` stores beside the text it shows.
MIME = "application/vnd.lstmbook.claim+json"

FILE = Path(__file__).with_name("claims.yml")


class ClaimError(AssertionError):
    """A measured value lies outside the range that its claim accepts."""


@dataclass(frozen=True)
class Claim:
    """One line of claims.yml; the file explains the fields."""

    id: str
    chapter: str
    statement: str
    source: str | None
    published: int | float | None = None
    verified: bool = False
    rounded_to: int | float = 0
    unit: str = ""
    quick: tuple = (None, None)
    paper: tuple = (None, None)
    seeds: int = 1
    all: bool = False

    @property
    def gates(self):
        """Whether a value outside the range raises."""
        return self.published is None or self.verified

    def contains(self, value, at):
        """Whether a number lies in the range for `at`; NaN and infinity do not."""
        low, high = getattr(self, at)
        return (
            math.isfinite(value)
            and (low is None or value >= low)
            and (high is None or value <= high)
        )

    def agrees_with_paper(self, at):
        """Whether the published number, as it was rounded, is in the range."""
        low, high = getattr(self, at)
        half = self.rounded_to / 2
        return (low is None or self.published + half >= low) and (
            high is None or self.published - half <= high
        )


def load_claims(path=FILE):
    """Read and validate claims.yml.

    Returns {id: Claim}, in the order of the file.
    Raises ValueError, naming the claim, for an unknown or missing field, a
    published number without a source, a verified mark without a number, a range
    with its ends reversed, or a claim that accepts everything.
    """
    import yaml

    listed = yaml.load(Path(path).read_text(encoding="utf-8"), _loader(yaml))
    return {name: _claim(name, entry) for name, entry in listed.items()}


def check(id, value, *, seeds=None):
    """Show the row of a claim and raise ClaimError when the value is outside.

    id:    a name in claims.yml
    value: a number; or one number a seed, and then their mean is held against the
           range (each of them, where the claim says `all: true`)
    seeds: how many seeds a single number is the mean of
    The notebook stores the row beside the text; `stored_rows` reads it back.
    Raises KeyError for an unknown id, with names that are near; ValueError when
    the claim asks for more seeds.
    """
    row = _measured(_find(id), value, seeds)
    _show([row])
    _raise_failed([row])


def check_all(values):
    """`check` for several claims at once, in one table.

    values: {id: value}
    Shows every row, then raises one ClaimError for all that are outside.
    """
    rows = [_measured(_find(id), value) for id, value in values.items()]
    _show(rows)
    _raise_failed(rows)


def not_run(id, reason):
    """Show the row of a claim that could not be checked here, and why.

    For a missing data set or GPU, for instance.
    """
    _show([_row(_find(id)) | {"reason": str(reason)}])


def stored_rows(path):
    """The rows that an executed notebook stores, in order.

    path: an .ipynb file
    Returns a list of dictionaries: id, chapter, statement, source, published,
    verified, gates, unit, scale, accepted, ours (mean), sd, seeds, values, passed
    (None when not run), verdict, reason (not run only), and paper_text and
    ours_text as shown.
    """
    import json

    notebook = json.loads(Path(path).read_text(encoding="utf-8"))
    rows = []
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            record = output.get("data", {}).get(MIME, [])
            rows += record if isinstance(record, list) else [record]
    return rows


# --- from a value to a row -------------------------------------------------------


def _find(id):
    claims = load_claims()
    if id not in claims:
        near = difflib.get_close_matches(id, claims, n=3, cutoff=0.4)
        hint = f"; near it: {', '.join(near)}" if near else ""
        raise KeyError(f"no claim {id!r} in claims.yml{hint}")
    return claims[id]


def _row(claim):
    """The row of a claim that has not been run."""
    at = scale()
    return {
        "id": claim.id,
        "chapter": claim.chapter,
        "statement": claim.statement,
        "source": claim.source,
        "published": claim.published,
        "verified": claim.verified,
        "gates": claim.gates,
        "unit": claim.unit,
        "scale": at,
        "accepted": _range_text(*getattr(claim, at)),
        "paper_text": _paper_text(claim),
        "ours": None,
        "sd": None,
        "seeds": None,
        "values": [],
        "ours_text": "–",
        "passed": None,
        "verdict": "not run",
    }


def _measured(claim, value, seeds=None):
    """The row of a claim with what was measured."""
    at = scale()
    values, n = _numbers(claim, value, seeds)
    mean = values[0] if len(values) == 1 else statistics.fmean(values)
    sd = statistics.stdev(values) if len(values) > 1 else None
    passed = all(claim.contains(v, at) for v in (values if claim.all else [mean]))
    # JSON has no NaN; the text says it
    json_safe = [v if math.isfinite(v) else None for v in (*values, mean)]
    return _row(claim) | {
        "ours": json_safe[-1],
        "sd": sd if sd is not None and math.isfinite(sd) else None,
        "seeds": n,
        "values": json_safe[:-1],
        "ours_text": _number(mean) if sd is None else _mean_sd(mean, sd),
        "passed": passed,
        "verdict": _verdict(claim, passed, at),
    }


def _numbers(claim, value, seeds):
    """The values as Python numbers, and how many seeds they stand for."""
    if hasattr(value, "tolist"):  # NumPy and torch
        value = value.tolist()
    alone = isinstance(value, int | float)
    values = list(value) if isinstance(value, list | tuple) else [value]
    n = len(values) if seeds is None else seeds
    if not values or any(not isinstance(v, int | float) for v in values):
        raise ValueError(f"{claim.id}: a number or one number a seed, got {value!r}")
    if not alone and n != len(values):
        raise ValueError(f"{claim.id}: {len(values)} values and seeds={seeds}")
    if n < claim.seeds:
        raise ValueError(
            f"{claim.id}: the claim is made over {claim.seeds} seeds, got {n}; "
            "pass the value of every seed, or seeds= with a mean"
        )
    return values, n


def _verdict(claim, passed, at):
    if not claim.gates:
        return "agrees" if passed else "differs"
    if not passed:
        return "FAILS"
    if claim.published is not None and not claim.agrees_with_paper(at):
        return "differs from the paper"
    return "holds"


def _raise_failed(rows):
    failed = [row for row in rows if row["passed"] is False and row["gates"]]
    if failed:
        raise ClaimError(
            "; ".join(
                f"{row['id']}: {row['ours_text']} {row['unit']}".rstrip()
                + f" is outside the accepted range ({row['accepted']}) "
                f"at {row['scale']} scale"
                for row in failed
            )
        )


# --- text --------------------------------------------------------------------------

_COLUMNS = {"claim": 31, "paper": 12, "ours": 16, "verdict": 14}


def _show(rows):
    record = rows[0] if len(rows) == 1 else rows
    text = format_rows(rows)
    if not show_record({"text/plain": text, MIME: record}):
        print(text)


def format_rows(rows):
    """Rows as a text table of at most 79 columns."""
    rule = {name: "-" * width for name, width in _COLUMNS.items()}
    lines = [_line({name: name for name in _COLUMNS}), _line(rule)]
    for row in rows:
        unit = f" ({row['unit']})" if row["unit"] else ""
        over = f"\n{row['seeds']} seeds" if (row["seeds"] or 0) > 1 else ""
        # an exact number that was met need not be said twice
        met = row["passed"] and row["accepted"].startswith("=")
        cells = {
            "claim": row["statement"] + unit,
            "paper": row["paper_text"],
            "ours": row["ours_text"] + over,
            "verdict": row["verdict"] + ("" if met else f"\n({row['accepted']})"),
        }
        wrapped = {k: _wrap(cells[k], width) for k, width in _COLUMNS.items()}
        for at in range(max(map(len, wrapped.values()))):
            lines.append(
                _line({k: v[at] if at < len(v) else "" for k, v in wrapped.items()})
            )
        if "reason" in row:
            lines += textwrap.wrap(f"not run: {row['reason']}", 79)
    return "\n".join(lines)


def _line(cells):
    return "  ".join(f"{cells[k]:{w}}" for k, w in _COLUMNS.items()).rstrip()


def _wrap(text, width):
    return [
        part
        for line in text.split("\n")
        for part in textwrap.wrap(line, width, break_on_hyphens=False) or [""]
    ]


def _paper_text(claim):
    if claim.published is None:
        return "–"
    mark = "" if claim.verified else "\n(unverified)"
    return _number(claim.published) + mark


def _range_text(low, high):
    if low == high:
        return f"= {_number(low)}"
    if low is None:
        return f"≤ {_number(high)}"
    if high is None:
        return f"≥ {_number(low)}"
    return f"{_number(low)} to {_number(high)}"


def _number(value):
    if isinstance(value, int) or (float(value).is_integer() and abs(value) >= 1000):
        return f"{int(value):,}"
    return f"{value:.4g}"


def _mean_sd(mean, sd):
    """The mean to the first digit of its spread: 0.0041 ± 0.0008."""
    if not (math.isfinite(mean) and math.isfinite(sd)) or sd == 0:
        return f"{mean:.4g} ± {sd:.4g}"
    if not 1e-4 <= abs(mean) < 1e6 or sd < 1e-7:
        return f"{mean:.2g} ± {sd:.1g}"
    digits = max(0, -math.floor(math.log10(sd)))
    return f"{mean:,.{digits}f} ± {sd:,.{digits}f}"


# --- the file ----------------------------------------------------------------------

_NEEDED = ("chapter", "statement", "source")
_KNOWN = ({field.name for field in fields(Claim)} | {"equal"}) - {"id"}


def _claim(name, entry):
    def wrong(why):
        return ValueError(f"claims.yml, {name}: {why}")

    if not isinstance(entry, dict):
        raise wrong(f"expected fields, got {entry!r}")
    if unknown := sorted(set(entry) - _KNOWN):
        raise wrong(f"unknown field {', '.join(unknown)}; known: {sorted(_KNOWN)}")
    if missing := [key for key in _NEEDED if key not in entry]:
        raise wrong(f"missing field {', '.join(missing)}")
    if entry.get("published") is not None and not entry["source"]:
        raise wrong("a published number needs its source")
    if entry.get("verified") and entry.get("published") is None:
        raise wrong("verified: true, but no published number")
    if entry.get("seeds", 1) < 1:
        raise wrong("seeds must be at least 1")
    entry = dict(entry)
    if "equal" in entry:
        if {"quick", "paper"} & set(entry):
            raise wrong("either equal or quick and paper")
        entry["quick"] = [entry.pop("equal")] * 2
    elif "quick" not in entry:
        raise wrong("needs quick: [low, high] or equal: number")
    entry.setdefault("paper", entry["quick"])
    for at in SCALES:
        entry[at] = _range(entry[at], wrong)
    return Claim(id=name, **entry)


def _range(ends, wrong):
    if not isinstance(ends, list) or len(ends) != 2:
        raise wrong(f"a range is [low, high], got {ends!r}")
    for end in ends:
        if end is not None and not isinstance(end, int | float):
            raise wrong(f"{end!r} is no number (YAML wants 1.0e-10, with the point)")
    low, high = ends
    if low is None and high is None:
        raise wrong("the range accepts everything; give it one end")
    if None not in ends and low > high:
        raise wrong(f"the range is reversed: {ends}")
    return low, high


def _loader(yaml):
    """yaml.SafeLoader that refuses the same id, or the same field, twice."""

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node, deep=False):
            keys = [key.value for key, _ in node.value]
            if twice := sorted({key for key in keys if keys.count(key) > 1}):
                raise ValueError(f"claims.yml: {', '.join(twice)} stands twice")
            return super().construct_mapping(node, deep)

    return Loader
