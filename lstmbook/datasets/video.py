"""Short films of sprites that bounce off the walls, drawn as they are needed.

    sprites, labels = digit_sprites("train")              # pictures of digits
    clips = bouncing(sprites, batch=16, generator=0)      # as in Moving MNIST
    clips.frames                                          # [16, 20, 1, 64, 64]

Where everything was and how fast it went comes with the frames, so that a baseline
can be told the truth and a caption can say it. All on the CPU; a seed gives the same
films on every machine.
"""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .cache import DataError, fetch
from .digits import digits
from .generators import as_generator


class Clips(NamedTuple):
    """Films, and what was filmed.

    frames: float32 [batch, time, 1, size, size], 0 (ground) to 1 (ink)
    positions: [batch, time, count, 2], the upper left corners (y, x) in pixels;
        drawn at the whole pixel below
    velocities: [batch, time, count, 2], pixels a frame with which a sprite leaves
        this frame; off a wall it has turned already
    which: int64 [batch, count], rows of `sprites`
    """

    frames: Tensor
    positions: Tensor
    velocities: Tensor
    which: Tensor


def digit_sprites(split: str = "train", size: int = 28) -> tuple[Tensor, Tensor]:
    """The digits of one part of the digits data set, scaled to size x size pixels.

    split: "train" (1,259 sprites), "valid" (269) or "test" (269); no picture is in
        two of them, so films of "test" show digits never seen in training
    Returns sprites float32 [N, size, size] from 0 to 1, and labels int64 [N].
    """
    images, labels = digits(split)
    return scaled(images, size), labels


def scaled(images: Tensor, size: int) -> Tensor:
    """Pictures [N, s, s] as [N, size, size]."""
    if size < 1:
        raise ValueError(f"size={size}: a sprite needs at least one pixel")
    if size == images.shape[1]:
        return images
    # Fewer pixels than the original: average, so that thin strokes stay.
    return F.interpolate(
        images.unsqueeze(1), (size, size), mode="bilinear", antialias=True
    ).squeeze(1)


def bouncing(
    sprites: Tensor,
    batch: int,
    generator: torch.Generator | int,
    *,
    time: int = 20,
    size: int = 64,
    count: int = 2,
    speed: tuple[float, float] = (3.0, 5.0),
) -> Clips:
    """Films of sprites that fly straight on and bounce off the walls.

    sprites: [N, s, s]; each film shows `count` of them, drawn at random
    generator: a `torch.Generator` of the CPU, or a seed
    time, size: frames, and pixels of a side
    speed: pixels a frame, drawn evenly from [low, high)

    A sprite starts anywhere in the frame and flies in any direction, both evenly.
    A step that would cross a wall ends at it, and the velocity turns around there.
    Where sprites overlap, the brighter pixel shows.

    Source: the Moving MNIST of Srivastava, Mansimov and Salakhutdinov 2015, whose
    digits all cover a tenth of their room a frame (3.6 pixels); random speeds from
    [3, 5) after Shi et al. 2015. Theirs are 28 x 28 digits of MNIST.
    """
    _check(sprites, batch, time, size, count, speed)
    generator = as_generator(generator)

    def uniform(*shape):
        return torch.rand(shape, generator=generator)

    which = torch.randint(len(sprites), (batch, count), generator=generator)
    room = size - sprites.shape[1]
    at = uniform(batch, count, 2) * room
    angle = uniform(batch, count) * 2 * math.pi
    low, high = speed
    pace = low + (high - low) * uniform(batch, count)
    velocity = torch.stack([angle.sin(), angle.cos()], dim=2) * pace.unsqueeze(2)
    positions, velocities = [], []
    for _ in range(time):
        there = at + velocity
        # Along each axis by itself: a wall turns one of the two.
        turned = torch.where((there <= 0) | (there >= room), -velocity, velocity)
        positions.append(at)
        velocities.append(velocity)
        at, velocity = there.clamp(0, room), turned
    positions = torch.stack(positions, dim=1)
    frames = draw(sprites[which], positions, size)
    return Clips(frames, positions, torch.stack(velocities, dim=1), which)


