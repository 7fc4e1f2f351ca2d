"""What is written to a file is read again, note for note."""

import pytest

pytest.importorskip("music21")

from lstmbook import scores
from lstmbook.datasets.voices import REST, Piece

R = REST
TUNE = [72, 72, 74, 74, R, R, 76, 76, 76, 76, 77, 74]


def chorale(**about):
    """Twelve eighths in four voices: held notes, a repeat, rests, a low C sharp."""
    rows = [[n, 67, 61 + (t > 7), 49 if t % 6 < 4 else R] for t, n in enumerate(TUNE)]
    piece = Piece.of(rows, resolution=2, **about)
    again = piece.attack.clone()
    again[7, 0] = again[2, 1] = True
    return Piece(piece.pitch, again, 2, *(
        getattr(piece, k) for k in ("name", "sharps", "meter", "pickup")))  # fmt: skip


ABOUT = [{}, {"sharps": 2, "meter": "3/4", "pickup": 1.0}, {"sharps": -3}]


@pytest.mark.parametrize("about", ABOUT)
@pytest.mark.parametrize("ending", ["musicxml", "xml", "mxl"])
def test_musicxml_gives_back_notes_key_meter_and_pickup(tmp_path, about, ending):
    piece = chorale(**about)
    path = scores.write(piece, tmp_path / f"piece.{ending}")
    back = scores.read(path, resolution=2)
    assert back == piece
    for name in ("sharps", "meter", "pickup"):
        assert getattr(back, name) == getattr(piece, name)
    assert back.name == "piece"


@pytest.mark.parametrize("about", ABOUT)
def test_midi_gives_back_the_notes(tmp_path, about):
    piece = chorale(**about)
    back = scores.read(scores.write(piece, tmp_path / "piece.mid"), resolution=2)
    assert back == piece and back.sharps == piece.sharps


def test_notes_are_spelled_as_the_key_has_them():
    def names(sharps):
        piece = Piece.of([[61], [66], [70], [72]], sharps=sharps)
        return [n.pitch.name for n in scores.to_music21(piece).recurse().notes]

    assert names(4) == ["C#", "F#", "A#", "C"]
    assert names(-4) == ["D-", "G-", "B-", "C"]


def test_what_the_key_signature_says_is_not_said_again():
    piece = Piece.of([[66], [67], [65], [66]], sharps=1)  # F#, G, F natural, F#
    notes = list(scores.to_music21(piece).recurse().notes)
    shown = [
        n.pitch.accidental is not None and n.pitch.accidental.displayStatus is True
        for n in notes
    ]
    assert shown == [False, False, True, True]


def test_every_pitch_keeps_its_number_in_every_key():
    for sharps in range(-6, 7):
        piece = Piece.of([[n] for n in range(40, 90)], sharps=sharps)
        found = [n.pitch.midi for n in scores.to_music21(piece).recurse().notes]
        assert [n for n in range(40, 90) if n not in found] == []


def test_a_note_across_a_bar_line_is_tied_and_read_as_one(tmp_path):
    piece = Piece.of([[60]] * 3 + [[62]] * 3 + [[R]] * 2)
    score = scores.to_music21(piece)
    ties = [n.tie.type for n in score.recurse().notes if n.tie]
    assert ties == ["start", "stop"]
    assert scores.from_music21(score, 1) == piece


def test_a_score_of_ones_own_in_another_rhythm(tmp_path):
    path = tmp_path / "own.abc"
    path.write_text("X:1\nM:4/4\nL:1/4\nK:G\nG (3A/B/c/ d2|\n")
    piece = scores.read(path, resolution=4)
    # triplet eighths are rounded to the grid of sixteenths
    assert piece.pitch[:, 0].tolist() == [67] * 4 + [69, 71, 71, 72] + [74] * 8
    assert piece.sharps == 1


def test_a_tune_in_abc_becomes_a_piece_or_is_refused():
    piece = scores.from_abc("M:6/8\nL:1/8\nK:D\nFGA [df]3|z3 f3|]\n", resolution=2)
    assert piece.pitch[:, 0].tolist() == [66, 67, 69] + [78] * 3 + [R] * 3 + [78] * 3
    assert (piece.sharps, piece.meter) == (2, "6/8")
    for wrong in ("M:4/4\nK:C\n", "", "K:C\n|| :|"):
        with pytest.raises(ValueError, match=r"no notes|cannot be read as ABC"):
            scores.from_abc(wrong)


def test_several_notes_in_one_part_are_refused_or_the_highest_taken(tmp_path):
    path = tmp_path / "chords.abc"
    path.write_text("X:1\nM:4/4\nL:1/4\nK:C\nC [CEG] c2|\n")
    with pytest.raises(ValueError, match=r"part 0 has 3 notes at quarter 1.0"):
        scores.read(path)
    top = scores.read(path, 1, chords="highest")
    assert top.pitch[:, 0].tolist() == [60, 67, 72, 72]


def test_files_that_are_no_scores_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"away\.mid: no such file"):
        scores.read(tmp_path / "away.mid")
    for name, content in (
        ("a.mid", b"not midi"), ("a.musicxml", b"<html/>"), ("a.mid", b""),
    ):  # fmt: skip
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=r"cannot be read as a score|no notes"):
            scores.read(tmp_path / name)
    with pytest.raises(ValueError, match=r"piece.wav: name it \*\.mid"):
        scores.write(chorale(), tmp_path / "piece.wav")


def test_the_engraving_shows_every_note_and_is_small():
    pytest.importorskip("verovio")
    piece = chorale(name="a <b>", sharps=2)
    picture = scores.svg(piece)
    notes = sum(len([n for n in piece.notes(v) if n[2] != R])
                for v in range(4))  # fmt: skip
    ties = sum(bool(n.tie and n.tie.type == "stop")
               for n in scores.to_music21(piece).recurse().notes)  # fmt: skip
    assert picture.count('class="note"') >= notes + ties
    assert picture.count('class="staff"') % 4 == 0 and len(picture) < 60_000
    assert scores.svg(piece) == picture  # the same each time
    html = scores.notation(piece)._repr_html_()
    assert "Score of a &lt;b&gt;, 6 quarter notes" in html and "base64," in html
