"""What holds for every chapter: `python book/_tools/checks.py [notebook ...]`.

Each check of a notebook takes (notebook, path) and returns a list of faults in words.
`tests/book` runs them over the book, and over small faulty notebooks to show that
each of them can fail.
"""

import re
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import nbformat
import toc
import yaml

from lstmbook.claims import MIME, load_claims

MAX_BYTES, MAX_LINES, MAX_COLUMNS = 400_000, 20, 79
MAX_CLIP = 150_000
GLUE = "application/papermill.record/"
STORED = ("text/plain", "image/png", MIME, GLUE)
MARK = "NBVAL_CHECK_OUTPUT"

# addresses and paths of the machine that ran the notebook
TRACES = re.compile(
    r"(?<![\w.])/(?:work|root|home|Users|tmp|opt|usr|var|content|private)/\S*"
    r"|\S*site-packages\S*|file://\S*|[A-Z]:\\\S*|localhost\S*"
    r"|(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.])|\b0x[0-9a-f]{6,}"
)
DIRECTIVE = re.compile(
    r"^(?P<fence>`{3,}|:{3,})\{(?P<name>[\w-]+)\}[ \t]*(?P<argument>.*)\n"
    r"(?P<options>(?::[\w-]+:.*\n)*)",
    re.MULTILINE,
)


# --- one notebook ------------------------------------------------------------------


def execution(notebook, path):
    """Executed once, from top to bottom, without an error and without noise."""
    faults = []
    cells = list(_code(notebook))
    counts = [cell.execution_count for _, cell in cells]
    if counts != list(range(1, len(cells) + 1)):
        faults.append(f"execution counts are {counts}, not 1..{len(cells)}")
    for at, cell in cells:
        for output in cell.outputs:
            if output.output_type == "error":
                faults.append(f"{at}: stores an error, {output.ename}")
            if output.get("name") == "stderr":
                faults.append(f"{at}: stores stderr, {output.text[:60]!r}")
    return faults


def stored(notebook, path):
    """Small, text and PNG only, no widgets, a plain Python kernel."""
    faults = []
    if (size := path.stat().st_size) > MAX_BYTES:
        faults.append(f"{size:,} bytes; at most {MAX_BYTES:,}")
    if unknown := set(notebook.metadata) - {"kernelspec", "language_info", "lstmbook"}:
        faults.append(f"metadata {', '.join(sorted(unknown))}: run make execute")
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        faults.append("the kernel is not python3: run make execute")
    for at, cell in _code(notebook):
        kinds = {kind for output in cell.outputs for kind in output.get("data", ())}
        if wrong := sorted(kind for kind in kinds if not kind.startswith(STORED)):
            faults.append(f"{at}: stores {', '.join(wrong)}; only text and PNG")
    return faults


def machine_traces(notebook, path):
    """No path or address of the machine in what is stored."""
    return [
        f"{at}: stores {found[0]!r}"
        for at, cell in _code(notebook)
        for output in cell.outputs
        for found in TRACES.finditer(_text_of(output))
    ]


def code_size(notebook, path):
    """Cells of at most 20 lines of at most 79 columns."""
    faults = []
    for at, cell in _code(notebook):
        lines = cell.source.splitlines()
        if len(lines) > MAX_LINES:
            faults.append(f"{at}: {len(lines)} lines; at most {MAX_LINES}")
        faults += [
            f"{at}: {len(line)} columns, at most {MAX_COLUMNS}: {line.strip()[:40]}"
            for line in lines
            if len(line) > MAX_COLUMNS
        ]
        if not cell.source.strip():
            faults.append(f"{at}: is empty")
    return faults


def figures(notebook, path):
    """A caption, a name and alt text for every picture."""
    faults = []
    for at, cell in _code(notebook):
        pictures = sum("image/png" in output.get("data", ()) for output in cell.outputs)
        if pictures > 1:
            faults.append(f"{at}: {pictures} pictures under one caption")
        if pictures and sum("data" in output for output in cell.outputs) > pictures:
            faults.append(
                f"{at}: shows a picture and a value, which would both get the caption; "
                "end the last line with ; and glue or check in a cell of their own"
            )
        if pictures:
            meta = cell.metadata.get("mystnb", {})
            figure, image = meta.get("figure", {}), meta.get("image", {})
            for what, text in (
                ("name", figure.get("name")),
                ("caption", figure.get("caption")),
                ("alt text", image.get("alt")),
            ):
                if not str(text or "").strip():
                    faults.append(f"{at}: a picture without {what}")
    for at, text in _prose(notebook):
        faults += [f"{at}: {fault}" for fault in images_in_text(text)]
    return faults