def draw(sprites: Tensor, positions: Tensor, size: int) -> Tensor:
    """Frames with each sprite at its positions.

    sprites: [batch, count, s, s]; positions: [batch, time, count, 2], upper left
    corners (y, x), rounded down; what lies outside the frame is cut off
    Returns [batch, time, 1, size, size].
    """
    if sprites.dim() != 4 or positions.dim() != 4 or (
        positions.shape[0], positions.shape[2], positions.shape[3]
    ) != (*sprites.shape[:2], 2):  # fmt: skip
        raise ValueError(
            f"sprites {tuple(sprites.shape)} and positions {tuple(positions.shape)} "
            "do not fit: give [batch, count, s, s] and [batch, time, count, 2]"
        )
    batch, time, count, _ = positions.shape
    s = sprites.shape[-1]
    corner = positions.floor().long()
    offsets = torch.arange(s)
    # One more pixel at the end, to which all go that lie outside.
    frames = sprites.new_zeros(batch, time, size * size + 1)
    for k in range(count):
        y, x = (corner[:, :, k, axis, None] + offsets for axis in (0, 1))
        place = y.unsqueeze(3) * size + x.unsqueeze(2)  # [batch, time, s, s]
        if corner[:, :, k].min() < 0 or corner[:, :, k].max() + s > size:
            inside = [(a >= 0) & (a < size) for a in (y, x)]
            inside = inside[0].unsqueeze(3) & inside[1].unsqueeze(2)
            place = torch.where(inside, place, size * size)
        place = place.flatten(2)
        ink = sprites[:, None, k].flatten(2).expand(-1, time, -1)
        ink = torch.maximum(ink, frames.gather(2, place)) if k else ink
        frames.scatter_(2, place, ink)
    return frames[:, :, :-1].reshape(batch, time, 1, size, size)


def coast(sprites: Tensor, clips: Clips, seen: int, steps: int) -> Tensor:
    """What comes next if everything flies on and there were no walls.

    The baseline of constant velocity, told the true place and velocity in the last
    frame seen: it errs only where a sprite meets a wall.

    sprites: as given to `bouncing`; seen: how many frames of `clips` are known
    Returns frames [batch, steps, 1, size, size].
    """
    time = clips.frames.shape[1]
    if not 1 <= seen <= time or steps < 1:
        raise ValueError(
            f"seen={seen}, steps={steps}: see 1 to {time} frames of these clips and "
            "go on for at least 1"
        )
    ahead = torch.arange(1, steps + 1).reshape(-1, 1, 1)
    at, velocity = (a[:, seen - 1, None] for a in (clips.positions, clips.velocities))
    size = clips.frames.shape[-1]
    return draw(sprites[clips.which], at + ahead * velocity, size)


def moving_mnist(films=slice(None), path: str | Path | None = None) -> Tensor:
    """Films of the published Moving MNIST: float32 [N, 20, 1, 64, 64], from 0 to 1.

    films: which of the 10,000: a slice, or a list of numbers. All of them take 3.3 GB
    path: a file of the same layout, bytes [time, film, height, width], in place of the
        published one; any number of films and frames, and any size

    Raises `DataError`, naming the file, when it has another layout.
    Source: Srivastava, Mansimov and Salakhutdinov 2015, sec. 3.2.
    """
    path = fetch("moving-mnist") if path is None else Path(path)
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise DataError(f"{path} is not an array of NumPy: {error}") from error
    if array.ndim != 4 or array.dtype != np.uint8:
        raise DataError(
            f"{path} holds {array.dtype} {array.shape}: a file in the layout of Moving "
            "MNIST holds bytes [time, film, height, width]"
        )
    chosen = np.ascontiguousarray(array[:, films].swapaxes(0, 1))
    return torch.from_numpy(chosen).unsqueeze(2).float() / 255


def _check(sprites, batch, time, size, count, speed) -> None:
    if sprites.dim() != 3 or sprites.shape[1] != sprites.shape[2] or not len(sprites):
        raise ValueError(
            f"sprites have shape {tuple(sprites.shape)}: give [N, s, s], at least one"
        )
    if min(batch, time, count) < 1:
        raise ValueError(
            f"batch={batch}, time={time}, count={count}: give at least 1 of each"
        )
    room = size - sprites.shape[1]
    if room < 1:
        raise ValueError(
            f"size={size} leaves sprites of {sprites.shape[1]} pixels no room to move: "
            "take larger frames or smaller sprites"
        )
    low, high = speed
    if not 0 <= low <= high <= room:
        raise ValueError(
            f"speed={speed}: give (low, high) in pixels a frame, from 0 to {room}, "
            f"the room that sprites of {sprites.shape[1]} pixels have in {size}"
        )
