"""Films with sentences: what is said is what is shown, and the test is unseen twice."""

import itertools

import pytest
import torch

from lstmbook.datasets import captioned
from lstmbook.datasets.captioned import (
    DIRECTIONS,
    MOVEMENTS,
    Cast,
    cast,
    in_order,
    moving,
    part_of,
    stills,
    swapped,
)

SPLITS = ("train", "valid", "test")


def troupe(split="train", actors=6, size=5):
    """Sprites without a dark pixel, five of each actor, other ones in each part."""
    g = torch.Generator().manual_seed(SPLITS.index(split))
    sprites = torch.rand(5 * actors, size, size, generator=g) * 0.9 + 0.1
    who = torch.arange(actors).repeat_interleave(5)
    return Cast(sprites, who, tuple(f"the actor {k}" for k in range(actors)), split)


def middles(frames):
    """Where the ink is in each frame: [batch, time, 2], the middle of its box."""
    found = []
    for axis in (4, 3):
        there = (frames > 0).any(axis)[:, :, 0]
        steps = torch.arange(there.shape[2])
        low = torch.where(there, steps, 99).amin(2)
        high = torch.where(there, steps, -1).amax(2)
        found.append((low + high) / 2)
    return torch.stack(found, 2)


def test_shapes_and_seeds():
    actors = troupe()
    films = moving(actors, 8, 3, count=2, time=10, size=20)
    assert films.frames.shape == (8, 10, 1, 20, 20) and len(films.captions) == 8
    assert films.events.shape == (8, 2, 2) and films.which.shape == (8, 2)
    assert (films.events[:, 0, 0] < films.events[:, 1, 0]).all()  # told in order
    for make in (moving, in_order, stills):
        one, two = make(actors, 6, 5), make(actors, 6, 5)
        assert torch.equal(one.frames, two.frames)
        assert not torch.equal(one.frames, make(actors, 6, 6).frames)
        assert one.frames.min() >= 0 and one.frames.max() <= 1
    frames, caption = in_order(actors, 2, 0, time=8).pairs()[1]
    assert frames.shape == (8, 1, 32, 32) and " and then " in caption


@pytest.mark.parametrize("make", [moving, in_order])
def test_the_sprites_are_those_of_the_actors_that_are_told(make):
    actors = troupe()
    films = make(actors, 50, 0)
    assert torch.equal(actors.who[films.which], films.events[:, :, 0])
    for film, caption in zip(films.events.tolist(), films.captions, strict=True):
        places = [caption.index(actors.actors[a]) for a, _ in film]
        assert places == sorted(places)
    seen = films.frames[:, 0].amax((1, 2, 3))
    # nothing is drawn but the sprite: the brightest pixel of a frame is its own
    first = actors.sprites[films.which[:, 0]].amax((1, 2))
    torch.testing.assert_close(seen, first)


def test_what_is_said_of_a_movement_is_what_the_ink_does():
    films = moving(troupe(), 300, 1, combinations="all", time=24)
    y, x = middles(films.frames).unbind(2)
    span = {"y": y.amax(1) - y.amin(1), "x": x.amax(1) - x.amin(1)}
    moves = {
        "left and right": (False, True), "up and down": (True, False),
        "circles": (True, True), "still": (False, False),
    }  # fmt: skip
    told = set()
    for k, caption in enumerate(films.captions):
        [name] = [m for m in moves if m in caption]
        told.add(name)
        for axis, there in zip("yx", moves[name], strict=True):
            assert (span[axis][k] >= 8) if there else (span[axis][k] == 0), caption
    assert len(told) == 4 == len(MOVEMENTS)


def test_one_thing_after_another_in_the_direction_that_is_told():
    films = in_order(troupe(), 200, 2)
    at = middles(films.frames)
    for k, caption in enumerate(films.captions):
        for half, part in enumerate(caption.split(" and then ")):
            path = at[k, 6 * half : 6 * half + 6]
            go = path[-1] - path[0]
            want = {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0)}
            dy, dx = want[part.split()[-1]]
            assert (go[0] * dy > 5) if dy else (go[0] == 0)
            assert (go[1] * dx > 5) if dx else (go[1] == 0)
    assert {c.split()[-1] for c in films.captions} == set(DIRECTIONS)


