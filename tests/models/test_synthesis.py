"""The sound has the pitches, the times and the size that it should."""

import base64
import io
import re

import numpy as np
import pytest

from lstmbook.datasets.voices import REST, Piece
from lstmbook.synthesis import RATE, audio, encode, synthesise

PIECE = Piece.of([[69], [69], [REST], [57]], name="A & A")


def loudest(wave):
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
    return spectrum.argmax() * RATE / len(wave)


def test_pitches_times_and_rests_are_heard():
    wave = synthesise(PIECE, tempo=60)
    assert wave.dtype == np.float32 and np.abs(wave).max() == pytest.approx(0.9)
    assert len(wave) / RATE == pytest.approx(4.08, abs=0.01)
    second = [wave[k * RATE : (k + 1) * RATE] for k in range(4)]
    assert loudest(second[0]) == pytest.approx(440, abs=2)
    assert loudest(second[3]) == pytest.approx(220, abs=2)
    assert np.abs(second[2][RATE // 5 :]).max() == 0
    fast = synthesise(PIECE, tempo=120)
    assert len(fast) / RATE == pytest.approx(2.08, abs=0.01)


def test_a_note_struck_again_is_louder_than_one_held():
    held = synthesise(Piece.of([[69]] * 4), tempo=60)
    struck = synthesise(
        Piece(PIECE.pitch.clamp(min=69)[:, :1], (PIECE.pitch > 0) | True), tempo=60
    )
    last = slice(3 * RATE, 4 * RATE)
    assert np.square(struck[last]).sum() > 2 * np.square(held[last]).sum()


def test_no_partial_is_folded_back():
    wave = synthesise(Piece.of([[108]]), rate=8000)  # 4186 Hz and no room above
    assert np.abs(wave).max() == 0
    assert np.isfinite(wave).all()


def test_a_clip_is_small_and_plays_back():
    soundfile = pytest.importorskip("soundfile")
    wave = synthesise(Piece.of([[72, 67, 64, 48]] * 48), tempo=80)
    clip = encode(wave, largest=150_000)
    assert len(clip) <= 150_000
    back, rate = soundfile.read(io.BytesIO(clip))
    assert rate == RATE and len(back) == pytest.approx(len(wave), abs=3000)
    k = min(len(back), len(wave)) // 2
    assert loudest(back[k : k + RATE]) == pytest.approx(loudest(wave[k : k + RATE]), 4)


def test_a_clip_that_cannot_be_small_is_refused():
    pytest.importorskip("soundfile")
    with pytest.raises(ValueError, match=r"4 s of sound take .* 2,000 are allowed"):
        encode(synthesise(PIECE, 60), largest=2000)
    for wave in ([], np.zeros((2, 9)), [np.nan]):
        with pytest.raises(ValueError, match="one channel"):
            encode(wave)
    for bad in ({"tempo": 0}, {"rate": 10}):
        with pytest.raises(ValueError, match="tempo="):
            synthesise(PIECE, **bad)


def test_a_notebook_shows_a_player_with_the_clip_inside():
    pytest.importorskip("soundfile")
    player = audio(PIECE)
    assert "'A & A'" in repr(player) and "KB of MP3" in repr(player)
    html = player._repr_html_()
    assert 'aria-label="A &amp; A"' in html and len(html) < 150_000
    data = base64.b64decode(re.search(r"base64,([^\"]*)", html)[1])
    assert data[:2] in (b"\xff\xfb", b"\xff\xf3", b"\xff\xe3") or data[:3] == b"ID3"
