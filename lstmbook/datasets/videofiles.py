"""Films in files: MP4 and whatever else FFmpeg reads, a folder of them with captions.

    reader = VideoReader(frames=16, size=32)
    reader.encode("mine.mp4")                       # float32 [16, 1, 32, 32]
    films = VideoFolder("clips", "captions.csv", reader)
    model.fit(films, workers=2)                     # read while the model computes

A file that is missing, empty, broken, too long or whose frames do not come at an even
rate is refused with its name, or left out and listed where that was asked for.
"""

import contextlib
import csv
import warnings
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from .cache import DataError


class VideoError(DataError):
    """A file of a film cannot be used; the message names it and says why."""


class VideoReader:
    """Frames of a film, spread evenly over its time.

    frames: how many; a film with fewer shows some of them twice
    size: pixels of a side. What is longer than wide, or wider than long, is squeezed
    colour: three channels, red, green and blue; else one, grey
    longest: seconds; a longer film is refused. None for no limit
    variable_rate: read films whose frames come at uneven times, too. Frames are taken
        by their times in any case: the one that is on the screen then

    Needs PyAV (the extra `video`). It can be the `source` of a captioner, which then
    takes paths and is saved with it.
    """

    def __init__(
        self, frames: int = 16, size: int = 32, *, colour: bool = False,
        longest: float | None = 60.0, variable_rate: bool = False,
    ):  # fmt: skip
        if min(frames, size) < 1 or (longest is not None and not longest > 0):
            raise ValueError(
                f"frames={frames}, size={size}, longest={longest}: give at least one "
                "frame, one pixel and more than no time"
            )
        self.frames, self.size, self.colour = frames, size, colour
        self.longest, self.variable_rate = longest, variable_rate

    def encode(self, film: str | Path | Tensor) -> Tensor:
        """Frames float32 [frames, channels, size, size], from 0 to 1.

        film: a path; frames [time, channels, height, width] come back as they are

        Raises FileNotFoundError, or `VideoError` for a file that cannot be used.
        """
        if isinstance(film, Tensor):
            return film
        path = Path(film)
        times = self.times(path)
        span = times[-1] - times[0]
        # Frame k stands for the k-th of as many equal parts: its middle.
        step = span / max(1, len(times) - 1)
        middles = [
            times[0] + (span + step) * (2 * k + 1) / (2 * self.frames)
            for k in range(self.frames)
        ]
        wanted = np.searchsorted([float(t) for t in times], [float(m) for m in middles])
        wanted = (wanted - 1).clip(0)
        pictures, kind = {}, "rgb24" if self.colour else "gray"
        needed, decoded = set(wanted.tolist()), 0
        with _opened(path) as container:
            for decoded, frame in enumerate(container.decode(video=0), 1):
                if frame.is_corrupt:
                    raise VideoError(f"{path} is broken at frame {decoded - 1}")
                if decoded - 1 in needed:
                    small = frame.reformat(
                        self.size, self.size, kind, interpolation="AREA"
                    )
                    pictures[decoded - 1] = small.to_ndarray()
        if decoded != len(times):
            raise VideoError(
                f"{path} is broken: it announces {len(times)} frames, and {decoded} "
                "can be decoded"
            )
        film = torch.from_numpy(np.stack([pictures[k] for k in wanted.tolist()]))
        film = film.movedim(3, 1) if self.colour else film.unsqueeze(1)
        return film.float() / 255

    def times(self, path: str | Path) -> list[Fraction]:
        """When each frame is shown, in seconds; nothing is decoded."""
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"there is no file {path}")
        if path.stat().st_size == 0:
            raise VideoError(f"{path} is empty: it has 0 bytes")
        with _opened(path) as container:
            if not container.streams.video:
                raise VideoError(f"{path} has no pictures: it holds no video stream")
            stream = container.streams.video[0]
            announced = stream.duration and stream.duration * stream.time_base
            self._check_length(path, announced or 0)
            times = []
            for packet in container.demux(stream):
                if packet.size == 0:  # the last, which only says that it is the last
                    continue
                if packet.pts is None:
                    raise VideoError(f"{path}: frame {len(times)} has no time")
                times.append(packet.pts * packet.time_base)
                # a file may announce less than it holds
                self._check_length(path, times[-1] - times[0])
        if not times:
            raise VideoError(f"{path} has no frames")
        times.sort()  # packets come in the order of decoding
        gaps = np.diff([float(t) for t in times])
        # Containers round times; half a frame's time is no rounding.
        uneven = len(gaps) and np.abs(gaps / np.median(gaps) - 1).max() > 0.5
        if uneven and not self.variable_rate:
            raise VideoError(
                f"{path} has a variable rate: from one frame to the next it takes "
                f"{gaps.min():.3f} to {gaps.max():.3f} s. Give it an even one (ffmpeg "
                "-i IN -r 25 OUT), or read it by time: variable_rate=True"
            )
        return times

    def _check_length(self, path, seconds) -> None:
        if self.longest is not None and seconds > self.longest:
            raise VideoError(
                f"{path} is too long: {float(seconds):.1f} s or more, at most "
                f"{self.longest:g} are read. Cut it, or allow more: longest=..."
            )

    def config(self) -> dict:
        """The arguments that make it again, for `lstmbook.save`."""
        return {
            "frames": self.frames,
            "size": self.size,
            "colour": self.colour,
            "longest": self.longest,
            "variable_rate": self.variable_rate,
        }


