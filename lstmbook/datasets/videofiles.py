"""Films in files: MP4, and whatever else FFmpeg reads.

    reader = VideoReader(frames=16, size=32)
    reader.encode("mine.mp4")                       # float32 [16, 1, 32, 32]
    write_video("mine.mp4", frames)                 # frames [time, 1, height, width]

A file that is missing, empty, broken, too long or whose frames do not come at an even
rate is refused, with its name.
"""

import contextlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

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
        # Frame k stands for the k-th of as many equal parts: it is what is on the
        # screen just before the middle of that.
        step = span / max(1, len(times) - 1)
        middles = (np.arange(self.frames) + 0.5) / self.frames * (span + step)
        wanted = np.searchsorted(times, times[0] + middles - 1e-6 * step) - 1
        wanted = wanted.clip(0).tolist()
        pictures, kind = {}, "rgb24" if self.colour else "gray"
        needed, decoded = set(wanted), 0
        with _opened(path) as container:
            # Loaders have workers of their own; more threads only get in their way.
            container.streams.video[0].codec_context.thread_count = 1
            for decoded, frame in enumerate(container.decode(video=0), 1):
                if frame.is_corrupt:
                    raise VideoError(f"{path} is broken at frame {decoded - 1}")
                if decoded - 1 in needed:
                    small = frame.reformat(
                        self.size, self.size, kind, interpolation="AREA", threads=1
                    )
                    pictures[decoded - 1] = small.to_ndarray()
        if decoded != len(times):
            raise VideoError(
                f"{path} is broken: it announces {len(times)} frames, and {decoded} "
                "can be decoded"
            )
        film = torch.from_numpy(np.stack([pictures[k] for k in wanted]))
        film = film.movedim(3, 1) if self.colour else film.unsqueeze(1)
        return film.float() / 255

    def times(self, path: str | Path) -> list[float]:
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
                times.append(float(packet.pts * packet.time_base))
                # a file may announce less than it holds
                self._check_length(path, times[-1] - times[0])
        if not times:
            raise VideoError(f"{path} has no frames")
        times.sort()  # packets come in the order of decoding
        gaps = np.diff(times)
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
