"""The models that come with the package, and the command that makes them."""

import pytest
import torch

import lstmbook as lb
from lstmbook import weights
from lstmbook.datasets import cmudict, music, text
from lstmbook.datasets.voices import Piece

SOUNDS, MUSIC = "spelling-to-sound", "chorales"
WRITERS = [name for name in weights.RECIPES if name not in (SOUNDS, MUSIC)]


@pytest.mark.parametrize("name", weights.RECIPES)
def test_a_shipped_model_is_small(name):
    assert (weights.FOLDER / f"{name}.safetensors").stat().st_size <= 2_000_000


@pytest.mark.parametrize("name", WRITERS)
def test_a_shipped_model_writes(name):
    model = lb.pretrained(name)
    written = model.write("HAMLET", 20, seed=0)
    assert written == lb.pretrained(name).write("HAMLET", 20, seed=0)


def test_the_shipped_speller_says_words():
    model = lb.pretrained(SOUNDS)
    words = ["cat", "speaking", "attention"]
    assert model.translate(words) == [
        ["K", "AE", "T"],
        ["S", "P", "IY", "K", "IH", "NG"],
        ["AH", "T", "EH", "N", "SH", "AH", "N"],
    ]


def test_the_shipped_composer_writes_four_voices():
    model = lb.pretrained(MUSIC)
    piece = model.compose(8, seed=0, resolution=2)
    assert piece == lb.pretrained(MUSIC).compose(8, seed=0, resolution=2)
    assert piece.pitch.shape == (8, 4) and len(set(piece.pitch[:, 0].tolist())) > 1


def test_the_command_makes_a_composer_that_loads(monkeypatch, tmp_path, capsys):
    few = [Piece.of([[72, 67, 64, 48], [71, 67, 62, 55]] * 4, resolution=2)] * 3
    monkeypatch.setattr(music, "chorales", lambda part, resolution: few)
    file = tmp_path / "model.safetensors"
    weights.main([MUSIC, "--tokens", "200", "--out", str(file)])
    assert f"wrote {file}" in capsys.readouterr().out
    model, shipped = lb.load(file), lb.pretrained(MUSIC)
    assert str(model.layer) == str(shipped.layer)
    assert len(model.compose(4, seed=0)) == 4


def test_the_command_makes_a_speller_that_loads(monkeypatch, tmp_path, capsys):
    few = {"cat": [("K", "AE", "T")], "tack's": [("T",)], "at": [("AE", "T")]}
    monkeypatch.setattr(cmudict, "pronunciations", lambda part: few)
    file = tmp_path / "model.safetensors"
    weights.main([SOUNDS, "--tokens", "4", "--out", str(file)])
    assert "2 updates" in capsys.readouterr().out
    model, shipped = lb.load(file), lb.pretrained(SOUNDS)
    assert str(model.decoder) == str(shipped.decoder)
    assert isinstance(model.translate("cat"), list)


@pytest.mark.parametrize("name", WRITERS)
def test_the_command_makes_a_model_that_loads(name, monkeypatch, tmp_path, capsys):
    # the plays themselves would take minutes
    few = {"train": "to be or not to be " * 120, "valid": "to be " * 30}
    plays = {part: {"play": words} for part, words in few.items()}
    monkeypatch.setattr(text, "shakespeare", plays.__getitem__)
    monkeypatch.setattr(text, "tiny_shakespeare", few.__getitem__)
    file = tmp_path / "model.safetensors"
    weights.main([name, "--tokens", "8192", "--out", str(file)])
    assert f"wrote {file}" in capsys.readouterr().out
    model, shipped = lb.load(file), lb.pretrained(name)
    assert str(model.layer) == str(shipped.layer)
    assert model.write("to be", 5, seed=0).startswith("to be")
    assert torch.isfinite(model.embedding.weight).all()


def test_the_command_alone_lists_what_there_is(capsys):
    weights.main([])
    assert "shakespeare-characters: One LSTM of 304" in capsys.readouterr().out


def test_an_unknown_model_lists_the_known_ones():
    with pytest.raises(ValueError, match="there are: chorales, shakespeare-char"):
        lb.pretrained("hamlet")
