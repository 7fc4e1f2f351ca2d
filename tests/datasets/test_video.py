"""Films of bouncing sprites: what is told about them is what they show."""

import numpy as np
import pytest
import torch

from lstmbook.datasets import DataError
from lstmbook.datasets.video import (
    bouncing,
    coast,
    digit_sprites,
    draw,
    moving_mnist,
)

# Three sprites without a dark pixel, so that every pixel of theirs can be found.
SPRITES = torch.rand(3, 5, 5, generator=torch.Generator().manual_seed(0)) * 0.9 + 0.1


def films(seed=0, batch=8, **options):
    return bouncing(SPRITES, batch, seed, **{"size": 20, "speed": (1, 3)} | options)


def test_shapes_and_ranges():
    clips = films(count=2, time=12)
    assert clips.frames.shape == (8, 12, 1, 20, 20)
    assert clips.positions.shape == clips.velocities.shape == (8, 12, 2, 2)
    assert clips.which.shape == (8, 2)
    assert clips.frames.dtype == torch.float32
    assert clips.frames.min() >= 0 and clips.frames.max() <= 1


def test_a_seed_gives_the_same_films_and_a_generator_moves_on():
    assert all(map(torch.equal, films(7), films(7)))
    assert not torch.equal(films(7).frames, films(8).frames)
    generator = torch.Generator().manual_seed(7)
    assert torch.equal(films(generator).frames, films(7).frames)
    assert not torch.equal(films(generator).frames, films(7).frames)


def test_the_global_generator_is_neither_used_nor_moved():
    torch.manual_seed(1)
    first, state = films(3).frames, torch.get_rng_state()
    torch.manual_seed(2)
    assert torch.equal(first, films(3).frames)
    torch.manual_seed(1)
    assert torch.equal(state, torch.get_rng_state())


def test_frames_show_the_sprites_where_they_are_said_to_be():
    clips = films(count=2)
    for n in range(len(clips.which)):
        for t in range(0, clips.frames.shape[1], 7):
            want = torch.zeros(20, 20)
            for k, sprite in enumerate(clips.which[n]):
                y, x = clips.positions[n, t, k].int().tolist()
                part = want[y : y + 5, x : x + 5]
                torch.maximum(part, SPRITES[sprite], out=part)
            assert torch.equal(clips.frames[n, t, 0], want)


def test_sprites_fly_straight_on_and_turn_at_walls():
    clips = films(batch=200, time=30, count=1)
    at, velocity = clips.positions, clips.velocities
    free = at[:, :-1] + velocity[:, :-1]
    torch.testing.assert_close(at[:, 1:], free.clamp(0, 15))
    hit = (free <= 0) | (free >= 15)
    assert 0.05 < hit.float().mean() < 0.5
    same = torch.where(hit, -velocity[:, :-1], velocity[:, :-1])
    assert torch.equal(velocity[:, 1:], same)
    # Nothing hangs on a wall: after a bounce it flies inwards.
    assert ((velocity > 0) | (at > 0)).all() and ((velocity < 0) | (at < 15)).all()


def test_places_directions_and_speeds_are_evenly_drawn():
    clips = films(batch=4000, time=1, count=1, speed=(1, 3))
    pace = clips.velocities.norm(dim=-1)
    assert pace.min() >= 1 and pace.max() <= 3
    assert pace.mean().item() == pytest.approx(2, abs=0.05)
    direction = (clips.velocities / pace.unsqueeze(-1)).mean((0, 1, 2))
    assert direction.abs().max() < 0.05
    assert clips.positions.mean((0, 1, 2)) == pytest.approx(
        torch.tensor([7.5, 7.5]), abs=0.3
    )
    assert clips.which.flatten().bincount(minlength=3).min() > 1200


def test_one_speed_for_all_as_published():
    clips = bouncing(SPRITES, 20, 0, speed=(3.6, 3.6), count=1)
    torch.testing.assert_close(
        clips.velocities.norm(dim=-1), torch.full((20, 20, 1), 3.6)
    )


def test_what_lies_outside_a_frame_is_cut_off():
    places = torch.tensor([[-2.0, 3.0], [4.0, 9.0], [-9.0, 0.0], [30.0, 30.0]])
    frames = draw(SPRITES[None, :1], places[None, :, None], 10)
    want = torch.zeros(4, 10, 10)
    want[0, :3, 3:8] = SPRITES[0, 2:]
    want[1, 4:9, 9] = SPRITES[0, :, 0]
    assert torch.equal(frames[0, :, 0], want)


