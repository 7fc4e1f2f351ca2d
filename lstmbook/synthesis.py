"""A piece as sound, small enough to stay in a page.

    wave = synthesise(piece, tempo=80)     # float32 [samples], -1 to 1
    audio(piece)                           # a player for a notebook

Additive: each note is a handful of harmonics with an attack and a decay, such as a
small organ's. It is to hear harmony with, not to enjoy.
"""

import base64
import io

import numpy as np

from .datasets.voices import REST, Piece

RATE = 16_000  # samples a second
HARMONICS = (1.0, 0.5, 0.3, 0.12, 0.08)  # loudness of the 1st, 2nd, ... partial
LARGEST = 150_000  # bytes of a clip in a page


def synthesise(piece: Piece, tempo: float = 80, rate: int = RATE) -> np.ndarray:
    """The sound of a piece: float32 [samples], at most 0.9 in size.

    tempo: quarter notes a minute
    rate: samples a second; partials above half of it are left out
    """
    if not tempo > 0 or rate < 1000:
        raise ValueError(f"tempo={tempo}, rate={rate}: above 0, and at least 1000")
    second = rate * 60 / tempo / piece.resolution  # samples in a frame
    release = int(0.08 * rate)
    wave = np.zeros(round(len(piece) * second) + release + 1)
    notes = [note for voice in range(piece.voices) for note in piece.notes(voice)]
    for start, stop, midi in notes:
        if midi == REST:
            continue
        a, b = round(start * second), round(stop * second) + release
        wave[a:b] += _note(midi, b - a, release, rate)
    peak = np.abs(wave).max()
    return (wave * (0.9 / peak if peak else 1)).astype(np.float32)


def encode(wave, rate: int = RATE, largest: int = LARGEST) -> bytes:
    """A mono sound as MP3, as well as it fits into `largest` bytes.

    Raises ValueError when the sound is too long for that at the lowest quality.
    """
    import soundfile

    wave = np.asarray(wave, dtype=np.float32)
    if wave.ndim != 1 or not len(wave) or not np.isfinite(wave).all():
        raise ValueError(
            f"wave has shape {wave.shape}: give finite samples [time], one channel"
        )
    for quality in (0.5, 0.8, 0.95):  # compression: 0 is best, 1 smallest
        out = io.BytesIO()
        soundfile.write(out, wave, rate, format="MP3", compression_level=quality)
        if out.tell() <= largest:
            return out.getvalue()
    raise ValueError(
        f"{len(wave) / rate:.0f} s of sound take {out.tell():,} bytes, {largest:,} "
        "are allowed: give a shorter piece or a faster tempo"
    )


class Sound:
    """A clip that a notebook plays, with its bytes inside the page."""

    def __init__(self, mp3: bytes, label: str = ""):
        self.mp3, self.label = mp3, label

    def __repr__(self) -> str:
        return f"a player for {self.label!r}, {len(self.mp3) / 1000:.0f} KB of MP3"

    def _repr_html_(self) -> str:
        from html import escape

        data = base64.b64encode(self.mp3).decode()
        return (
            f'<audio controls aria-label="{escape(self.label)}" '
            f'src="data:audio/mpeg;base64,{data}"></audio>'
        )


def audio(piece: Piece, tempo: float = 80, largest: int = LARGEST) -> Sound:
    """A player for a notebook, its clip at most `largest` bytes."""
    # base64 takes four characters for three bytes
    mp3 = encode(synthesise(piece, tempo), RATE, largest * 3 // 4)
    return Sound(mp3, piece.name or "a piece")


def _note(midi: int, samples: int, release: int, rate: int) -> np.ndarray:
    t = np.arange(samples) / rate
    f = 440 * 2 ** ((midi - 69) / 12)
    wave = sum(
        loud * np.sin(2 * np.pi * f * k * t)
        for k, loud in enumerate(HARMONICS, 1)
        if f * k < rate / 2
    )
    envelope = np.minimum(1, t / 0.015) * np.exp(-0.6 * t)
    envelope[-release:] *= np.linspace(1, 0, release)
    return wave * envelope
