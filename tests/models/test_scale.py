import random

import numpy as np
import pytest
import torch

from lstmbook import scale


def test_the_default_scale_is_quick(monkeypatch):
    monkeypatch.delenv("LSTMBOOK_SCALE", raising=False)
    assert scale.scale() == "quick"
    assert scale.pick(quick=1, paper=2) == 1


def test_paper_scale_picks_the_other_side(monkeypatch):
    monkeypatch.setenv("LSTMBOOK_SCALE", "paper")
    assert scale.pick(quick=1, paper=2) == 2


def test_an_unknown_scale_names_the_two(monkeypatch):
    monkeypatch.setenv("LSTMBOOK_SCALE", "Paper")
    with pytest.raises(ValueError, match='"quick" and "paper"'):
        scale.pick(quick=1, paper=2)


def test_a_seed_fixes_python_numpy_torch_and_the_generator():
    def draw():
        generator = scale.seed_everything(7)
        return (
            random.random(),
            np.random.rand(),
            torch.rand(1).item(),
            torch.rand(1, generator=generator).item(),
        )

    assert draw() == draw()


def test_the_generator_does_not_move_with_the_model():
    generator = scale.seed_everything(7)
    first = torch.rand(3, generator=generator)
    generator = scale.seed_everything(7)
    torch.nn.Linear(4, 4)  # draws from the global generator
    assert torch.equal(torch.rand(3, generator=generator), first)


def test_a_seed_out_of_range_says_the_range():
    with pytest.raises(ValueError, match="0 <= seed"):
        scale.seed_everything(-1)


def test_the_device_is_cuda_when_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert scale.device().type == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert scale.device().type == "cuda"


def test_a_cuda_device_that_is_not_there_raises(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert scale.device("cuda:0").index == 0
    with pytest.raises(RuntimeError, match="torch sees 1 CUDA"):
        scale.device("cuda:1")


def test_mps_comes_only_by_name_and_with_a_warning(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert scale.device().type == "cpu"
    with pytest.warns(UserWarning, match="silently wrong"):
        assert scale.device("mps").type == "mps"


def test_mps_that_is_not_there_raises(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(RuntimeError, match="mps was asked for"):
        scale.device("mps")
