"""The gate itself: a notebook that fails turns the run of `make test` red."""

import os
import re
import subprocess
import sys

import execute
import nbformat
import pytest
import toc
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_notebook, new_output


def write(path, source, text):
    """A notebook of one cell, with `text` as what it is said to have printed."""
    printed = [new_output("stream", name="stdout", text=text)]
    cell = new_code_cell(source, outputs=printed, execution_count=1)
    nbformat.write(new_notebook(cells=[cell], metadata=execute.METADATA), path)
    return path


def nbval(*paths):
    """Run notebooks as the Makefile does. Returns the exit status and the output."""
    makefile = (toc.ROOT / "Makefile").read_text()
    (options,) = re.findall(r"^NBVAL\s*= (.*)$", makefile, re.MULTILINE)
    # this test may itself run in a worker
    outside = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *options.split(), *map(str, paths)],
        cwd=paths[0].parent,
        env=outside,
        capture_output=True,
        text=True,
    )
    return run.returncode, run.stdout


@pytest.fixture
def good(tmp_path):
    return write(tmp_path / "good.ipynb", "# NBVAL_CHECK_OUTPUT\nprint(4)", "4\n")


def test_a_good_notebook_is_green(good):
    status, text = nbval(good)
    assert status == 0 and "1 passed" in text


@pytest.mark.parametrize(
    ("source", "stored"),
    [
        ("raise ValueError('planted')", "4\n"),
        ("# NBVAL_CHECK_OUTPUT\nprint(5)", "4\n"),
        ("import lstmbook as lb\nlb.check('lstm-equals-torch', 1.0)", "4\n"),
    ],
    ids=["raises", "prints something else", "leaves the range of a claim"],
)
def test_a_planted_fault_turns_the_run_red(good, source, stored):
    bad = write(good.with_name("bad.ipynb"), source, stored)
    status, text = nbval(good, bad)
    assert status == 1 and "1 failed, 1 passed" in text


def test_the_commands_of_ci_stop_at_the_first_failure():
    script = (toc.ROOT / ".ci/run").read_text()
    assert "set -euo pipefail" in script
    assert "make test" in script and "-n -W --keep-going" in script
    for line in (toc.ROOT / "Makefile").read_text().splitlines():
        assert not re.match(r"\t-|\t@-", line), f"make would ignore a failure of {line}"
    assert "|| true" not in script


def test_execute_stores_text_and_nothing_volatile(tmp_path):
    source = (
        "import sys\nprint('here')\nprint('noise', file=sys.stderr)\n"
        "from IPython.display import HTML, display\ndisplay(HTML('<b>x</b>'))\n2 + 2"
    )
    path = write(tmp_path / "a.ipynb", source, "stale\n")
    stale = nbformat.read(path, as_version=4)
    stale.metadata["widgets"] = stale.metadata["jupytext"] = {}
    stale.metadata["lstmbook"] = {"no_claims": "a test"}
    stale.cells[0].metadata["execution"] = {"iopub.status.busy": "2020"}
    nbformat.write(stale, path)
    _, _, memory, stderr = execute.execute(path)
    once = path.read_text()
    notebook = nbformat.reads(once, as_version=4)
    (cell,) = notebook.cells
    assert stderr == "noise\n" and 0 < memory < 8
    assert set(notebook.metadata) == {"kernelspec", "language_info", "lstmbook"}
    assert cell.metadata == {} and cell.execution_count == 1
    assert [out.get("text") for out in cell.outputs[:1]] == ["here\n"]
    kinds = [list(out.data) for out in cell.outputs[1:]]
    assert kinds == [["text/plain"], ["text/plain"]]
    execute.execute(path)
    assert path.read_text() == once


def test_execute_leaves_a_notebook_that_raises_as_it_was(tmp_path):
    path = write(tmp_path / "a.ipynb", "1 / 0", "4\n")
    before = path.read_text()
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        execute.execute(path)
    assert path.read_text() == before