def test_coasting_is_right_until_the_first_wall_and_no_further():
    clips = films(batch=300, time=10, count=1)
    ahead = coast(SPRITES, clips, 4, 6)
    assert ahead.shape == (300, 6, 1, 20, 20)
    turned = (clips.velocities[:, 4:] != clips.velocities[:, 3:4]).flatten(2).any(2)
    met = turned.int().cummax(1).values.bool()  # a wall, by then
    right = (ahead == clips.frames[:, 4:]).flatten(2).all(2)
    # Adding up may move a sprite by a pixel where its place is a whole number.
    assert right[~met].float().mean() > 0.995
    assert met[:, -1].any() and right[met[:, -2], -1].float().mean() < 0.1


def test_digit_sprites_of_the_splits_differ_and_scale():
    parts = {split: digit_sprites(split, 8) for split in ("train", "valid", "test")}
    assert [len(p[0]) for p in parts.values()] == [1259, 269, 269]
    seen = {tuple(s.flatten().tolist()) for s in parts["train"][0]}
    shared = sum(tuple(s.flatten().tolist()) in seen for s in parts["test"][0])
    assert shared <= 1  # two people may write the same 64 pixels
    images, labels = digit_sprites("test", 28)
    assert images.shape == (269, 28, 28) and set(labels.tolist()) == set(range(10))
    assert images.min() >= 0 and images.max() <= 1
    ink = parts["test"][0].mean((1, 2))
    torch.testing.assert_close(images.mean((1, 2)), ink, atol=0.02, rtol=0.05)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: digit_sprites("dev"), "'dev'.*train"),
        (lambda: digit_sprites(size=0), "size=0"),
        (lambda: bouncing(SPRITES[0], 4, 0), r"\(5, 5\).*\[N, s, s\]"),
        (lambda: bouncing(SPRITES[:, :4], 4, 0), r"\(3, 4, 5\)"),
        (lambda: bouncing(SPRITES[:0], 4, 0), "at least one"),
        (lambda: films(batch=0), "batch=0"),
        (lambda: films(time=0), "time=0"),
        (lambda: films(count=0), "count=0"),
        (lambda: films(size=5), "size=5.*no room"),
        (lambda: films(speed=(3, 1)), r"speed=\(3, 1\)"),
        (lambda: films(speed=(-1, 1)), "from 0 to 15"),
        (lambda: films(speed=(1, 16)), "from 0 to 15"),
        (lambda: coast(SPRITES, films(), 0, 3), "seen=0.*1 to 20"),
        (lambda: coast(SPRITES, films(), 21, 3), "seen=21"),
        (lambda: draw(SPRITES, torch.zeros(1, 2, 1, 2), 9), r"\(3, 5, 5\).*not fit"),
    ],
)
def test_a_bad_argument_raises_and_says_why(call, words):
    with pytest.raises(ValueError, match=f"(?s){words}"):
        call()


def test_films_of_moving_mnist_come_out_of_its_layout(tmp_path):
    stored = np.random.RandomState(0).randint(0, 256, (20, 6, 8, 8), dtype=np.uint8)
    np.save(tmp_path / "mnist_test_seq.npy", stored)
    films = moving_mnist(slice(2, 5), tmp_path / "mnist_test_seq.npy")
    assert films.shape == (3, 20, 1, 8, 8) and films.dtype == torch.float32
    want = torch.from_numpy(stored[7, 3]) / 255
    assert torch.equal(films[1, 7, 0], want)
    assert len(moving_mnist(path=tmp_path / "mnist_test_seq.npy")) == 6
    assert len(moving_mnist([5, 0], tmp_path / "mnist_test_seq.npy")) == 2


@pytest.mark.parametrize("kind", ["text", "empty", "objects", "floats", "flat"])
def test_a_file_of_another_layout_is_named_and_refused(kind, tmp_path):
    path = tmp_path / f"{kind}.npy"
    content = {
        "objects": np.array([[None]]),
        "floats": np.zeros((2, 2, 4, 4)),
        "flat": np.zeros((2, 4), np.uint8),
    }
    if kind in content:
        np.save(path, content[kind], allow_pickle=True)
    else:
        path.write_bytes(b"hello" if kind == "text" else b"")
    with pytest.raises(DataError, match=f"{kind}.npy"):
        moving_mnist(path=path)
