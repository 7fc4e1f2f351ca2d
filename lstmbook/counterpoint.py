"""What a teacher of four-part writing marks: counted, so that it can be compared.

    faults(piece)           # Faults(changes=57, fifths=2, octaves=1, ...)
    parallels(piece)        # where: [Parallel(frame=12, upper=1, lower=3, ...)]
    cadence(piece)          # how it ends

Bach breaks each of these rules now and then: count his pieces on the same grid
before you judge another's. All functions take `lstmbook.datasets.voices.Piece`.
"""

from itertools import combinations
from typing import NamedTuple

import torch

from .datasets.voices import REST, Piece

# (lowest, highest) for soprano, alto, tenor, bass.
CHOIR = ((60, 81), (53, 76), (48, 69), (36, 64))


class Parallel(NamedTuple):
    """Two voices in parallel: numbers of voices, and 7 (fifths) or 0 (octaves)."""

    frame: int  # where the second of the two intervals begins
    upper: int
    lower: int
    interval: int


class Faults(NamedTuple):
    """How often, in one piece.

    changes: frames in which some voice moves to another pitch: what to divide by
    fifths, octaves: parallel ones; octaves include unisons
    crossings: frames with a voice below its lower neighbour
    outside: notes struck outside the compass
    """

    changes: int
    fifths: int
    octaves: int
    crossings: int
    outside: int


class Cadence(NamedTuple):
    """The end of a piece.

    root: pitch class of the last chord (0 is C), None when it is no triad in root
        position; quality: "major", "minor" or "none" likewise
    bass: the last step of the lowest voice in semitones, None when it stands still
    authentic: a triad in root position, reached in the bass by a fourth up or a fifth
        down, with the leading note of its root in the chord before
    """

    root: int | None
    quality: str
    bass: int | None
    authentic: bool


def parallels(piece: Piece) -> list[Parallel]:
    """Parallel fifths, octaves and unisons, by time.

    Counted where two voices move in the same frame and in the same direction from
    a fifth to a fifth (7 semitones, or with octaves between), or from an octave or
    unison to one. Voices that repeat their notes are not in motion. On a coarse grid
    notes in between are unseen: it hides some and makes up others.
    """
    found, pitch = [], piece.pitch
    before, after = pitch[:-1], pitch[1:]
    step = (after - before).where((before != REST) & (after != REST), 0)
    for upper, lower in combinations(range(piece.voices), 2):
        together = step[:, upper].sign() * step[:, lower].sign() > 0
        was = (before[:, upper] - before[:, lower]).abs() % 12
        now = (after[:, upper] - after[:, lower]).abs() % 12
        for interval in (7, 0):
            hit = together & (was == interval) & (now == interval)
            # a fifth to a twelfth, with both upwards, is parallel as well
            found += [
                Parallel(int(t) + 1, upper, lower, interval)
                for t in hit.nonzero()[:, 0]
            ]
    return sorted(found)


def crossings(piece: Piece) -> list[tuple[int, int]]:
    """(frame, voice) wherever a voice sounds below the next lower one."""
    upper, lower = piece.pitch[:, :-1], piece.pitch[:, 1:]
    crossed = (upper < lower) & (upper != REST) & (lower != REST)
    return [tuple(place) for place in crossed.nonzero().tolist()]


def outside(piece: Piece, compass=CHOIR) -> list[tuple[int, int]]:
    """(frame, voice) of each note that is struck outside the compass of its voice."""
    if len(compass) != piece.voices:
        raise ValueError(
            f"the piece has {piece.voices} voices, the compass {len(compass)}: "
            "give (lowest, highest) for each voice"
        )
    low, high = torch.tensor(compass).T
    wrong = piece.attack & ((piece.pitch < low) | (piece.pitch > high))
    return [tuple(place) for place in wrong.nonzero().tolist()]


def cadence(piece: Piece) -> Cadence:
    """How the piece ends, after the rests at its end are left out."""
    sounding = (piece.pitch != REST).any(1).nonzero()[:, 0]
    if not len(sounding):
        return Cadence(None, "none", None, False)
    rows = piece.pitch[: int(sounding[-1]) + 1].tolist()
    last = [n for n in rows[-1] if n != REST]
    low = min(last)
    quality = {(0, 4, 7): "major", (0, 3, 7): "minor"}.get(
        tuple(sorted({(n - low) % 12 for n in last})), "none"
    )
    if quality == "none" and {(n - low) % 12 for n in last} == {0, 4}:
        quality = "major"  # Bach often leaves the fifth out at the end
    bass, authentic, previous = None, False, []
    for row in reversed(rows[:-1]):
        notes = [n for n in row if n != REST]
        if notes and min(notes) != low:
            bass, previous = low - min(notes), notes
            break
    if quality != "none" and bass in (5, -7):
        authentic = any((n - low) % 12 == 11 for n in previous)
    return Cadence(low % 12 if quality != "none" else None, quality, bass, authentic)


def faults(piece: Piece, compass=CHOIR) -> Faults:
    """All counts at once, of pieces with as many voices as the compass."""
    moves = (piece.pitch[1:] != piece.pitch[:-1]).any(1)
    kinds = [p.interval for p in parallels(piece)]
    return Faults(
        changes=int(moves.sum()),
        fifths=kinds.count(7),
        octaves=kinds.count(0),
        crossings=len({frame for frame, _ in crossings(piece)}),
        outside=len(outside(piece, compass)),
    )
