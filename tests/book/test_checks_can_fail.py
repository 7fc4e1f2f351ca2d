"""Each check of the book, shown to be green on a good chapter and red on a bad one."""

import copy
import json

import checks
import execute
import nbformat
import pytest
import toc
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from lstmbook.claims import MIME, Claim

ROW = {
    "id": "a-claim",
    "statement": "It holds",
    "source": None,
    "published": None,
    "verified": False,
    "gates": True,
    "unit": "",
    "ours": 0.5,
    "values": [0.5],
    "seeds": 1,
    "scale": "quick",
    "verdict": "holds",
}
FIGURE = {
    "figure": {"name": "fig-a", "caption": "What to conclude."},
    "image": {"alt": "A line that rises."},
}
CLAIM = Claim(
    id="a-claim",
    chapter="part/chapter",
    statement="It holds",
    source=None,
    quick=(0, 1),
    paper=(0, 1),
)


@pytest.fixture
def root(tmp_path):
    """A book with one good chapter."""
    (tmp_path / "book/part").mkdir(parents=True)
    for name in ("pyproject.toml", "_config.yml", "CITATION.cff"):
        (tmp_path / name).write_text((toc.ROOT / name).read_text())
    (tmp_path / "book/_static").mkdir()
    (tmp_path / "book/_static/colab.svg").touch()
    (tmp_path / "book/index.md").write_text("# A book\n\n[A](part/chapter.ipynb)\n")
    (tmp_path / "_toc.yml").write_text(
        "format: jb-book\nroot: book/index\nchapters:\n- file: book/part/chapter\n"
    )
    path = tmp_path / "book/part/chapter.ipynb"
    nbformat.write(chapter(path, tmp_path), path)
    return tmp_path


def chapter(path, root):
    printed = new_output("stream", name="stdout", text="4\n")
    picture = new_output("display_data", {"image/png": "aGk=", "text/plain": "<Fig>"})
    badge = f"{toc.badge(path, root)} · 1 min on 2 CPU cores · 20 s on a GPU"
    cells = [
        new_markdown_cell(f"# Title\n\n{badge}\n\nObjectives.\n\n## Section"),
        new_code_cell("\n".join(toc.setup_lines(root)), metadata={"tags": ["setup"]}),
        new_code_cell("plot()", metadata={"mystnb": FIGURE}, outputs=[picture]),
        new_code_cell("check()", outputs=[new_output("display_data", {MIME: ROW})]),
        new_code_cell(f"# {checks.MARK}\nprint(2 + 2)", outputs=[printed]),
    ]
    for n in (1, 2, 3):
        cells += [
            new_markdown_cell(f"```{{exercise-start}} Task\n:label: ex-{n}\n```\nDo."),
            new_markdown_cell("```{exercise-end}\n```"),
            new_markdown_cell(
                f"```{{solution-start}} ex-{n}\n:class: dropdown\n```\n"
                "So. [Up](../index.md)"
            ),
            new_code_cell(f"# {checks.MARK}\nprint(2 + 2)", outputs=[printed]),
            new_markdown_cell("```{solution-end}\n```"),
        ]
    for count, cell in enumerate((c for c in cells if c.cell_type == "code"), 1):
        cell.execution_count = count
    return copy.deepcopy(new_notebook(cells=cells, metadata=execute.METADATA))


def test_a_good_chapter_has_no_faults(root):
    path = root / "book/part/chapter.ipynb"
    assert checks.notebook_faults(path, root) == []
    books = {path: nbformat.read(path, as_version=4)}
    assert checks.table_of_contents(root) == []
    assert checks.unique_names(books) == []
    assert checks.claims_are_checked_once(books, {"a-claim": CLAIM}, root) == []
    assert checks.text_pages(root) == []
    assert checks.public_address(root) == []


def change(cell, **fields):
    def fault(notebook):
        for key, value in fields.items():
            notebook.cells[cell][key] = value

    return fault


def edit(cell, old, new):
    def fault(notebook):
        assert old in notebook.cells[cell].source
        notebook.cells[cell].source = notebook.cells[cell].source.replace(old, new)

    return fault


def metadata(cell, **fields):
    def fault(notebook):
        notebook.cells[cell].metadata = nbformat.from_dict(fields)

    return fault


def output(kind, *args, **fields):
    return new_output(kind, *args, **fields)


def notebook_metadata(**fields):
    def fault(notebook):
        notebook.metadata = nbformat.from_dict(execute.METADATA | fields)

    return fault


def says(text):
    return change(4, outputs=[output("stream", name="stdout", text=text)])


def with_row(**fields):
    return change(3, outputs=[output("display_data", {MIME: ROW | fields})])


ERROR = output("error", ename="E", evalue="e", traceback=[])
PNG = output("display_data", {"image/png": "aGk="})
MARKED_ROW = [output("display_data", {MIME: ROW})]
NO_ALT = FIGURE | {"image": {"alt": ""}}

