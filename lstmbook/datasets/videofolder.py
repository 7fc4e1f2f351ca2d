"""A folder of films with a table of captions: the way to the reader's own videos.

clips/a.mp4, clips/b.mp4, ...        captions.csv:  video,caption
                                                    a.mp4,A cat moves left.
films = VideoFolder("clips", "captions.csv", VideoReader(frames=16, size=32))
model.fit(films, workers=2)          # frames are read while the model computes
"""

import csv
import warnings
from pathlib import Path

from torch import Tensor
from torch.utils.data import Dataset

from .cache import DataError
from .videofiles import VideoError, VideoReader


class WithCaptions(Dataset):
    """Pairs of something to watch and a caption; a film may have several.

    rows: [(name of the film, caption), ...], at least one
    lengths: steps of each
    """

    def __init__(self, rows, lengths):
        self.names, self.captions = map(list, zip(*rows, strict=True))
        self.lengths = list(lengths)

    def __len__(self) -> int:
        return len(self.names)

    def references(self) -> dict[str, list[str]]:
        """{name of a film: its captions}, to judge what a model writes by."""
        found: dict[str, list[str]] = {}
        for name, caption in zip(self.names, self.captions, strict=True):
            found.setdefault(name, []).append(caption)
        return found


class VideoFolder(WithCaptions):
    """Films of a folder with their captions: pairs (frames, caption), read when due.

    folder: where the files are
    table: a CSV file with the columns `video`, the name of a file in the folder, and
        `caption`; a film may have several rows. Further columns are left alone
    reader: a `VideoReader`
    split: take the rows that have this in the column `split`
    skip: leave out films that cannot be used, with all their captions; a warning says
        how many, and `skipped` lists them. Else the first one raises
    check: "decode" reads every film once, now; "times" looks at its frames' times only,
        which is quick, and a film that is broken inside raises when its turn comes

    films: the paths, one for each row; captions: the texts; names: the videos
    skipped: [(name, why), ...]; uncaptioned: names of files that no row mentions
    """

    def __init__(
        self, folder: str | Path, table: str | Path, reader: VideoReader | None = None,
        *, split: str | None = None, skip: bool = False, check: str = "decode",
    ):  # fmt: skip
        if check not in ("decode", "times"):
            raise ValueError(f"check={check!r}: choose 'decode' or 'times'")
        self.folder, self.reader = Path(folder), reader or VideoReader()
        if not self.folder.is_dir():
            raise FileNotFoundError(f"there is no folder {self.folder}")
        rows = read_captions(table, split)
        look = self.reader.encode if check == "decode" else self.reader.times
        self.skipped = usable(
            {name: self.folder / name for name, _ in rows}, look, skip
        )
        out = {name for name, _ in self.skipped}
        rows = [(n, c) for n, c in rows if n not in out]
        if not rows:
            raise VideoError(f"{table}: none of its films can be used")
        super().__init__(rows, [self.reader.frames] * len(rows))
        self.films = [self.folder / name for name in self.names]
        named = {(self.folder / n).resolve() for n in [*self.names, *out]}
        self.uncaptioned = sorted(
            p.name
            for p in self.folder.iterdir()
            if p.is_file() and p.resolve() not in named | {Path(table).resolve()}
        )

    def __getitem__(self, k: int) -> tuple[Tensor, str]:
        return self.reader.encode(self.films[k]), self.captions[k]


def read_captions(table: str | Path, split: str | None = None) -> list[tuple[str, str]]:
    """[(video, caption), ...] of a CSV file with these columns.

    Raises `DataError`, with the line, where one is missing or leads out of the folder.
    """
    table = Path(table)
    if not table.is_file():
        raise FileNotFoundError(f"there is no file {table}")
    try:
        lines = table.read_text(encoding="utf-8-sig").splitlines(keepends=True)
    except UnicodeDecodeError as error:
        raise DataError(f"{table} is not text in UTF-8: {error}") from error
    reader = csv.DictReader(lines)
    columns = ["video", "caption"] + ["split"] * (split is not None)
    if lacking := [c for c in columns if c not in (reader.fieldnames or ())]:
        raise DataError(
            f"{table} has the columns {reader.fieldnames}; {', '.join(lacking)} "
            "is missing"
        )
    rows, splits = [], set()
    for row in reader:
        name, caption = (row["video"] or "").strip(), (row["caption"] or "").strip()
        if not name or not caption:
            raise DataError(
                f"{table}, line {reader.line_num}: "
                f"{'the video' if not name else f'the caption of {name}'} is missing"
            )
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise DataError(
                f"{table}, line {reader.line_num}: {name} leads out of the folder"
            )
        if split is not None:
            splits.add(row["split"])
            if row["split"] != split:
                continue
        rows.append((name, caption))
    if not rows:
        known = f"; its splits are {sorted(splits)}" if splits else ""
        raise DataError(f"{table} has no rows{known}")
    return rows


def usable(paths: dict[str, Path], look, skip: bool) -> list[tuple[str, str]]:
    """Look at each file once; which cannot be used, as [(name, why), ...].

    look: function of a path that raises FileNotFoundError or DataError
    skip: go on after these, and warn; else the first is raised
    """
    skipped = []
    for name, path in paths.items():
        try:
            look(path)
        except (FileNotFoundError, DataError) as error:
            if not skip:
                raise
            skipped.append((name, str(error)))
    if skipped:
        warnings.warn(
            f"{len(skipped)} of {len(paths)} files are left out, with their captions. "
            f"The first: {skipped[0][1]}",
            stacklevel=3,
        )
    return skipped
