"""What holds for every chapter and for the book as a whole."""

import re
import subprocess
import sys

import checks
import nbformat
import pytest
import toc

from lstmbook.claims import load_claims

CHAPTERS = toc.notebooks()


@pytest.mark.parametrize("check", checks.NOTEBOOK_CHECKS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_chapter(path, check):
    notebook = nbformat.read(path, as_version=4)
    assert check(notebook, path) == []


@pytest.fixture(scope="module")
def books():
    return {path: nbformat.read(path, as_version=4) for path in CHAPTERS}


def test_table_of_contents_and_folders_agree():
    assert checks.table_of_contents() == []


def test_names_of_figures_and_exercises_are_unique(books):
    assert checks.unique_names(books) == []


@pytest.mark.skipif(not CHAPTERS, reason="no chapter is in the table of contents yet")
def test_every_claim_is_checked_by_its_chapter_and_no_other(books):
    assert checks.claims_are_checked_once(books, load_claims()) == []


def test_links_and_pictures_of_the_other_pages():
    assert checks.text_pages() == []


def test_scoreboard_is_current():
    import scoreboard

    assert scoreboard.PAGE.read_text(encoding="utf-8") == scoreboard.current(), (
        "run: make scoreboard"
    )


def test_table_of_chapters_in_the_readme_is_current():
    import readme

    assert readme.FILE.read_text(encoding="utf-8") == readme.current(), (
        "run: make scoreboard"
    )


def test_public_address_is_the_same_everywhere():
    assert checks.public_address() == []


def test_no_other_address_of_a_repository_in_the_files():
    at = toc.address()
    files = [*toc.ROOT.glob("*.md"), *(p for p in toc.pages() if p.exists())]
    for file in files:
        text = file.read_text(encoding="utf-8")
        for found in re.findall(r"https://example\.invalid/[^\s)\"'\\@`]*", text):
            assert found.startswith((at["repository"], at["colab"])), (file, found)


def test_notebooks_are_listed_for_nbval_by_the_folder_book():
    """`make test` gives nbval the folder, so it must hold the chapters and no more."""
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "--nbval-lax", "--collect-only", "-q", "book"],
        cwd=toc.ROOT,
        capture_output=True,
        text=True,
    )
    collected = set(re.findall(r"^(book/\S+\.ipynb)", run.stdout, re.MULTILINE))
    assert collected == {p.relative_to(toc.ROOT).as_posix() for p in CHAPTERS}
