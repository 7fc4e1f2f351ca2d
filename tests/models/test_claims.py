import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from lstmbook import claims, notebook

ROOT = Path(__file__).parents[2]

EXAMPLE = """
own-range:
  {chapter: a/b, statement: A mean in a range, source: null, unit: MSE,
   quick: [0, 0.1], paper: [0, 0.01], seeds: 3}
every-seed:
  {chapter: a/b, statement: Every seed in the range, source: null,
   quick: [0, 0.1], seeds: 2, all: true}
verified: {chapter: a/b, statement: Read there, source: k, published: 10,
  verified: true, equal: 10}
other-than-paper: {chapter: a/b, statement: Not what they say, source: k,
  published: 300_000, verified: true, rounded_to: 100_000, equal: 571_288}
rounded: {chapter: a/b, statement: As rounded, source: k, published: 3_800_000,
  verified: true, rounded_to: 100_000, equal: 3_787_562}
unverified: {chapter: a/b, statement: From memory, source: k, published: 98.2,
  quick: [98, null]}
"""


@pytest.fixture
def example(tmp_path, monkeypatch):
    """Claims of our own in place of the book's, and the rows that are shown."""
    monkeypatch.delenv("LSTMBOOK_SCALE", raising=False)
    path = tmp_path / "claims.yml"
    path.write_text(EXAMPLE, encoding="utf-8")
    loaded = claims.load_claims(path)
    monkeypatch.setattr(claims, "load_claims", lambda: loaded)
    rows = []
    show = claims._show
    monkeypatch.setattr(claims, "_show", lambda r: (rows.extend(r), show(r)))
    return rows


def load(tmp_path, text):
    path = tmp_path / "claims.yml"
    path.write_text(text, encoding="utf-8")
    return claims.load_claims(path)


# --- the book's file


def test_the_file_is_valid_and_holds_the_claims_of_the_first_chapters():
    listed = claims.load_claims()
    assert {"bptt-equals-rtrl", "lstm-equals-torch", "adding-t100-rnn"} <= set(listed)
    for id, claim in listed.items():
        assert re.fullmatch(r"[a-z0-9-]+", id)
        assert re.fullmatch(r"[a-z]+/[a-z-]+", claim.chapter)


def test_every_source_is_in_the_bibliography():
    keys = set(
        re.findall(r"^@\w+\{([^,]+),", (ROOT / "book/references.bib").read_text(), re.M)
    )
    sources = {claim.source for claim in claims.load_claims().values()} - {None}
    assert sources <= keys


# --- what the file may say


@pytest.mark.parametrize(
    ("entry", "error"),
    [
        ("{statement: s, source: k, quick: [0, 1]}", "missing field chapter"),
        ("{chapter: c, statement: s, quick: [0, 1]}", "missing field source"),
        ("{chapter: c, statement: s, source: k, quick: [0, 1], qick: 1}", "qick"),
        ("{chapter: c, statement: s, source: k}", "needs quick"),
        ("{chapter: c, statement: s, source: k, quick: [1, 0]}", "reversed"),
        ("{chapter: c, statement: s, source: k, quick: [null, null]}", "everything"),
        ("{chapter: c, statement: s, source: k, quick: [0, 1e-3]}", "no number"),
        ("{chapter: c, statement: s, source: k, quick: 1}", "is \\[low, high\\]"),
        ("{chapter: c, statement: s, source: k, equal: 1, quick: [0, 1]}", "either"),
        (
            "{chapter: c, statement: s, source: null, equal: 1, published: 1}",
            "needs its source",
        ),
        (
            "{chapter: c, statement: s, source: k, equal: 1, verified: true}",
            "no published number",
        ),
        ("{chapter: c, statement: s, source: k, equal: 1, equal: 2}", "stands twice"),
    ],
)
def test_a_wrong_entry_is_refused_with_its_reason(tmp_path, entry, error):
    with pytest.raises(ValueError, match=error):
        load(tmp_path, f"x: {entry}")


def test_an_id_that_stands_twice_is_refused(tmp_path):
    entry = "{chapter: c, statement: s, source: k, equal: 1}"
    with pytest.raises(ValueError, match="x stands twice"):
        load(tmp_path, f"x: {entry}\nx: {entry}")


# --- the check


def test_inside_passes_and_outside_raises(example):
    claims.check("own-range", [0.05, 0.1, 0.12])
    with pytest.raises(claims.ClaimError, match=r"own-range: 0.2 .* MSE is outside"):
        claims.check("own-range", [0.2, 0.2, 0.2])
    assert [row["verdict"] for row in example] == ["holds", "FAILS"]


def test_paper_scale_has_its_own_range(example, monkeypatch):
    monkeypatch.setenv("LSTMBOOK_SCALE", "paper")
    with pytest.raises(claims.ClaimError, match="at paper scale"):
        claims.check("own-range", [0.05, 0.05, 0.05])


def test_the_mean_is_held_against_the_range_unless_the_claim_says_all(example):
    claims.check("own-range", [0.0, 0.0, 0.2])
    with pytest.raises(claims.ClaimError):
        claims.check("every-seed", [0.0, 0.2])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_never_passes(example, value):
    with pytest.raises(claims.ClaimError):
        claims.check("own-range", value, seeds=3)
    json.dumps(example[0], allow_nan=False)


def test_an_unverified_number_is_shown_as_such_and_gates_nothing(example, capsys):
    claims.check("unverified", 50.0)
    assert "(unverified)" in capsys.readouterr().out
    assert example[0]["verdict"] == "differs"
    assert example[0]["passed"] is False and not example[0]["gates"]