FAULTS = [
    ("execution", "not 1..7", change(4, execution_count=7)),
    ("execution", "not 1..7", change(4, execution_count=None)),
    ("execution", "stores an error", change(4, outputs=[ERROR])),
    (
        "execution",
        "stores stderr",
        change(4, outputs=[output("stream", name="stderr", text="hm")]),
    ),
    ("stored", "bytes; at most", says("x" * 400_000)),
    ("stored", "run make execute", notebook_metadata(widgets={})),
    ("stored", "run make execute", notebook_metadata(jupytext={})),
    ("stored", "not python3", notebook_metadata(kernelspec={"name": "mine"})),
    (
        "stored",
        "image/svg",
        change(4, outputs=[output("display_data", {"image/svg+xml": "<svg/>"})]),
    ),
    (
        "stored",
        "text/html",
        change(4, outputs=[output("display_data", {"text/html": "<b>4</b>"})]),
    ),
    ("machine_traces", "/home/me/x.py", says("in /home/me/x.py line 3")),
    ("machine_traces", "site-packages", says("lib/site-packages/torch")),
    ("machine_traces", "10.0.0.7", says("at 10.0.0.7")),
    ("machine_traces", "0x7f3a", says("<object at 0x7f3a12bc>")),
    ("code_size", "21 lines", change(4, source="\n" * 20 + "x")),
    ("code_size", "80 columns", change(4, source="x" * 80)),
    ("code_size", "is empty", change(4, source=" ")),
    ("figures", "without caption", metadata(2, mystnb={"figure": {"name": "f"}})),
    ("figures", "without alt text", metadata(2, mystnb=NO_ALT)),
    ("figures", "without name", metadata(2)),
    ("figures", "2 pictures", change(2, outputs=[PNG, PNG])),
    ("figures", "a picture and a value", change(2, outputs=[PNG, *MARKED_ROW])),
    ("figures", "no alt text", edit(0, "Objectives.", "![](a.png)")),
    ("figures", "no alt text", edit(0, "Objectives.", '<img src="a.png">')),
    ("figures", "no alt text", edit(0, "Objectives.", "```{figure} a.png\n```")),
    ("claims", "no claim, and no reason", change(3, outputs=[])),
    ("claims", "'FAILS'", with_row(verdict="FAILS")),
    ("claims", "'not run'", with_row(verdict="not run")),
    ("compared_outputs", "prints nothing", change(4, outputs=[])),
    ("compared_outputs", "records 0.5", change(4, outputs=MARKED_ROW)),
    ("exercises", "has no label", edit(5, ":label: ex-1", ":nothing: x")),
    ("exercises", "has no solution", edit(7, "solution-start", "note-start")),
    ("exercises", "no exercise", edit(7, "ex-1", "ex-9")),
    ("exercises", "does not fold", edit(7, "dropdown", "tip")),
    ("head", "'# Title'", edit(0, "# Title", "Title")),
    ("head", "second block", edit(0, "chapter.ipynb)", "other.ipynb)")),
    ("head", "second block", edit(0, "on a GPU", "somewhere")),
    ("head", "set-up cell differs", edit(1, "--no-deps ", "")),
    ("head", "more than set up", edit(1, "import sys", "import sys\nx = 1")),
    ("head", "at most ten", edit(1, "import sys", "import sys" + "\nimport re" * 3)),
    ("head", "no tag 'setup'", metadata(1)),
    ("headings", "level 3 follows", edit(0, "## Section", "### Section")),
    ("headings", "2 headings of level 1", edit(0, "## Section", "# Section")),
    ("links", "no such file", edit(7, "../index.md", "../other.md")),
    ("links", "not a page", edit(7, "../index.md", "../stray.md")),
]


@pytest.mark.parametrize(
    ("check", "words", "fault"), FAULTS, ids=[f"{a}: {b}" for a, b, _ in FAULTS]
)
def test_a_fault_is_found(root, check, words, fault):
    path = root / "book/part/chapter.ipynb"
    (root / "book/stray.md").write_text("# Stray\n")
    notebook = nbformat.read(path, as_version=4)
    fault(notebook)
    path.write_text(json.dumps(notebook))
    more = (root,) if check in ("head", "links") else ()
    found = getattr(checks, check)(notebook, path, *more)
    assert len(found) >= 1 and words in " ".join(found)


def test_too_few_or_too_many_compared_cells_are_found(root):
    path = root / "book/part/chapter.ipynb"
    notebook = nbformat.read(path, as_version=4)
    few = copy.deepcopy(notebook)
    for cell in few.cells[5:]:
        cell.source = cell.source.replace(checks.MARK, "")
    assert "1 cells carry" in checks.compared_outputs(few, path)[0]
    notebook.cells += notebook.cells[4:5] * 2
    assert "6 cells carry" in checks.compared_outputs(notebook, path)[0]