class VideoFolder(Dataset):
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
        self.names, self.captions = map(list, zip(*rows, strict=True))
        self.films = [self.folder / name for name in self.names]
        self.lengths = [self.reader.frames] * len(rows)
        named = {(self.folder / n).resolve() for n in [*self.names, *out]}
        self.uncaptioned = sorted(
            p.name
            for p in self.folder.iterdir()
            if p.is_file() and p.resolve() not in named | {Path(table).resolve()}
        )

    def __len__(self) -> int:
        return len(self.films)

    def __getitem__(self, k: int) -> tuple[Tensor, str]:
        return self.reader.encode(self.films[k]), self.captions[k]

    def references(self) -> dict[str, list[str]]:
        """{name of a film: its captions}, to judge what a model writes by."""
        found: dict[str, list[str]] = {}
        for name, caption in zip(self.names, self.captions, strict=True):
            found.setdefault(name, []).append(caption)
        return found


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


def write_video(
    path: str | Path, frames: Tensor, rate: int = 10, scale: int = 1
) -> Path:
    """Write frames as a film that browsers play: H.264 in MP4.

    frames: [time, 1 or 3, height, width], from 0 to 1
    rate: frames a second; scale: each pixel becomes scale x scale of them. Height and
        width have to be even after that
    """
    if frames.dim() != 4 or frames.shape[1] not in (1, 3) or not len(frames):
        raise ValueError(
            f"frames have shape {tuple(frames.shape)}: give [time, 1 or 3, height, "
            "width]"
        )
    height, width = (n * scale for n in frames.shape[2:])
    if height % 2 or width % 2:
        raise ValueError(
            f"{height} x {width} pixels: H.264 needs even numbers (scale={scale})"
        )
    av = _av()
    pixels = (frames.clamp(0, 1) * 255).round().byte().expand(-1, 3, -1, -1)
    pixels = pixels.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for picture in pixels.movedim(1, 3).contiguous().numpy():
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return Path(path)


@contextlib.contextmanager
def _opened(path: Path):
    """A file opened by PyAV; whatever FFmpeg finds wrong is told with its name."""
    av = _av()
    try:
        with av.open(str(path)) as container:
            yield container
    except av.error.FFmpegError as error:
        raise VideoError(
            f"{path} is broken, or no film: {error.strerror or error}"
        ) from error


def _av():
    try:
        import av
    except ImportError as error:
        raise ImportError(
            "films in files are read with PyAV; run: pip install 'lstmbook[video]'"
        ) from error
    return av