def test_the_verdict_tells_agreement_with_the_paper_from_the_check(example):
    claims.check_all(
        {"verified": 10, "rounded": 3_787_562, "other-than-paper": 571_288}
    )
    assert [row["verdict"] for row in example] == [
        "holds",
        "holds",
        "differs from the paper",
    ]
    with pytest.raises(claims.ClaimError):
        claims.check("other-than-paper", 300_000)


def test_check_all_shows_every_row_before_it_raises(example):
    with pytest.raises(claims.ClaimError, match=r"verified: 9.*rounded: 1"):
        claims.check_all({"verified": 9, "other-than-paper": 571_288, "rounded": 1})
    assert len(example) == 3


def test_too_few_seeds_are_refused(example):
    for value in (0.05, [0.05, 0.05]):
        with pytest.raises(ValueError, match="over 3 seeds"):
            claims.check("own-range", value)
    claims.check("own-range", 0.05, seeds=3)
    with pytest.raises(ValueError, match="2 values and seeds=3"):
        claims.check("own-range", [0.05, 0.05], seeds=3)


@pytest.mark.parametrize(
    "value", [np.array([0.01] * 3), torch.full((3,), 0.01), (0.01,) * 3]
)
def test_arrays_and_tensors_are_values_too(example, value):
    claims.check("own-range", value)
    assert example[0]["seeds"] == 3 and isinstance(example[0]["ours"], float)


@pytest.mark.parametrize("value", ["0.01", None, [], ["a"], np.zeros((3, 2))])
def test_what_is_no_number_is_refused(example, value):
    with pytest.raises(ValueError, match="a number or one number a seed"):
        claims.check("own-range", value)


def test_an_unknown_id_names_near_ones(example):
    with pytest.raises(KeyError, match="near it: verified"):
        claims.check("verifed", 1)


def test_not_run_says_why_and_passes_nothing(example, capsys):
    claims.not_run("own-range", "no network")
    assert example[0]["verdict"] == "not run" and example[0]["passed"] is None
    assert "not run: no network" in capsys.readouterr().out


def test_the_row_reads_as_text_within_79_columns(example, capsys):
    claims.check("own-range", [0.0041, 0.0031, 0.0052])
    text = capsys.readouterr().out
    assert re.search(r"claim +paper +ours +verdict", text)
    assert "0.004 ± 0.001" in text and "3 seeds" in text and "holds" in text
    assert max(map(len, text.splitlines())) <= 79


def test_the_notebook_stores_a_row_that_can_be_read_back(
    example, tmp_path, monkeypatch
):
    outputs = []

    def show_record(data, metadata=None):
        outputs.append({"output_type": "display_data", "data": data})
        return True

    monkeypatch.setattr(claims, "show_record", show_record)
    claims.check("verified", 10)
    claims.check_all({"rounded": 3_787_562, "unverified": 98.5})
    path = tmp_path / "x.ipynb"
    path.write_text(json.dumps({"cells": [{"outputs": outputs}, {}]}))
    stored = claims.stored_rows(path)
    assert [row["id"] for row in stored] == ["verified", "rounded", "unverified"]
    assert "text/plain" in outputs[0]["data"]


def test_importing_claims_does_not_import_yaml():
    code = "import sys, lstmbook.claims; assert 'yaml' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


# --- numbers for the prose


@pytest.fixture
def glued(monkeypatch):
    records = {}

    def show_record(data, metadata=None):
        ((mime, text),) = data.items()
        book = metadata["scrapbook"]
        assert mime == book["mime_prefix"] + "text/plain"
        records[book["name"]] = text
        return True

    monkeypatch.setattr(notebook, "show_record", show_record)
    return records


def test_glue_prints_each_number_and_stores_it_in_full(glued, capsys):
    notebook.glue(loss=1 / 6, count=142_667_776, text=notebook.spread([1, 2, 3]))
    assert glued == {
        "loss": "0.16666666666666666",
        "count": "142667776",
        "text": "'2.000 ± 1.000'",
    }
    assert capsys.readouterr().out == (
        "loss  = 0.1667\ncount = 142667776\ntext  = 2.000 ± 1.000\n"
    )


@pytest.mark.parametrize(
    "value", [np.float64(0.5), np.array([0.5]), torch.tensor(0.5), torch.ones(1) / 2]
)
def test_glue_takes_one_number_of_numpy_or_torch(glued, value):
    notebook.glue(x=value)
    assert glued == {"x": "0.5"}


@pytest.mark.parametrize("value", [[0.1, 0.2], None, np.zeros(2), torch.zeros(2)])
def test_glue_refuses_what_is_not_one_value(glued, value):
    with pytest.raises(TypeError, match="spread"):
        notebook.glue(x=value)


def test_spread_of_one_value_has_no_spread():
    assert notebook.spread([0.5], digits=2) == "0.50"
    with pytest.raises(ValueError, match="at least one"):
        notebook.spread([])


def test_glue_and_check_work_in_a_notebook(tmp_path):
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    cell = nbformat.v4.new_code_cell(
        "import lstmbook as lb\nlb.glue(x=0.25)\nlb.check('bptt-equals-rtrl', 1e-15)"
    )
    book = nbformat.v4.new_notebook(cells=[cell])
    nbclient.NotebookClient(
        book,
        kernel_name="python3",
        resources={"metadata": {"path": str(ROOT)}},
    ).execute()
    stream, glue, row = cell.outputs
    assert stream.text == "x = 0.25\n"
    assert glue.metadata.scrapbook.name == "x"
    path = tmp_path / "x.ipynb"
    nbformat.write(book, path)
    assert [r["id"] for r in claims.stored_rows(path)] == ["bptt-equals-rtrl"]
    assert row.data["text/plain"].startswith("claim ")