def test_too_few_exercises_and_none_that_runs_are_found(root):
    path = root / "book/part/chapter.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells = [c for c in notebook.cells[:12] if c.cell_type == "markdown"]
    found = " ".join(checks.exercises(notebook, path))
    assert "2 exercises; three to six" in found and "no solution is executed" in found


def test_a_reason_stands_for_a_claim(root):
    path = root / "book/part/chapter.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[3].outputs = []
    notebook.metadata["lstmbook"] = {"no_claims": "a chapter of definitions"}
    assert checks.claims(notebook, path) == []


def test_what_nobody_has_verified_may_be_left_unrun(root):
    path = root / "book/part/chapter.ipynb"
    notebook = nbformat.read(path, as_version=4)
    row = ROW | {"verdict": "not run", "gates": False}
    notebook.cells[3].outputs = [new_output("display_data", {MIME: row})]
    assert checks.claims(notebook, path) == []


def test_a_stray_a_missing_and_a_repeated_page_are_found(root):
    listed = root / "_toc.yml"
    (root / "book/part/stray.ipynb").write_text("{}")
    (fault,) = checks.table_of_contents(root)
    assert fault == "book/part/stray.ipynb is not in _toc.yml"
    (root / "book/part/stray.ipynb").unlink()
    listed.write_text(
        listed.read_text() + "- file: book/part/chapter\n- file: book/no\n"
    )
    assert checks.table_of_contents(root) == [
        "book/no.md is not there",
        "book/part/chapter.ipynb is listed 2 times",
    ]


def test_a_name_used_twice_is_found(root):
    path = root / "book/part/chapter.ipynb"
    notebook = nbformat.read(path, as_version=4)
    found = " ".join(checks.unique_names({path: notebook, root / "b": notebook}))
    assert "fig-a is used 2 times" in found and "ex-1 is used 2 times" in found


def test_faults_of_claims_are_found(root):
    from dataclasses import replace

    path = root / "book/part/chapter.ipynb"
    books = {path: nbformat.read(path, as_version=4)}

    def found(listed):
        return " ".join(checks.claims_are_checked_once(books, listed, root))

    def found_with(**changed):
        return found({"a-claim": replace(CLAIM, **changed)})

    assert "claims.yml lacks" in found({})
    assert "checked in: nowhere" in found({"a-claim": CLAIM, "other": CLAIM})
    assert "belongs to part/x" in found_with(chapter="part/x")
    assert "statement has changed" in found_with(statement="No")
    assert "out of range now" in found_with(quick=(0.6, 1))
    books[root / "book/part/twice.ipynb"] = books[path]
    assert "part/chapter, part/twice" in found_with()


def test_a_link_into_nothing_on_a_page_is_found(root):
    (root / "book/index.md").write_text("# A\n\n[b](part/no.md) ![](x.png)\n")
    found = " ".join(checks.text_pages(root))
    assert "link part/no.md: no such file" in found and "x.png has no alt text" in found


PLAYER = """<audio controls aria-label="A chord">
<source src="../_static/a.mp3" type="audio/mpeg">
<source src="../../_static/a.mp3" type="audio/mpeg">
</audio>"""


@pytest.mark.parametrize(
    "text, size, fault",
    [
        (PLAYER, 150_000, None),
        (PLAYER, 150_001, "more than 150,000 bytes"),
        (PLAYER, None, "no such file"),
        (PLAYER.replace("A chord", ""), 9, "has no label"),
        (PLAYER.replace("../../", "../"), 9, "needs a second source"),
    ],
)
def test_a_player_has_a_label_and_a_small_clip(root, text, size, fault):
    path = root / "book/part/chapter.ipynb"
    if size is not None:
        (root / "book/_static/a.mp3").write_bytes(bytes(size))
    found = checks.clips_in_text(text, path)
    assert len(found) == bool(fault) and (fault or "") in "".join(found)


def test_another_address_is_found(root):
    project = root / "pyproject.toml"
    project.write_text(project.read_text().replace("/owner/lstm-book", "/me/mine", 1))
    found = " ".join(checks.public_address(root))
    assert "_config.yml: repository: url" in found
    assert "CITATION.cff" in found
    assert "two repositories" in found


def test_the_address_script_mends_them_all(root):
    import address

    path = root / "book/part/chapter.ipynb"
    project = root / "pyproject.toml"
    real = project.read_text().replace("example.invalid/", "").replace("owner", "me")
    project.write_text(real.replace('version = "0.1.0"', 'version = "0.2.0"'))
    assert checks.public_address(root) and checks.notebook_faults(path, root)
    address.main(root)
    assert checks.public_address(root) == []
    assert checks.notebook_faults(path, root) == []
    assert "github.com/github/me/lstm-book/blob/v0.2.0" not in path.read_text()
    assert "https://colab.research.google.com/github/me/lstm-book" in path.read_text()
