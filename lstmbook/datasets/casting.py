"""Who is in a film: sprites of digits and animals, and what they do in which part."""

from typing import NamedTuple

import torch
from torch import Tensor

from .animals import ANIMALS, animals
from .splits import SPLITS, SPLITS_AND_ALL, check_split
from .video import digit_sprites, scaled

MOVEMENTS = ("moving left and right", "moving up and down", "moving in circles",
             "standing still")  # fmt: skip
DIRECTIONS = ("left", "right", "up", "down")


class Cast(NamedTuple):
    """The sprites that films are made of.

    sprites: float32 [N, s, s], from 0 (ground) to 1 (ink)
    who: int64 [N], whose picture each is, a number in `actors`
    actors: what sentences call them: "the digit 3", "the cat"
    split: "train", "valid" or "test"
    """

    sprites: Tensor
    who: Tensor
    actors: tuple[str, ...]
    split: str


def cast(
    split: str = "train", size: int = 12, *, digits=range(10), animals=ANIMALS
) -> Cast:
    """Sprites of digits and animals, of one part of each data set.

    size: pixels of a side
    digits, animals: which of them; with animals=() nothing has to be downloaded
    """
    check_split("cast", split)
    digits, animals = list(digits), list(animals)
    unknown = [d for d in digits if d not in range(10)]
    unknown += [a for a in animals if a not in ANIMALS]
    if unknown or len(set(digits + animals)) < max(2, len(digits) + len(animals)):
        raise ValueError(
            f"digits={digits}, animals={animals}: give at least two actors, each once, "
            f"digits from 0 to 9 and animals of {', '.join(ANIMALS)}"
        )
    sprites, who = [], []
    for chosen, first, read in (
        (digits, 0, lambda: digit_sprites(split, size)),
        (
            [ANIMALS.index(a) for a in animals],
            len(digits),
            lambda: _animals(split, size),
        ),
    ):
        if not chosen:
            continue
        pictures, labels = read()
        for number, label in enumerate(chosen, first):
            mine = pictures[labels == label]
            sprites.append(mine)
            who.append(torch.full((len(mine),), number))
    actors = [f"the digit {d}" for d in digits] + [f"the {a}" for a in animals]
    return Cast(torch.cat(sprites), torch.cat(who), tuple(actors), split)


def _animals(split, size):
    images, labels = animals(split)
    return scaled(images, size), labels


def part_of(*events: tuple[int, int]) -> str:
    """The part whose films show these events together: "train", "valid" or "test".

    events: (actor, movement), numbers in the cast and in MOVEMENTS or DIRECTIONS

    One alone: every second actor has one movement of the four that the test keeps to
    itself, and one for the validation; so each actor and each movement is seen in
    training, and never these two together. Several: by the sum of all their numbers,
    in whatever order; a fifth of the sums is the test's, and a fifth the validation's.
    Each event is seen in training, and never in this company.
    """
    if len(events) == 1:
        [(actor, movement)] = events
        turn = (movement - actor // 2) % 4 if actor % 2 == 0 else -1
        return {0: "test", 1: "valid"}.get(turn, "train")
    turn = sum(a + m for a, m in events) % 5
    return {0: "test", 1: "valid"}.get(turn, "train")


def draw_events(cast, batch, count, combinations, generator) -> Tensor:
    """Actors, all different, with a movement each: int64 [batch, count, 2]."""
    part = cast.split if combinations is None else combinations
    if part not in SPLITS_AND_ALL:
        raise ValueError(f"combinations={part!r}: choose 'all' or one of {SPLITS}")
    actors = len(cast.actors)
    if actors < count:
        raise ValueError(f"count={count}: the cast has {actors} actors")
    found = []
    while len(found) < batch:  # drawn until they are of this part
        who = torch.rand((batch, actors), generator=generator).argsort(1)[:, :count]
        how = torch.randint(4, (batch, count), generator=generator)
        found += [
            film
            for film in torch.stack([who, how], 2).tolist()
            if part in ("all", part_of(*film))
        ]
    return torch.tensor(found[:batch])


def draw_sprites(cast, actors, generator) -> Tensor:
    """A picture of each actor: rows of the cast's sprites, as `actors`."""
    counts = cast.who.bincount(minlength=len(cast.actors))
    first = counts.cumsum(0) - counts  # the sprites of an actor lie together
    drawn = torch.rand(actors.shape, generator=generator) * counts[actors]
    return first[actors] + drawn.long().minimum(counts[actors] - 1)
