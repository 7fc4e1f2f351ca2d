"""Music in voices: a grid of pitches, and its forms for a model.

piece = datasets.music.chorales("train")[0]
roll = piano_roll(piece)                       # [time, 88], 1 where a key sounds
tokens = VoiceTokens.of([piece])               # a symbol a voice and frame
assert tokens.decode(tokens.encode(piece), like=piece) == piece
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

REST = -1  # the pitch of a voice that is silent
PIANO = (21, 108)  # the 88 keys, as MIDI numbers: A0 to C8


@dataclass(frozen=True, eq=False, repr=False)
class Piece:
    """Some voices on a grid of frames, the highest part first.

    pitch: int64 [time, voices], MIDI numbers (60 is middle C); `REST` is silence
    attack: bool [time, voices], True where a note begins; a voice that sounds
        without one holds the note of the frame before
    resolution: frames in a quarter note
    sharps: of the key signature, flats as negative numbers
    meter, pickup: the time signature, and the quarter notes before the first full
        bar; for the notation only

    Pieces are equal when their notes and their resolution are.
    """

    pitch: Tensor
    attack: Tensor
    resolution: int = 1
    name: str = ""
    sharps: int = 0
    meter: str = "4/4"
    pickup: float = 0.0

    def __post_init__(self):
        pitch, attack = torch.as_tensor(self.pitch), torch.as_tensor(self.attack)
        if pitch.dim() != 2 or attack.shape != pitch.shape or pitch.numel() == 0:
            raise ValueError(
                f"pitch is {tuple(pitch.shape)} and attack {tuple(attack.shape)}: "
                "give [time, voices] for both, at least one frame and one voice"
            )
        if pitch.is_floating_point() or attack.dtype != torch.bool:
            raise ValueError(
                f"pitch is {pitch.dtype} and attack {attack.dtype}: integers and bool"
            )
        if ((pitch < 0) & (pitch != REST)).any() or (pitch > 127).any():
            raise ValueError(
                f"pitches go from {int(pitch.min())} to {int(pitch.max())}: "
                f"0 to 127, or {REST} for a rest"
            )
        if self.resolution < 1:
            raise ValueError(f"resolution={self.resolution}: at least 1 frame")
        # A note that goes on must be the note of the frame before.
        before = torch.cat([torch.full_like(pitch[:1], REST), pitch[:-1]])
        wrong = torch.where(pitch == REST, attack, ~attack & (pitch != before))
        if wrong.any():
            t, v = wrong.nonzero()[0].tolist()
            raise ValueError(
                f"frame {t}, voice {v}: pitch {int(pitch[t, v])} after "
                f"{int(before[t, v])} with attack {bool(attack[t, v])}; a rest has no "
                "attack, and a new pitch has one"
            )
        object.__setattr__(self, "pitch", pitch.long())
        object.__setattr__(self, "attack", attack)

    def __eq__(self, other) -> bool:
        return (
            isinstance(other, Piece)
            and self.resolution == other.resolution
            and torch.equal(self.pitch, other.pitch)
            and torch.equal(self.attack, other.attack)
        )

    __hash__ = None

    def __repr__(self) -> str:
        return (
            f"Piece({self.name!r}, {len(self)} frames, {self.voices} voices, "
            f"{self.resolution} a quarter)"
        )

    def __len__(self) -> int:
        return len(self.pitch)

    @property
    def voices(self) -> int:
        return self.pitch.shape[1]

    def voice(self, *numbers: int) -> "Piece":
        """Some voices alone: voice(0) is the melody of a chorale."""
        at = torch.tensor(numbers)
        return replace(self, pitch=self.pitch[:, at], attack=self.attack[:, at])

    def notes(self, voice: int) -> list[tuple[int, int, int]]:
        """(first frame, frame after the last, pitch) of each note and rest of a voice.

        They fill the time from the first frame to the last.
        """
        pitch, begins = self.pitch[:, voice], self.attack[:, voice].clone()
        rest = pitch == REST
        begins[1:] |= rest[1:] & ~rest[:-1]
        begins[0] = True
        edges = [*begins.nonzero()[:, 0].tolist(), len(pitch)]
        return [(a, b, int(pitch[a])) for a, b in pairwise(edges)]

    @classmethod
    def of(cls, pitch, **about) -> "Piece":
        """From pitches alone: a note begins wherever the pitch changes.

        Notes that are struck again on the same pitch become one long note.
        """
        pitch = torch.as_tensor(pitch)
        before = torch.cat([torch.full_like(pitch[:1], REST), pitch[:-1]])
        return cls(pitch, (pitch != before) & (pitch != REST), **about)

    @classmethod
    def of_frames(cls, frames, voices: int = 4, **about) -> "Piece":
        """From sets of notes, which do not say who sings what.

        frames: for each frame the MIDI numbers that sound, in any order

        The highest note goes to the first voice and the lowest to the last, the
        others to the voices below the first, from high to low. Where there are
        fewer notes than voices, the voices just above the last one rest: whether
        a singer was silent or doubled another one cannot be known any more. So
        each set of up to `voices` notes is one row, and each such row one set.
        """
        pitch = torch.full((len(frames), voices), REST)
        for t, frame in enumerate(frames):
            notes = sorted({int(n) for n in frame}, reverse=True)
            if len(notes) > voices:
                raise ValueError(
                    f"frame {t} has {len(notes)} notes for {voices} voices: "
                    f"give voices={len(notes)}"
                )
            if notes:
                pitch[t, : max(1, len(notes) - 1)] = torch.tensor(notes[:-1] or notes)
            if len(notes) > 1:
                pitch[t, -1] = notes[-1]
        return cls.of(pitch, **about)

    def frames(self) -> list[list[int]]:
        """What sounds in each frame, from low to high, each pitch once."""
        return [sorted({n for n in row if n != REST}) for row in self.pitch.tolist()]


def resample(piece: Piece, resolution: int) -> Piece:
    """The same piece with fewer frames in a quarter note.

    What sounds when a frame begins fills the frame; it counts as struck there if
    it began since the frame before. Shorter notes in between are lost.
    """
    step, left = divmod(piece.resolution, resolution)
    if resolution < 1 or left:
        raise ValueError(
            f"resolution={resolution}: choose a divisor of the piece's "
            f"{piece.resolution} frames in a quarter note"
        )
    rows = torch.arange(0, len(piece), step)
    pitch = piece.pitch[rows]
    begun = piece.attack.cumsum(0)[rows]
    since = torch.diff(begun, dim=0, prepend=torch.zeros_like(begun[:1]))
    attack = (since > 0) & (pitch != REST)
    return replace(piece, pitch=pitch, attack=attack, resolution=resolution)


def transpose(piece: Piece, semitones: int, compass=PIANO) -> Piece:
    """All notes higher by some semitones, or lower; rests stay.

    compass: (lowest, highest) note allowed, or one such pair for each voice;
        a note outside raises
    """
    if semitones not in room(piece, compass):
        raise ValueError(
            f"{piece.name or 'the piece'} by {semitones} semitones leaves its compass; "
            f"there is room for {room(piece, compass)}"
        )
    pitch = torch.where(piece.pitch == REST, REST, piece.pitch + semitones)
    # A fifth up is a sharp more; beyond six of them, flats are fewer.
    sharps = (piece.sharps + 7 * semitones + 5) % 12 - 5
    return replace(piece, pitch=pitch, sharps=sharps if semitones else piece.sharps)


def without_signs(piece: Piece) -> Piece:
    """Moved to the key without sharps or flats, C major or A minor mostly.

    By the key signature of the piece, up or down by six semitones at most. A chorale
    in a church mode ends in another key than its signature says, here as there.
    """
    return transpose(piece, (-7 * piece.sharps + 5) % 12 - 5)


def room(piece: Piece, compass=PIANO) -> range:
    """The transpositions that keep each voice in its compass, as a range."""
    bounds = torch.tensor(compass).expand(piece.voices, 2)
    down, up = -128, 127
    for notes, (low, high) in zip(piece.pitch.T, bounds.tolist(), strict=True):
        notes = notes[notes != REST]
        if len(notes):
            down = max(down, low - int(notes.min()))
            up = min(up, high - int(notes.max()))
    return range(down, up + 1)


def piano_roll(piece: Piece, keys=PIANO) -> Tensor:
    """Which keys sound: float32 [time, keys], 1 or 0.

    keys: (lowest, highest); a note outside raises
    """
    low, high = keys
    sounds = piece.pitch != REST
    outside = sounds & ((piece.pitch < low) | (piece.pitch > high))
    if outside.any():
        raise ValueError(
            f"{piece.name or 'the piece'} has the note "
            f"{int(piece.pitch[outside][0])}; the roll has the keys {low} to {high}"
        )
    roll = torch.zeros(len(piece), high - low + 2)  # the last column takes the rests
    roll.scatter_(1, torch.where(sounds, piece.pitch - low, high - low + 1), 1.0)
    return roll[:, :-1]


def from_piano_roll(roll: Tensor, keys=PIANO, voices: int | None = None, **about):
    """A `Piece` from a roll [time, keys], as `Piece.of_frames` gives notes to voices.

    voices: as many as the fullest frame needs, unless given
    """
    low, high = keys
    if roll.dim() != 2 or roll.shape[1] != high - low + 1:
        raise ValueError(f"roll is {tuple(roll.shape)}: give [time, {high - low + 1}]")
    frames = [(row.nonzero()[:, 0] + low).tolist() for row in roll > 0]
    return Piece.of_frames(frames, voices or max(1, *map(len, frames), 1), **about)


class VoiceTokens:
    """A vocabulary for voices: in each frame one symbol a voice, in their order.

    compass: (lowest, highest) note of each voice
    holds: whether there is a symbol for "go on as before", in a note or a rest.
        Without it each frame names its pitch again: struck or held is one

    Each voice has symbols of its own, so that a symbol says where in the frame it
    stands. Symbol 0, `boundary`, stands between pieces.
    """

    boundary = 0

    def __init__(self, compass, holds: bool = True):
        self.compass = [tuple(map(int, pair)) for pair in compass]
        self.holds = bool(holds)
        if not self.compass or any(low > high for low, high in self.compass):
            raise ValueError(
                f"compass={self.compass}: give (lowest, highest) for each voice"
            )
        sizes = [high - low + 2 + holds for low, high in self.compass]
        starts = torch.tensor([0, *sizes]).cumsum(0) + 1
        self._first, self._size = starts[:-1], int(starts[-1])

    @classmethod
    def of(cls, pieces, holds: bool = True, margin: int = 0) -> "VoiceTokens":
        """With the compass that some pieces need, and `margin` semitones beyond."""
        voices = {piece.voices for piece in pieces}
        if len(voices) != 1:
            raise ValueError(
                f"the pieces have {sorted(voices)} voices: give pieces of one number"
            )
        pitch = torch.cat([piece.pitch for piece in pieces])
        compass = []
        for number, notes in enumerate(pitch.T):
            notes = notes[notes != REST]
            if not len(notes):
                raise ValueError(f"voice {number} has no note in any piece")
            low, high = int(notes.min()) - margin, int(notes.max()) + margin
            compass.append((max(0, low), min(127, high)))
        return cls(compass, holds)

    def __len__(self) -> int:
        return self._size

    def __repr__(self) -> str:
        return f"VoiceTokens({self.compass}, holds={self.holds})"

    @property
    def voices(self) -> int:
        return len(self.compass)

    def symbols(self, voice: int) -> Tensor:
        """The symbols of one voice: rest, hold if there is one, then the pitches."""
        low, high = self.compass[voice]
        first = int(self._first[voice])
        return torch.arange(first, first + high - low + 2 + self.holds)

    def followers(self) -> Tensor:
        """bool [V, V]: which symbols may stand behind which.

        Behind a voice comes the next one; behind the last, and behind the boundary,
        the first; behind the last also the boundary.
        """
        allowed = torch.zeros(len(self), len(self), dtype=torch.bool)
        for voice in range(self.voices):
            after = (voice + 1) % self.voices
            allowed[self.symbols(voice)[:, None], self.symbols(after)] = True
        allowed[self.symbols(self.voices - 1), self.boundary] = True
        allowed[self.boundary, self.symbols(0)] = True
        return allowed

    def encode(self, piece: Piece) -> Tensor:
        """int64 [time * voices]: frame after frame, voice after voice.

        Raises ValueError for another number of voices and for a note outside the
        compass of its voice.
        """
        name = piece.name or "the piece"
        if piece.voices != self.voices:
            raise ValueError(
                f"{name} has {piece.voices} voices, these tokens are for {self.voices}"
            )
        low, high = torch.tensor(self.compass).T
        sounds = piece.pitch != REST
        outside = sounds & ((piece.pitch < low) | (piece.pitch > high))
        if outside.any():
            t, v = outside.nonzero()[0].tolist()
            raise ValueError(
                f"{name}, frame {t}: voice {v} has the note {int(piece.pitch[t, v])}, "
                f"its compass is {self.compass[v]}; transpose the piece or give a "
                "wider compass (margin=...)"
            )
        number = torch.where(sounds, piece.pitch - low + 1 + self.holds, 0)
        if self.holds:
            held = sounds & ~piece.attack
            held[1:] |= ~sounds[1:] & ~sounds[:-1]
            number = torch.where(held, 1, number)
        return (number + self._first).flatten()

    def decode(self, ids, like: Piece | None = None, **about) -> Piece:
        """The piece that symbols [time * voices] stand for; boundaries are left out.

        like: a piece whose resolution, key and meter it shall have; or give them
        A hold at the beginning holds silence. Raises ValueError for symbols that do
        not come in the order of the voices.
        """
        ids = torch.as_tensor(ids)
        ids = ids[ids != self.boundary]
        if ids.dim() != 1 or len(ids) == 0 or len(ids) % self.voices:
            raise ValueError(
                f"symbols {tuple(ids.shape)}: no whole frames of {self.voices} voices"
            )
        number = ids.view(-1, self.voices) - self._first
        sizes = torch.tensor([len(self.symbols(v)) for v in range(self.voices)])
        wrong = (number < 0) | (number >= sizes)
        if wrong.any():
            t, v = wrong.nonzero()[0].tolist()
            raise ValueError(
                f"symbol {int(ids.view(-1, self.voices)[t, v])} in frame {t} does not "
                f"belong to voice {v}"
            )
        low = torch.tensor(self.compass)[:, 0]
        pitch = torch.where(number == 0, REST, number - (1 + self.holds) + low)
        if like is not None:
            about = {
                "resolution": like.resolution, "sharps": like.sharps,
                "meter": like.meter, "pickup": like.pickup,
            } | about  # fmt: skip
        if not self.holds:
            return Piece.of(pitch, **about)
        attack, now = number > 1, torch.full((self.voices,), REST)
        for t in range(len(pitch)):
            now = torch.where(number[t] == 1, now, pitch[t])
            pitch[t] = now
        return Piece(pitch, attack, **about)

    def stream(self, pieces) -> Tensor:
        """All pieces in a row, a boundary before each and one at the end: int64 [N]."""
        edge = torch.tensor([self.boundary])
        return torch.cat([edge, *(t for p in pieces for t in (self.encode(p), edge))])

    def config(self) -> dict:
        """The arguments that make it again, for `lstmbook.save`."""
        return {"compass": [list(p) for p in self.compass], "holds": self.holds}
