"""Short films with a sentence each, made from real sprites.

    actors = cast("train")                   # digits and animals
    films = moving(actors, 1000, generator=0)
    films.captions[0]                        # "the digit 3 is moving up and down"
    films = in_order(actors, 1000, generator=0)
    films.captions[0]                        # "the cat moves left and then the ..."
    model.fit(films.pairs())

In the second kind the order of events decides the words: `swapped` shows the same
frames in another order, and another sentence is right.

Nothing of the test is seen in training, twice over: its sprites are other pictures,
and what happens in its films happens in no other (`part_of`). Who cannot tell a
new film from an old one is right in neither.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from .casting import (
    DIRECTIONS,
    MOVEMENTS,
    Cast,
    cast,
    draw_events,
    draw_sprites,
    part_of,
)
from .generators import as_generator
from .video import draw

__all__ = [
    "DIRECTIONS",
    "MOVEMENTS",
    "Cast",
    "Films",
    "Stills",
    "cast",
    "in_order",
    "moving",
    "part_of",
    "stills",
    "swapped",
]


class Films(NamedTuple):
    """Films and what happens in them.

    frames: float32 [batch, time, 1, size, size], from 0 (ground) to 1 (ink)
    captions: a sentence for each
    events: int64 [batch, count, 2], actor and movement (or direction), as they are told
    which: int64 [batch, count], rows of the cast's sprites, as they are told
    """

    frames: Tensor
    captions: list[str]
    events: Tensor
    which: Tensor

    def pairs(self) -> list[tuple[Tensor, str]]:
        """[(frames [time, 1, size, size], sentence), ...], to learn from."""
        return list(zip(self.frames, self.captions, strict=True))


class Stills(NamedTuple):
    """Single frames, and who is where in them.

    frames: float32 [batch, 1, size, size]
    who: int64 [batch, count], actors, all different
    where: float32 [batch, count, 2], the middle (y, x), from 0 to 1
    """

    frames: Tensor
    who: Tensor
    where: Tensor


def stills(
    cast: Cast, batch: int, generator: torch.Generator | int, *, count: int = 1,
    size: int = 32,
) -> Stills:  # fmt: skip
    """Single frames for a network to learn to see with, before it sees a film.

    count: sprites in each; the rest as in `moving`. Nothing moves, and there are no
    sentences, so no combination of actor and movement is given away.
    """
    generator = as_generator(generator)
    _check(cast, batch, size, count, 1, 1)
    who = draw_events(cast, batch, count, "all", generator)[:, :, 0]
    sprites = cast.sprites[draw_sprites(cast, who, generator)]
    s = sprites.shape[-1]
    at = torch.rand((batch, count, 2), generator=generator) * (size - s)
    frames = draw(sprites, at.unsqueeze(1), size)[:, 0]
    return Stills(frames, who, (at + s / 2) / size)


def moving(
    cast: Cast, batch: int, generator: torch.Generator | int, *, count: int = 1,
    time: int = 12, size: int = 32, combinations: str | None = None,
) -> Films:  # fmt: skip
    """Films of sprites that keep moving in one manner.

    count: sprites in each film, of different actors, told in the cast's order:
        "the digit 3 is moving up and down and the cat is standing still"
    generator: a `torch.Generator` of the CPU, or a seed
    time, size: frames, and pixels of a side
    combinations: of events, those of "train", "valid" or "test" (`part_of`), or "all";
        those of the cast's own part unless given

    Where and how fast is drawn at random. The words name no order: the trace that a
    sprite leaves, all frames on top of one another, has the same shape read backwards.
    Source: the sentences of Sync-DRAW, Mittal, Marwah and Balasubramanian 2017, whose
    movements are the first two.
    """
    generator = as_generator(generator)
    _check(cast, batch, size, count, time, 2)
    events = draw_events(cast, batch, count, combinations, generator)
    events = events.gather(1, events[:, :, :1].argsort(1).expand(-1, -1, 2))
    which = draw_sprites(cast, events[:, :, 0], generator)
    room = size - cast.sprites.shape[1]
    shape = (batch, count, 1)
    start = torch.rand((batch, count, 1, 2), generator=generator)
    phase = torch.rand(shape, generator=generator)
    # once or twice there and back (or around), in either sense
    turns = 1 + torch.rand(shape, generator=generator)
    turns = turns * (2 * torch.randint(2, shape, generator=generator) - 1)
    reach = (0.3 + 0.2 * torch.rand(shape, generator=generator)) * room
    angle = 2 * math.pi * (phase + turns * torch.arange(time) / time)
    y, x = reach * angle.sin(), reach * angle.cos()  # [batch, count, time]
    kind = events[:, :, 1:]
    path = torch.stack([y * ((kind == 1) | (kind == 2)), x * (kind % 2 == 0)], 3)
    path = torch.where(kind.unsqueeze(3) == 3, torch.zeros_like(path), path)
    low, high = path.amin(2, keepdim=True), path.amax(2, keepdim=True)
    at = path - low + start * (room - (high - low))
    frames = draw(cast.sprites[which], at.transpose(1, 2), size)
    captions = [
        " and ".join(f"{cast.actors[a]} is {MOVEMENTS[m]}" for a, m in film)
        for film in events.tolist()
    ]
    return Films(frames, captions, events, which)


def in_order(
    cast: Cast, batch: int, generator: torch.Generator | int, *, time: int = 12,
    size: int = 32, combinations: str | None = None,
) -> Films:  # fmt: skip
    """Films of one thing after another: the order of the frames decides the words.

    "the cat moves left and then the digit 3 moves up": the cat is alone in the first
    half of the frames, the digit in the second.
    time: frames, an even number; the rest as in `moving`

    What left and right are, and up and down, is in the order of the frames as well.
    """
    generator = as_generator(generator)
    _check(cast, batch, size, 2, time, 4)
    if time % 2:
        raise ValueError(f"time={time}: two halves need an even number of frames")
    events = draw_events(cast, batch, 2, combinations, generator)
    which = draw_sprites(cast, events[:, :, 0], generator)
    room, half = size - cast.sprites.shape[1], time // 2
    length = (0.5 + 0.5 * torch.rand((batch, 2), generator=generator)) * room
    start = torch.rand((batch, 2, 2), generator=generator) * room
    axis = torch.stack([events[:, :, 1] >= 2, events[:, :, 1] < 2], 2)  # (y, x)
    back = (events[:, :, 1] % 2 == 0)[:, :, None, None]  # left and up
    share = torch.linspace(0, 1, half).reshape(1, 1, half, 1)
    share = torch.where(back, 1 - share, share)
    # along the axis from a free place; across it anywhere
    first = start * (room - length).unsqueeze(2) / room
    along = first.unsqueeze(2) + share * length[:, :, None, None]
    at = torch.where(axis.unsqueeze(2), along, start.unsqueeze(2))
    halves = [
        draw(cast.sprites[which[:, k, None]], at[:, k].unsqueeze(2), size)
        for k in range(2)
    ]
    captions = [_told(cast, film) for film in events.tolist()]
    return Films(torch.cat(halves, 1), captions, events, which)


def swapped(cast: Cast, films: Films) -> Films:
    """Films of `in_order` with the second event first: the same frames, other words.

    Whatever forgets the order of the frames says the same of both, and is wrong about
    one of them at least.
    """
    half = films.frames.shape[1] // 2
    frames = torch.cat([films.frames[:, half:], films.frames[:, :half]], 1)
    events = films.events.flip(1)
    captions = [_told(cast, film) for film in events.tolist()]
    return Films(frames, captions, events, films.which.flip(1))


def _told(cast, film) -> str:
    return " and then ".join(f"{cast.actors[a]} moves {DIRECTIONS[d]}" for a, d in film)


def _check(cast, batch, size, count, time, shortest) -> None:
    room = size - cast.sprites.shape[1]
    if batch < 1 or count < 1 or time < shortest:
        raise ValueError(
            f"batch={batch}, count={count}, time={time}: give at least 1, 1 and "
            f"{shortest}"
        )
    if room < 4:
        raise ValueError(
            f"size={size} leaves sprites of {cast.sprites.shape[1]} pixels no room to "
            "move: take larger frames or smaller sprites"
        )
