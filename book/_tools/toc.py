"""The pages of the book, read from _toc.yml, and its public address."""

import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]

# in the set-up cells, as long as the address is a placeholder
HINT = "  # take out example.invalid/, name owner"


def pages(root=ROOT):
    """The files of the table of contents, in order, as paths."""
    toc = yaml.safe_load((root / "_toc.yml").read_text())
    names = [toc["root"]]

    def collect(entry):
        if "file" in entry:
            names.append(entry["file"])
        for key in ("parts", "chapters", "sections", "subtrees", "entries"):
            for below in entry.get(key, ()):
                collect(below)

    collect(toc)
    return [_with_suffix(root / name) for name in names]


def notebooks(root=ROOT):
    """The chapters that are notebooks, in order."""
    return [page for page in pages(root) if page.suffix == ".ipynb"]


def address(root=ROOT):
    """The public address: a dictionary with repository, colab and tag."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    repository, colab = (project["urls"][key] for key in ("Repository", "Colab"))
    return {
        "repository": repository,
        "colab": colab,
        "tag": f"v{project['version']}",
    }


def placeholder(at):
    """Whether an address is still the placeholder."""
    return "example.invalid" in at["repository"] + at["colab"]


def badge(path, root=ROOT):
    """The line with the Colab badge, up to the minutes, of one notebook."""
    at, path = address(root), path.resolve().relative_to(root.resolve())
    up = "../" * (len(path.parts) - 2)  # from book/part/chapter.ipynb to book
    return (
        f"[![Open in Colab]({up}_static/colab.svg)]"
        f"({at['colab']}/blob/{at['tag']}/{path.as_posix()})"
    )


def setup_lines(root=ROOT):
    """The lines that the set-up cell of every chapter has, in this order."""
    at = address(root)
    return [
        "import sys",
        'if "google.colab" in sys.modules:' + (HINT if placeholder(at) else ""),
        '    light = "lightning pytorch-lightning lightning-utilities torchmetrics"',
        f'    book = "git+{at["repository"]}@{at["tag"]}"',
        "    %pip install -q --no-deps pooch {light} {book}",
        "import lstmbook as lb",
        "lb.seed_everything(0)",
        'print("device", lb.device(), "scale", lb.pick(quick="quick", paper="paper"))',
    ]


def _with_suffix(path):
    for suffix in (".ipynb", ".md"):
        if (file := path.with_name(path.name + suffix)).exists():
            return file
    return path.with_name(path.name + ".md")


if __name__ == "__main__":
    print(*(path.relative_to(ROOT) for path in notebooks()), sep="\n")