def claims(notebook, path):
    """A row of claims, or the reason why there is none; none that fails.

    What was not run may be said of a published number that nobody has verified.
    """
    rows = claim_rows(notebook)
    faults = [
        f"claim {row['id']}: stored as {row['verdict']!r}"
        for row in rows
        if row["verdict"] == "FAILS" or (row["verdict"] == "not run" and row["gates"])
    ]
    if not rows and not notebook.metadata.get("lstmbook", {}).get("no_claims"):
        faults.append('no claim, and no reason in the metadata, "lstmbook.no_claims"')
    return faults


def compared_outputs(notebook, path):
    """Two to five cells that nbval compares, and only what holds on any machine."""
    faults = []
    marked = [
        (at, cell)
        for at, cell in _code(notebook)
        if re.search(rf"^#\s*{MARK}\b", cell.source, re.MULTILINE)
    ]
    if not 2 <= len(marked) <= 5:
        faults.append(f"{len(marked)} cells carry # {MARK}; two to five should")
    for at, cell in marked:
        if not cell.outputs:
            faults.append(f"{at}: carries # {MARK} and prints nothing")
        for output in cell.outputs:
            records = [
                str(value)
                for kind, value in output.get("data", {}).items()
                if kind.startswith((GLUE, MIME))
            ]
            if found := re.search(r"\d+\.\d*[1-9]\d*|\de-\d+", " ".join(records)):
                faults.append(
                    f"{at}: carries # {MARK} and records {found[0]}, which another "
                    "machine will not meet; glue and check in a cell of their own"
                )
    return faults


def exercises(notebook, path):
    """Three to six, each with a label and a solution that folds; one of them runs."""
    faults, asked, solved = [], [], set()
    inside = runs = False
    for cell in notebook.cells:
        if cell.cell_type == "code":
            runs |= inside
            continue
        for name, argument, options in directives(cell.source):
            if name in ("exercise", "exercise-start"):
                asked.append(options.get("label"))
                if not options.get("label"):
                    faults.append(f"exercise {argument!r} has no label")
            if name in ("solution", "solution-start"):
                solved.add(argument)
                if "dropdown" not in options.get("class", ""):
                    faults.append(f"the solution of {argument} does not fold")
            inside = {"solution-start": True, "solution-end": False}.get(name, inside)
    faults += [f"exercise {x} has no solution" for x in asked if x and x not in solved]
    faults += [f"a solution of {x}, no exercise" for x in sorted(solved - set(asked))]
    if not 3 <= len(asked) <= 6:
        faults.append(f"{len(asked)} exercises; three to six")
    if asked and not runs:
        faults.append("no solution is executed")
    return faults


def head(notebook, path, root=toc.ROOT):
    """Title, the line with badge and minutes, the set-up cell."""
    faults = []
    first = notebook.cells[0]
    title, line = ([*_paragraphs(first.source), "", ""])[:2]
    if first.cell_type != "markdown" or not re.fullmatch(r"(\(.*\)=\n)?# .+", title):
        faults.append("the first cell does not begin with '# Title'")
    badge = toc.badge(path, root)
    minutes = r" · [^·]+ on 2 CPU cores · [^·]+ on a GPU"
    if not re.fullmatch(re.escape(badge) + minutes, line.replace("\n", " ")):
        faults.append(
            f"the second block is not '{badge} · N min on 2 CPU cores · N min on a GPU'"
        )
    setup = next((cell for _, cell in _code(notebook)), None)
    if setup is None or "setup" not in setup.metadata.get("tags", ()):
        return [*faults, "the first code cell has no tag 'setup'"]
    lines = setup.source.splitlines()
    wanted = toc.setup_lines(root)
    if [line for line in lines if line in wanted] != wanted:
        faults.append("the set-up cell differs from book/_tools/toc.py, setup_lines")
    extra = [line for line in lines if line not in wanted]
    if any(not re.match(r"(import|from) ", line) for line in extra):
        faults.append("the set-up cell does more than set up and import")
    if len(lines) > 10:
        faults.append(f"the set-up cell has {len(lines)} lines; at most ten")
    return faults


def headings(notebook, path):
    """One title, and no level left out."""
    levels = [
        len(found[1])
        for _, text in _prose(notebook)
        for found in re.finditer(r"^(#+) \S", _without_code(text), re.MULTILINE)
    ]
    faults = []
    if levels.count(1) != 1 or levels[:1] != [1]:
        faults.append(f"{levels.count(1)} headings of level 1; one, at the start")
    for above, below in pairwise(levels):
        if below > above + 1:
            faults.append(f"a heading of level {below} follows one of level {above}")
    return faults


