"""Chorales and tunes: real ones where they are at hand, made-up ones for the rules."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from lstmbook import scores
from lstmbook.datasets import DataError, DataUnavailable, available, fetch, music
from lstmbook.datasets import cache as cache_module
from lstmbook.datasets.music import (
    FolkTune,
    abc_tokens,
    chorales,
    folk_tunes,
    jsb,
    jsb16,
    parse_abc,
)
from lstmbook.datasets.registry import Installed
from lstmbook.datasets.vocabulary import Vocabulary
from lstmbook.datasets.voices import (
    REST,
    Piece,
    VoiceTokens,
    piano_roll,
    resample,
    room,
    transpose,
)

PARTS = ("train", "valid", "test")


@pytest.fixture(scope="module")
def bach():
    """All chorales: parsed in the first run, from the cache in the others."""
    try:
        return {split: chorales(split, progress=False) for split in (*PARTS, "all")}
    except DataUnavailable as error:
        pytest.skip(f"music21 is not here: {error}")


def test_there_are_365_chorales_with_their_voices(bach):
    everything = bach["all"]
    assert len(everything) == 365 and len({p.name for p in everything}) == 365
    assert all(p.voices == 4 and p.resolution == 4 for p in everything)
    assert sum(map(len, everything)) / 4 == pytest.approx(20_000, rel=0.15)
    first = next(p for p in everything if p.name == "bwv269")
    # Aus meines Herzens Grunde: G major, 3/4, one quarter before the first bar
    assert (first.sharps, first.meter, first.pickup) == (1, "3/4", 1.0)
    assert first.pitch[0].tolist() == [67, 62, 59, 43]


def test_the_chorales_are_split_by_tune(bach):
    sizes = [len(bach[s]) for s in PARTS]
    assert sum(sizes) == 365 and sizes[0] > 270 and min(sizes) > 25
    names = [{p.name for p in bach[s]} for s in PARTS]
    assert set.union(*names) == {p.name for p in bach["all"]}

    def melodies(split):
        tops = [p.pitch[:, 0][p.attack[:, 0]].diff()[:10] for p in bach[split]]
        return {tuple(t.tolist()) for t in tops}

    for a, b in itertools.combinations(PARTS, 2):
        assert not melodies(a) & melodies(b)


def test_no_piece_is_a_transposition_of_one_in_another_part(bach):
    def shapes(split):
        found = set()
        for piece in bach[split]:
            sounds = piece.pitch != REST
            pitch = torch.where(sounds, piece.pitch - piece.pitch[sounds].min(), REST)
            found.add(pitch.numpy().tobytes())
        return found

    for a, b in itertools.combinations(PARTS, 2):
        assert not shapes(a) & shapes(b)


@pytest.mark.parametrize("resolution", [4, 1])
def test_tokens_give_back_every_chorale(bach, resolution):
    pieces = [resample(p, resolution) for p in bach["all"]]
    tokens = VoiceTokens.of(pieces)
    for piece in pieces[::7]:
        assert tokens.decode(tokens.encode(piece), like=piece) == piece
        melody = piece.voice(0)
        one = VoiceTokens(tokens.compass[:1])
        assert one.decode(one.encode(melody), like=melody) == melody
        free = room(piece, tokens.compass)
        for k in (free[0], free[-1]):
            moved = transpose(piece, k, tokens.compass)
            assert tokens.decode(tokens.encode(moved), like=moved) == moved


def test_a_chorale_is_written_and_read_as_it_stands_in_the_corpus(bach, tmp_path):
    path = fetch("chorales") / "bwv269.mxl"
    piece = next(p for p in bach["all"] if p.name == path.stem)
    assert scores.read(path, resolution=4) == piece
    for name in ("a.mid", "a.musicxml"):
        back = scores.read(scores.write(piece, tmp_path / name), resolution=4)
        assert back == piece
    assert (back.sharps, back.meter, back.pickup) == (1, "3/4", 1.0)


def test_the_cache_holds_what_was_parsed(tmp_path):
    pieces = [
        Piece.of([[60, 55], [62, REST]], resolution=4, name="a", sharps=-2),
        Piece.of([[60, 55]], resolution=4, meter="3/4", pickup=0.5),
    ]
    content = music._pack(pieces)
    back = music._unpack(content)
    assert back == pieces
    for a, b in zip(back, pieces, strict=True):
        assert (a.name, a.sharps, a.meter, a.pickup) == (
            b.name, b.sharps, b.meter, b.pickup)  # fmt: skip


def test_a_broken_cache_is_named_and_made_again(cache, monkeypatch):
    pieces = [Piece.of([[60 + k + n] for n in (0, k, 2)], resolution=4, name=str(k))
              for k in range(30)]  # fmt: skip
    calls = []
    monkeypatch.setattr(music, "fetch", lambda name: cache)
    monkeypatch.setattr(music, "_parse", lambda *a: calls.append(a) or pieces)
    assert chorales("all") == pieces and chorales("all") == pieces
    assert len(calls) == 1
    [file] = (cache / "chorales").iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.warns(UserWarning, match=r"\.npz is broken .* made again"):
        assert chorales("all") == pieces
    assert len(calls) == 2 and music._unpack(file.read_bytes()) == pieces
    # other values behind a sound zip file are seen, too
    arrays = dict(np.load(file))
    arrays["pitch"] = arrays["pitch"] + 1
    np.savez(file, **arrays)
    with pytest.warns(UserWarning, match="digest"):
        chorales("all")


def test_a_cache_that_cannot_be_written_is_named(cache, monkeypatch):
    cache.mkdir()
    (cache / "chorales").write_text("a file where the folder should be")
    monkeypatch.setattr(music, "fetch", lambda name: cache)
    monkeypatch.setattr(music, "_parse", lambda *a: [Piece.of([[60]], resolution=4)])
    with pytest.raises(DataError, match=r"cannot be kept in .*LSTMBOOK_DATA"):
        chorales("all")


def test_settings_of_one_tune_are_one_family():
    tune = [60, 62, 64, 65, 67, 65, 64, 62, 60, 59, 60]

    def setting(name, up, bass):
        return Piece.of([[n + up, bass] for n in tune], name=name)

    other = Piece.of([[n, 40] for n in reversed(tune)], name="other")
    pieces = [setting("a", 0, 48), setting("b", 5, 40), other]
    assert music._families(pieces) == ["a", "a", "other"]


@pytest.fixture(scope="module")
def usual():
    if not available("jsb"):
        pytest.skip("not in the cache: python -m lstmbook.datasets jsb")
    return {split: jsb(split) for split in PARTS}


def test_the_usual_split_has_its_frames(usual):
    assert [len(usual[s]) for s in PARTS] == [229, 76, 77]
    assert [sum(map(len, usual[s])) for s in PARTS] == [13_807, 4_602, 4_725]
    assert [p.name for p in jsb("all")[:2]] == ["train 0", "train 1"]
    assert usual["test"][0].pitch[0].tolist() == [84, 79, 76, 72]


def test_voices_hold_exactly_the_sets_of_the_file(usual):
    raw = json.loads(fetch("jsb", "jsb-chorales-quarter.json").read_bytes())
    for split in PARTS:
        for piece, frames in zip(usual[split], raw[split], strict=True):
            assert piece.frames() == [sorted(f) for f in frames]
            assert piano_roll(piece).sum() == sum(map(len, frames))
            rows = piece.pitch.where(piece.pitch != REST, 999).sort(1).values
            assert ((rows[:, 1:] > rows[:, :-1]) | (rows[:, 1:] == 999)).all()


def test_nearly_all_of_them_end_on_a_chord_on_c(usual):
    last = [[f for f in p.frames() if f][-1][0] % 12 for s in PARTS for p in usual[s]]
    assert last.count(0) == 356 and len(last) == 382


def test_the_sixteenths_have_true_voices(usual):
    pieces = jsb16("test")
    assert len(pieces) == 77 and sum(map(len, pieces)) == 18_900
    assert pieces[0].pitch[0].tolist() == [65, 60, 57, 53]
    assert {p.resolution for p in pieces} == {4}


ABC = """% a comment
X: 1
T:The Test -- Reel
M:2/4
L:1/16
C:Somebody
K:A
vA2(Ac) "4"e>c |\\
ac'!trill!e z2 :| % the end
K:D
|: [Ace]2 (3abc {g}f2 ~B H^c,/ :|
w: words to sing

X:2
T: Second
M:6/8
K:G
GAB cBA|

X:3
T:Nothing
K:C
"""


def test_an_abc_file_is_read_tune_by_tune():
    first, second = parse_abc(ABC)
    assert first == FolkTune(
        "The Test", "2/4", "1/16", "A",
        "A2(Ac) e>c | ac'e z2 :|\n[K:D]\n|: [Ace]2 (3abc {g}f2 B ^c,/ :|",
    )  # fmt: skip
    assert second == FolkTune("Second", "6/8", "1/8", "G", "GAB cBA|")
    assert second.abc == "M:6/8\nL:1/8\nK:G\nGAB cBA|\n"


def test_tokens_of_abc_are_notes_bars_and_fields_and_nothing_is_lost():
    text = "M:6/8\nK:G\n|: [Ace]2 (3abc {g}f2 ^c,/2 _B3/ |1 z2 :|2 G2 |]\n"
    tokens = abc_tokens(text)
    assert "".join(tokens) == text
    for token in ("M:6/8", "K:G", "|:", "(3", "^c,/2", "_B3/", "z2", "f2", "|]"):
        assert token in [t.strip(" ") for t in tokens], tokens
    assert "".join(abc_tokens("any?! text\n\t€ :|::")) == "any?! text\n\t€ :|::"


@pytest.fixture(scope="module")
def folk():
    try:
        return {split: folk_tunes(split) for split in (*PARTS, "all")}
    except DataUnavailable as error:
        pytest.skip(f"music21 is not here: {error}")


def test_the_folk_tunes_are_there_and_split_by_name(folk):
    assert len(folk["all"]) > 3_000
    assert sum(len(folk[s]) for s in PARTS) == len(folk["all"])
    names = [{t.name for t in folk[s]} for s in PARTS]
    for a, b in itertools.combinations(names, 2):
        assert not a & b
    assert 0.75 < len(folk["train"]) / len(folk["all"]) < 0.85
    assert all(t.key and t.music and t.unit for t in folk["all"])


def test_the_training_tunes_have_every_character_of_the_others(folk):
    text = {s: "\n".join(t.abc for t in folk[s]) for s in PARTS}
    vocabulary = Vocabulary(text["train"])
    for split in ("valid", "test"):
        assert vocabulary.decode(vocabulary.encode(text[split])) == text[split]


def test_tokens_of_folk_tunes_are_the_text_in_fewer_steps(folk):
    text = "".join(t.abc for t in folk["all"])
    tokens = abc_tokens(text)
    assert "".join(tokens) == text
    assert len(tokens) < 0.72 * len(text)
    assert '"' not in text and "!" not in text


def test_unknown_parts_list_the_known_ones():
    for load in (chorales, jsb, jsb16, folk_tunes):
        with pytest.raises(ValueError, match="has no split 'dev'; it has: train"):
            load("dev")


def test_the_hash_of_a_folder_sees_names_and_contents(tmp_path):
    def digest(**files):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_text(content)
        return cache_module.sha256(folder)

    same = digest(a="1", b="2")
    assert digest(b="2", a="1", __init__="x") == same
    assert same not in (digest(a="2", b="1"), digest(a="1", c="2"), digest(a="1"))


def test_an_installed_folder_that_changed_is_refused(register, monkeypatch, tmp_path):
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "a.abc").write_text("X:1")
    register("folder", "corpus", b"", Installed("package", "corpus"))

    class Distribution:
        def locate_file(self, inside):
            return Path(tmp_path) / inside

    monkeypatch.setattr(
        cache_module.importlib.metadata, "distribution", lambda name: Distribution()
    )
    with pytest.raises(cache_module.HashMismatch, match="corpus is not the file"):
        fetch("folder")
