"""Scores: pieces to notation and files, and back.

    write(piece, "chorale.mid"); write(piece, "chorale.musicxml")
    piece = read("chorale.musicxml", resolution=4)
    notation(piece)                          # in a notebook: the score, engraved

music21 holds the notes, verovio engraves them; both come with `lstmbook[music]`.
"""

import base64
import math
import re
from pathlib import Path

import torch

from .datasets.voices import REST, Piece

# The parts of a chorale and their clefs, as singers expect them.
PARTS = ("Soprano", "Alto", "Tenor", "Bass")
FILL = "fill"
CLEFS = ("TrebleClef", "TrebleClef", "Treble8vbClef", "BassClef")


def to_music21(piece: Piece):
    """A music21 `Score`, a part a voice, with bars, key and meter.

    Four voices get the names and clefs of a choir.
    """
    from music21 import clef, key, metadata, meter, note, stream

    bar = meter.TimeSignature(piece.meter).barDuration.quarterLength
    score = stream.Score()
    score.metadata = metadata.Metadata(title=piece.name or "Untitled")
    choir = piece.voices == len(PARTS)
    for number in range(piece.voices):
        name = PARTS[number] if choir else f"Voice {number + 1}"
        part = stream.Part(id=name, partName=name)
        if choir:
            part.append(getattr(clef, CLEFS[number])())
        part.append(key.KeySignature(piece.sharps))
        part.append(meter.TimeSignature(piece.meter))
        if piece.pickup:
            # a silence up to the pickup, taken out again once there are bars
            part.append(note.Rest(quarterLength=bar - piece.pickup, id=FILL))
        for start, stop, pitch in piece.notes(number):
            length = {"quarterLength": (stop - start) / piece.resolution}
            one = note.Rest(**length) if pitch == REST else note.Note(pitch, **length)
            if pitch != REST:
                one.pitch = _spelled(one.pitch, piece.sharps)
            part.append(one)
        score.insert(0, _in_bars(part, piece.pickup))
    return score


def from_music21(
    score, resolution: int = 4, *, parts=None, chords: str = "refuse",
    name: str = "", trim: bool = False,
) -> Piece:  # fmt: skip
    """A `Piece` from a music21 score, a voice for each of its parts.

    resolution: frames in a quarter note. Where a note begins and ends is rounded to
        the grid; of two that begin in one frame the later stays, and a note that is
        rounded to nothing, an ornament for instance, is lost
    parts: numbers of the parts to read, all unless given
    chords: what to do with several notes at once in a part: "refuse" raises,
        "highest" keeps the highest
    trim: leave out the silence behind the last note
    """
    every = list(score.parts) or [score]
    chosen = every if parts is None else [every[k] for k in parts]
    T = math.ceil(score.highestTime * resolution)
    if T == 0:
        raise ValueError(f"{name or 'the score'} has no notes")
    pitch = torch.full((T, len(chosen)), REST)
    attack = torch.zeros(T, len(chosen), dtype=torch.bool)
    for v, part in enumerate(chosen):
        flat = part.flatten()
        # by time; a later note overwrites what an earlier one left sounding
        for one in sorted(flat.notes, key=lambda n: n.offset):
            if len(one.pitches) > 1 and chords == "refuse":
                raise ValueError(
                    f"{name or 'the score'}: part {v} has {len(one.pitches)} notes at "
                    f"quarter {float(one.offset)}; a voice sings one "
                    '(chords="highest" keeps the highest)'
                )
            start = round(one.offset * resolution)
            end = round((one.offset + one.quarterLength) * resolution)
            if end <= start or start >= T:
                continue
            goes_on = one.tie is not None and one.tie.type in ("stop", "continue")
            midi = max(p.midi for p in one.pitches)
            goes_on = goes_on and start > 0 and int(pitch[start - 1, v]) == midi
            pitch[start:end, v] = midi
            attack[start:end, v] = False
            attack[start, v] = not goes_on
    sounding = (pitch != REST).any(1).nonzero()[:, 0]
    if not len(sounding):
        raise ValueError(f"{name or 'the score'} has no notes")
    T = int(sounding[-1]) + 1 if trim else T
    about = _about(chosen[0])
    return Piece(pitch[:T], attack[:T], resolution=resolution, name=name, **about)


def write(piece: Piece, path) -> Path:
    """Save as MIDI (.mid, .midi) or MusicXML (.musicxml, .xml, .mxl).

    MIDI knows no rests and no pickup: silence at the end is lost there.
    """
    path = Path(path)
    kinds = {".mid": "midi", ".midi": "midi", ".musicxml": "musicxml",
             ".xml": "musicxml", ".mxl": "mxl"}  # fmt: skip
    kind = kinds.get(path.suffix.lower())
    if kind is None:
        raise ValueError(f"{path.name}: name it {', '.join('*' + k for k in kinds)}")
    options = {} if kind == "midi" else {"makeNotation": False}
    to_music21(piece).write(kind, fp=path, **options)
    return path


def read(path, resolution: int = 4, **options) -> Piece:
    """A score file (MIDI, MusicXML, ABC, **kern, ...) as a `Piece`.

    options: as in `from_music21`
    Raises FileNotFoundError, and ValueError for a file that is no score.
    """
    from music21 import converter

    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        # forceSource: no pickled copy of an earlier parse is trusted
        score = converter.parse(path, forceSource=True)
    except Exception as error:  # each of music21's readers has errors of its own
        raise ValueError(f"{path} cannot be read as a score: {error}") from error
    if not hasattr(score, "parts"):
        raise ValueError(f"{path} holds {len(score.scores)} pieces: one a file")
    # a MIDI file is filled up to a whole bar with a silence that nobody wrote
    options = {"name": path.stem, "trim": path.suffix.startswith(".mid"), **options}
    return from_music21(score, resolution, **options)


