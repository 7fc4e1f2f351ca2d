"""Write book/end/scoreboard.md from what the notebooks store: `make scoreboard`."""

from collections import Counter

import nbformat
import toc
from checks import claim_rows

from lstmbook.claims import load_claims

PAGE = toc.ROOT / "book/end/scoreboard.md"

INTRO = """\
<!-- Written by `make scoreboard` from the stored outputs of the chapters. -->

(scoreboard)=
# Scoreboard

Everything that this book says it reproduces, with what came out of the run whose
outputs these pages show. {summary}

*Paper* is the published number, where there is one. *Ours* is the mean over the seeds
and its standard deviation. *Accepted* is the range that was fixed beforehand; a value
outside it stops the notebook and the tests. [How claims work](#how-claims-work) has
the meaning of each verdict. Runs are at the quick size unless a row says otherwise.
"""


def page(claims, rows, titles):
    """The text of the page.

    claims: {id: Claim}; rows: {id: stored row}; titles: {chapter: its title}
    """
    verdicts = [rows[id]["verdict"] if id in rows else "not run" for id in claims]
    counted = ", ".join(f"{n} *{v}*" for v, n in Counter(verdicts).most_common())
    parts = [INTRO.format(summary=f"{len(claims)} claims: {counted}.")]
    for chapter in dict.fromkeys(claim.chapter for claim in claims.values()):
        own = [claim for claim in claims.values() if claim.chapter == chapter]
        title = titles.get(chapter)
        parts += [
            f"## [{title}](../{chapter}.ipynb)" if title else f"## {chapter}",
            "| claim | paper | ours | accepted | verdict |\n|---|---|---|---|---|\n"
            + "\n".join(_line(claim, rows.get(claim.id)) for claim in own),
        ]
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def _line(claim, row):
    unit = f" ({claim.unit})" if claim.unit else ""
    source = f" {{cite:p}}`{claim.source}`" if claim.source else ""
    cells = [claim.statement + unit + source, "–", "–", "–", "not run"]
    if row:
        ours = row["ours_text"]
        if (row["seeds"] or 0) > 1:
            ours += f", {row['seeds']} seeds"
        if row["scale"] != "quick":
            ours += f", {row['scale']} size"
        cells[1:] = [row["paper_text"], ours, row["accepted"], row["verdict"]]
    cells = [" ".join(cell.split()).replace("|", r"\|") for cell in cells]
    return f"| {' | '.join(cells)} |"


def current():
    """The page as it should be now."""
    rows, titles = {}, {}
    for path in toc.notebooks():
        notebook = nbformat.read(path, as_version=4)
        chapter = path.relative_to(toc.ROOT / "book").with_suffix("").as_posix()
        heading = next(x for x in notebook.cells[0].source.split("\n") if x[:2] == "# ")
        titles[chapter] = heading[2:].strip()
        rows |= {row["id"]: row for row in claim_rows(notebook)}
    return page(load_claims(), rows, titles)


if __name__ == "__main__":
    PAGE.write_text(current(), encoding="utf-8")
    print(f"wrote {PAGE.relative_to(toc.ROOT)}")