def links(notebook, path, root=toc.ROOT):
    """Relative links lead to pages of the book or to files that are there."""
    return [
        f"{at}: {fault}"
        for at, text in _prose(notebook)
        for fault in (*links_in_text(text, path, root), *clips_in_text(text, path))
    ]


NOTEBOOK_CHECKS = (
    execution,
    stored,
    machine_traces,
    code_size,
    figures,
    claims,
    compared_outputs,
    exercises,
    head,
    headings,
    links,
)


# --- the book as a whole -----------------------------------------------------------


def table_of_contents(root=toc.ROOT):
    """Every page of it is there, and every notebook stands in it once."""
    pages = toc.pages(root)
    faults = [f"{_short(p, root)} is not there" for p in pages if not p.exists()]
    faults += [f"{_short(p, root)} is listed {n} times" for p, n in _twice(pages)]
    for file in sorted((root / "book").rglob("*.ipynb")):
        if file not in pages and ".ipynb_checkpoints" not in file.parts:
            faults.append(f"{_short(file, root)} is not in _toc.yml")
    return faults


def unique_names(books):
    """Figures and exercises are named once in the whole book.

    books: {path: notebook}
    """
    names = []
    for notebook in books.values():
        for _, cell in _code(notebook):
            names.append(cell.metadata.get("mystnb", {}).get("figure", {}).get("name"))
        for _, text in _prose(notebook):
            names += [options.get("label") for _, _, options in directives(text)]
    return [f"the name {name} is used {n} times" for name, n in _twice(names) if name]


def claims_are_checked_once(books, listed, root=toc.ROOT):
    """Every claim of claims.yml in its chapter and nowhere else, as it now reads.

    books: {path: notebook}; listed: {id: Claim}, as from load_claims
    """
    faults, seen = [], {}
    for path, notebook in books.items():
        chapter = _short(path, root / "book").removesuffix(".ipynb")
        for row in claim_rows(notebook):
            seen.setdefault(row["id"], set()).add(chapter)
            claim = listed.get(row["id"])
            if claim is None:
                faults.append(f"{chapter} checks {row['id']}, which claims.yml lacks")
                continue
            for key in ("statement", "source", "published", "verified", "unit"):
                if row[key] != getattr(claim, key):
                    faults.append(f"{row['id']}: {key} has changed since the run")
            values = row["values"] if claim.all else [row["ours"]]
            if claim.gates and not all(
                value is not None and claim.contains(value, row["scale"])
                for value in values
            ):
                faults.append(f"{row['id']}: the stored value is out of range now")
    for id, claim in listed.items():
        where = seen.get(id, set())
        if where != {claim.chapter}:
            found = ", ".join(sorted(where)) or "nowhere"
            faults.append(f"{id} belongs to {claim.chapter} and is checked in: {found}")
    return faults


def text_pages(root=toc.ROOT):
    """Links and alt texts of the pages that are not notebooks."""
    faults = []
    for page in toc.pages(root):
        if page.suffix == ".md" and page.exists():
            text = page.read_text(encoding="utf-8")
            found = [*links_in_text(text, page, root), *images_in_text(text)]
            faults += [f"{_short(page, root)}: {fault}" for fault in found]
    return faults


def public_address(root=toc.ROOT):
    """_config.yml, CITATION.cff and environment say what [project.urls] says."""
    at, faults = toc.address(root), []
    config = yaml.safe_load((root / "_config.yml").read_text())
    colab = at["colab"].split("/github/")[0]
    wanted = {
        ("repository", "url"): at["repository"],
        ("repository", "branch"): at["tag"],
        ("launch_buttons", "colab_url"): colab,
    }
    for (group, key), value in wanted.items():
        if config[group][key] != value:
            faults.append(f"_config.yml: {group}: {key} is not {value}")
    citation = yaml.safe_load((root / "CITATION.cff").read_text())
    if citation["repository-code"] != at["repository"]:
        faults.append(f"CITATION.cff: repository-code is not {at['repository']}")
    if f"v{citation['version']}" != at["tag"]:
        faults.append(f"CITATION.cff: the version is not {at['tag'][1:]}")
    if at["repository"].split("github.com/")[-1] != at["colab"].split("/github/")[-1]:
        faults.append("[project.urls]: Repository and Colab name two repositories")
    return faults


