"""Faults planted by hand are found, and nothing else."""

import pytest

from lstmbook.counterpoint import (
    CHOIR,
    Cadence,
    Faults,
    Parallel,
    cadence,
    crossings,
    faults,
    outside,
    parallels,
)
from lstmbook.datasets.voices import REST, Piece

R = REST


@pytest.mark.parametrize(
    ("rows", "interval"),
    [
        ([[67, 60], [69, 62]], 7),  # G over C to A over D
        ([[79, 60], [81, 62]], 7),  # twelfths are fifths
        ([[67, 60], [81, 62]], 7),  # a fifth to a twelfth, both upwards
        ([[72, 60], [71, 59]], 0),  # octaves
        ([[60, 60], [62, 62]], 0),  # unisons
        ([[60, 67], [62, 69]], 7),  # fifths of voices that are crossed
        ([[60, 65], [62, 67]], None),  # fourths, likewise
        ([[84, 60], [72, 59]], None),  # to a tritone-like seventh: nothing
    ],
)
def test_parallels_of_two_voices(rows, interval):
    found = parallels(Piece.of(rows))
    assert found == ([] if interval is None else [Parallel(1, 0, 1, interval)])


@pytest.mark.parametrize(
    "rows",
    [
        [[67, 60], [67, 60]],  # the chord is repeated
        [[67, 60], [79, 60]],  # one voice stands still
        [[67, 60], [65, 62]],  # contrary motion to a third
        [[72, 60], [67, 67]],  # an octave to a unison in contrary motion
        [[67, 60], [68, 62]],  # a fifth to a tritone
        [[66, 60], [69, 62]],  # a tritone to a fifth
        [[67, 60], [R, R], [69, 62]],  # a rest in between
        [[67, 60], [69, R], [69, 62]],
    ],
)
def test_what_is_no_parallel(rows):
    assert parallels(Piece.of(rows)) == []


def test_parallels_name_the_place_and_the_voices():
    piece = Piece.of([[76, 67, 64, 48], [76, 67, 64, 48], [77, 65, 62, 50]])
    assert parallels(piece) == []
    piece = Piece.of([[76, 67, 60, 48], [77, 69, 62, 53], [77, 72, 65, 53]])
    assert parallels(piece) == [Parallel(1, 1, 2, 7), Parallel(2, 1, 2, 7)]


def test_crossings_are_between_neighbours_that_both_sing():
    piece = Piece.of([[72, 67, 60], [66, 67, 60], [R, 67, 68], [67, R, 68]])
    assert crossings(piece) == [(1, 0), (2, 1)]


def test_notes_outside_count_once_when_they_are_struck():
    piece = Piece.of([[82, 60], [82, 60], [81, 52], [60, R]])
    assert outside(piece, [(60, 81), (53, 76)]) == [(0, 0), (2, 1)]
    with pytest.raises(ValueError, match="2 voices, the compass 4"):
        outside(piece, CHOIR)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        # G B D G to C C E G: a fourth up
        ([[74, 67, 59, 55], [72, 67, 64, 60]], Cadence(0, "major", 5, True)),
        ([[74, 67, 59, 55], [72, 67, 64, 48]], Cadence(0, "major", -7, True)),
        ([[74, 67, 59, 55], [72, 67, 63, 48]], Cadence(0, "minor", -7, True)),
        # without the leading note; the third stands for the whole triad
        ([[74, 67, 62, 55], [72, 72, 64, 48]], Cadence(0, "major", -7, False)),
        # plagal: F A C to C
        ([[72, 69, 65, 53], [72, 67, 64, 48]], Cadence(0, "major", -5, False)),
        # a six-four chord is no triad in root position
        ([[74, 71, 67, 55], [76, 72, 67, 55]], Cadence(None, "none", None, False)),
        # held over several frames, then silence
        ([[74, 67, 59, 55], [72, 67, 64, 48], [72, 67, 64, 48], [R] * 4],
         Cadence(0, "major", -7, True)),
        ([[R] * 4], Cadence(None, "none", None, False)),
    ],
)  # fmt: skip
def test_cadences(rows, expected):
    assert cadence(Piece.of(rows)) == expected


def test_all_counts_at_once():
    piece = Piece.of([[67, 60, 55, 48], [69, 62, 57, 50], [69, 62, 57, 50],
                      [90, 62, 63, 50]])  # fmt: skip
    assert faults(piece) == Faults(
        changes=2, fifths=3, octaves=2, crossings=1, outside=1
    )