def test_swapped_films_have_the_same_frames_and_other_words():
    actors = troupe()
    films = in_order(actors, 40, 0)
    other = swapped(actors, films)
    for a, b in zip(films.frames, other.frames, strict=True):
        assert not torch.equal(a, b)
        # the same frames, each as often: multisets, not only sets
        count = [sorted(tuple(f.flatten().tolist()) for f in film) for film in (a, b)]
        assert count[0] == count[1]
    torch.testing.assert_close(films.frames.mean(1), other.frames.mean(1))
    for a, b in zip(films.captions, other.captions, strict=True):
        assert a != b and a.split(" and then ") == b.split(" and then ")[::-1]
    again = swapped(actors, other)
    assert torch.equal(again.frames, films.frames) and again.captions == films.captions


@pytest.mark.parametrize(
    ("make", "options"), [(moving, {}), (moving, {"count": 2}), (in_order, {})]
)
def test_combinations_of_the_test_are_never_in_training(make, options):
    """Every sentence of one part is in no other, drawn until none is new."""
    sentences = {}
    for split in SPLITS:
        films = make(troupe(split), 4000, 0, **{"time": 4, "size": 12}, **options)
        sentences[split] = set(films.captions)
        for film in films.events.tolist():
            assert part_of(*film) == split
    for a, b in itertools.combinations(SPLITS, 2):
        assert not sentences[a] & sentences[b]
    # whoever swaps the events stays in the part
    if make is in_order:
        for split in SPLITS:
            back = {
                " and then ".join(s.split(" and then ")[::-1]) for s in sentences[split]
            }
            assert back == sentences[split]
    # each word of the test is known from training
    words = {split: set(" ".join(s).split()) for split, s in sentences.items()}
    assert words["test"] <= words["train"] and words["valid"] <= words["train"]
    everything = set(make(troupe(), 6000, 1, time=4, size=12, combinations="all",
                          **options).captions)  # fmt: skip
    assert everything == set.union(*sentences.values())


def test_each_event_is_seen_in_training_with_others_when_two_are_told():
    events = {s: set() for s in SPLITS}
    for split in SPLITS:
        films = in_order(troupe(split), 2000, 0, time=4, size=12)
        events[split] = set(map(tuple, films.events.flatten(0, 1).tolist()))
    assert len(events["train"]) == 24 and events["test"] <= events["train"]


def test_sprites_of_the_test_are_never_in_training():
    """Digits; pictures are compared, not their numbers."""
    parts = {}
    for split in SPLITS:
        actors = cast(split, 8, animals=())
        parts[split] = {tuple(s.flatten().tolist()) for s in actors.sprites}
        assert len(actors.actors) == 10 and set(actors.who.tolist()) == set(range(10))
    # two people may write the same 64 pixels
    assert len(parts["test"] & parts["train"]) <= 1
    assert len(parts["valid"] & parts["train"]) <= 1


def test_stills_say_who_is_where():
    actors = troupe()
    found = stills(actors, 100, 0, count=1, size=20)
    at = middles(found.frames.unsqueeze(1))[:, 0]
    assert found.frames.shape == (100, 1, 20, 20)
    # drawn at the whole pixel below: at most one pixel off, and half a one
    assert ((found.where[:, 0] * 20 - 0.5 - at).abs() <= 1).all()
    two = stills(actors, 100, 0, count=2)
    assert (two.who[:, 0] != two.who[:, 1]).all()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: cast("dev"), "'dev'.*train"),
        (lambda: cast(digits=(3, 12), animals=()), "12"),
        (lambda: cast(digits=(3,), animals=("yak",)), "yak"),
        (lambda: cast(digits=(3, 3), animals=()), "each once"),
        (lambda: cast(digits=(3,), animals=()), "at least two"),
        (lambda: moving(troupe(), 0, 0), "batch=0"),
        (lambda: moving(troupe(), 3, 0, count=7), "count=7.*6 actors"),
        (lambda: moving(troupe(), 3, 0, size=8), "size=8.*no room"),
        (lambda: moving(troupe(), 3, 0, combinations="dev"), "'dev'"),
        (lambda: in_order(troupe(), 3, 0, time=7), "time=7.*even"),
        (lambda: in_order(troupe(), 3, 0, time=2), "time=2"),
    ],
)
def test_a_bad_argument_raises_and_says_why(call, words):
    with pytest.raises(ValueError, match=f"(?s){words}"):
        call()


def test_the_names_of_the_module_are_there():
    assert all(hasattr(captioned, name) for name in captioned.__all__)