def book_faults(root=toc.ROOT):
    """All that concerns more than one notebook."""
    books = {path: nbformat.read(path, as_version=4) for path in toc.notebooks(root)}
    return [
        *table_of_contents(root),
        *unique_names(books),
        *claims_are_checked_once(books, load_claims(), root),
        *text_pages(root),
        *public_address(root),
    ]


# --- parts -------------------------------------------------------------------------


def claim_rows(notebook):
    """The rows that `check` stored in a notebook."""
    rows = []
    for _, cell in _code(notebook):
        for output in cell.outputs:
            record = output.get("data", {}).get(MIME, [])
            rows += record if isinstance(record, list) else [record]
    return rows


def directives(text):
    """(name, argument, {option: value}) of the MyST directives of a text."""
    for found in DIRECTIVE.finditer(text + "\n"):
        options = dict(re.findall(r"^:([\w-]+):[ \t]*(.*)$", found["options"], re.M))
        yield found["name"], found["argument"].strip(), options


def images_in_text(text):
    """Pictures of a text that say nothing to someone who cannot see them."""
    faults = [
        f"picture {target} has no alt text"
        for alt, target in re.findall(r"!\[([^\]]*)\]\(([^)]*)\)", _without_code(text))
        if not alt.strip()
    ]
    faults += [
        f"{tag[:40]} has no alt text"
        for tag in re.findall(r"<img[^>]*>", _without_code(text))
        if not re.search(r'alt="[^"]+"', tag)
    ]
    faults += [
        f"{name} {argument} has no alt text"
        for name, argument, options in directives(text)
        if name in ("image", "figure") and not options.get("alt")
    ]
    return faults


def clips_in_text(text, path):
    """Players of a text without a label, or whose clip is missing or too large.

    A player names its clip twice: as seen from the notebook, and from the page that
    is built of it, which lies a folder deeper below `_static`.
    """
    faults = []
    players = re.findall(r"<audio.*?</audio>", _without_code(text), re.DOTALL)
    for player in players:
        targets = re.findall(r'<source src="([^"]+)"', player)
        clip = targets[0] if targets else "without a source"
        if not re.search(r'aria-label="[^"]+"', player):
            faults.append(f"player {clip} has no label")
        if targets[1:] != [f"../{clip}"]:
            faults.append(f"player {clip} needs a second source, ../{clip}")
        file = path.parent / clip
        if not file.is_file():
            faults.append(f"player {clip}: no such file")
        elif file.stat().st_size > MAX_CLIP:
            faults.append(f"player {clip}: more than {MAX_CLIP:,} bytes")
    return faults


def links_in_text(text, path, root):
    """Relative links of a text that lead nowhere."""
    pages, faults = toc.pages(root), []
    for target in re.findall(r"\]\(([^)\s]+)\)", _without_code(text)):
        if re.match(r"[a-z]+:|#", target):
            continue
        file = (path.parent / target.split("#")[0]).resolve()
        if not file.exists():
            faults.append(f"link {target}: no such file")
        elif file.suffix in (".md", ".ipynb") and file not in pages:
            faults.append(f"link {target}: not a page of the book")
    return faults


def _code(notebook):
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            yield f"cell {number}", cell


def _prose(notebook):
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            yield f"cell {number}", cell.source


def _text_of(output):
    data = output.get("data", {})
    return output.get("text", "") + str(data.get("text/plain", ""))


def _without_code(text):
    text = re.sub(r"^(`{3,})(?!\{).*?^\1`*$", "", text, flags=re.M | re.S)
    return re.sub(r"(?<!`)`[^`\n]+`(?!`)", "", text)


def _paragraphs(text):
    return [part.strip() for part in re.split(r"\n\s*\n", text) if part.strip()]


def _twice(names):
    return [(name, n) for name, n in Counter(names).items() if n > 1]


def _short(path, root):
    return path.relative_to(root).as_posix()


def notebook_faults(path, root=toc.ROOT):
    """All that concerns one notebook."""
    notebook = nbformat.read(path, as_version=4)
    faults = []
    for check in NOTEBOOK_CHECKS:
        more = (root,) if check in (head, links) else ()
        faults += check(notebook, path, *more)
    return faults


def main(names):
    paths = [Path(name).resolve() for name in names] or toc.notebooks()
    faults = [
        f"{path.relative_to(toc.ROOT)}: {fault}"
        for path in paths
        for fault in notebook_faults(path)
    ]
    if not names:
        faults += book_faults()
    print(*faults, f"{len(paths)} notebooks, {len(faults)} faults", sep="\n")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main(sys.argv[1:])