def from_abc(tune: str, resolution: int = 4, **options) -> Piece:
    """A tune in ABC, such as `FolkTune.abc` or one that a model wrote, as a `Piece`.

    options: as in `from_music21`
    Raises ValueError for what is no ABC: a model may well write such.
    """
    from music21 import converter

    try:
        score = converter.parse(f"X:1\n{tune}", format="abc", forceSource=True)
    except Exception as error:  # the reader has many kinds
        raise ValueError(f"the tune cannot be read as ABC: {error}") from error
    return from_music21(score, resolution, **{"chords": "highest", **options})


def svg(piece: Piece, width: int = 1600, scale: int = 40) -> str:
    """The engraved score on one page, as SVG.

    width: of the page, in verovio's units (a tenth of a millimetre)
    scale: percent
    """
    import verovio
    from music21.musicxml.m21ToXml import GeneralObjectExporter

    verovio.enableLog(verovio.LOG_OFF)
    toolkit = verovio.toolkit()
    toolkit.setOptions({
        "pageWidth": width, "pageHeight": 60_000, "adjustPageHeight": True,
        "scale": scale, "header": "none", "footer": "none", "breaks": "auto",
        "svgViewBox": True, "svgRemoveXlink": True, "xmlIdSeed": 1,
    })  # fmt: skip
    exporter = GeneralObjectExporter(to_music21(piece))
    exporter.makeNotation = False
    xml = exporter.parse().decode()
    if not toolkit.loadData(xml):
        raise ValueError("verovio could not read the score")
    return _smaller(toolkit.renderToSVG(1))


class Notation:
    """A picture of a score that a notebook shows, as HTML with the SVG inside."""

    def __init__(self, svg: str, alt: str):
        self.svg, self.alt = svg, alt

    def _repr_html_(self) -> str:
        from html import escape

        data = base64.b64encode(self.svg.encode()).decode()
        return (
            f'<img alt="{escape(self.alt)}" style="background:#fff;max-width:100%" '
            f'src="data:image/svg+xml;base64,{data}">'
        )


def notation(piece: Piece, alt: str | None = None, **options) -> Notation:
    """The score for a notebook; options as in `svg`.

    alt: what one would see, for those who do not
    """
    quarters = len(piece) / piece.resolution
    alt = alt or f"Score of {piece.name or 'a piece'}, {quarters:g} quarter notes"
    return Notation(svg(piece, **options), alt)


def _smaller(svg: str) -> str:
    """Half the size: without spaces between elements and ids that nothing uses."""
    used = set(re.findall(r'href="#([^"]+)"|#(\w+) g\.', svg))
    used = {name for pair in used for name in pair}
    svg = re.sub(r' id="([^"]+)"', lambda m: m[0] if m[1] in used else "", svg)
    return re.sub(r">\s+<", "><", svg)


def _in_bars(part, pickup: float):
    """The part cut into bars, with ties across them and beams."""
    from music21 import stream
    from music21.stream import makeNotation

    part = part.makeMeasures()
    part.makeTies(inPlace=True)  # before the first bar is cut: it looks at full bars
    if pickup:
        bars = list(part.getElementsByClass(stream.Measure))
        first, fill = bars[0], bars[0].getElementById(FILL)
        missing = fill.quarterLength
        first.remove(fill)
        for one in first.notesAndRests:
            one.setOffsetBySite(first, one.getOffsetBySite(first) - missing)
        first.paddingLeft = missing
        for number, one in enumerate(bars):
            one.number = number
            if number:
                part.setElementOffset(one, one.getOffsetBySite(part) - missing)
    part = part.splitAtDurations(recurse=True)[0]
    makeNotation.makeAccidentalsInMeasureStream(part)
    part.makeBeams(inPlace=True)
    return part


def _spelled(pitch, sharps: int):
    """F sharp or G flat: which one lies nearer to the key on the line of fifths."""
    from music21 import pitch as pitches

    fifths = {0: 0, 2: 2, 4: 4, 5: -1, 7: 1, 9: 3, 11: 5}  # C D E F G A B
    names = {0: "C", 2: "D", 4: "E", 5: "F", 7: "G", 9: "A", 11: "B"}
    around = sharps + 2  # the middle of the seven notes of the key
    choices = []
    for step, place in fifths.items():
        for accidental, sign in ((-1, "-"), (0, ""), (1, "#")):
            if (step + accidental) % 12 == pitch.midi % 12:
                far = abs(place + 7 * accidental - around)
                octave = (pitch.midi - accidental) // 12 - 1
                # as near: without a sign, else raised, as a leading note would be
                spelling = f"{names[step]}{sign}{octave}"
                choices.append((far, abs(accidental), -accidental, spelling))
    return pitches.Pitch(min(choices)[-1])


def _about(part) -> dict:
    """Key, meter and pickup of a part, where it has them."""
    about = {}
    for signature in part.recurse().getElementsByClass("KeySignature"):
        about["sharps"] = signature.sharps
        break
    for signature in part.recurse().getElementsByClass("TimeSignature"):
        about["meter"] = signature.ratioString
        break
    for bar in part.getElementsByClass("Measure"):
        full = bar.barDuration.quarterLength
        if 0 < bar.highestTime < full:
            about["pickup"] = float(bar.highestTime)
        break
    return about
