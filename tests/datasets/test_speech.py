"""Sound from files: read, resampled, refused; digits, strings, synthetic accents."""

import importlib.util
import math

import numpy as np
import pytest
import torch

from lstmbook.datasets import DataUnavailable, accents, available, speech
from lstmbook.datasets.speech import (
    DIGITS,
    SPEAKERS,
    Utterance,
    digit_strings,
    fsdd,
    joined_words,
    leave_one_out,
    read_wav,
    spoken_digits,
)

soundfile = pytest.importorskip("soundfile")


def tone(hertz=440, seconds=0.5, rate=8000):
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)


@pytest.fixture
def write(tmp_path):
    def write(samples, rate=8000, name="a.wav", **options):
        path = tmp_path / name
        soundfile.write(path, samples, rate, **options)
        return path

    return write


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 11025])
def test_any_rate_becomes_the_one_asked_for(write, rate):
    pytest.importorskip("librosa")
    wave = read_wav(write(tone(440, rate=rate), rate), 8000)
    assert wave.dtype == torch.float32 and abs(len(wave) - 4000) <= 1
    spectrum = torch.fft.rfft(wave).abs()
    assert int(spectrum.argmax()) * 8000 / len(wave) == pytest.approx(440, abs=3)
    assert float(wave[100:-100].abs().max()) == pytest.approx(0.5, abs=0.01)


def test_channels_are_averaged_and_formats_are_read(write):
    both = np.stack([tone(), np.zeros(4000)], axis=1)
    left = read_wav(write(both))
    np.testing.assert_allclose(left.numpy(), tone() / 2, atol=1e-3)
    for options in ({"name": "a.flac"}, {"subtype": "FLOAT"}, {"subtype": "PCM_U8"}):
        wave = read_wav(write(tone(), **options))
        np.testing.assert_allclose(wave.numpy(), tone(), atol=0.01)


def test_what_holds_no_word_is_refused_with_the_reason(write, tmp_path):
    opposite = np.stack([tone(), -tone()], axis=1)
    nan = tone()
    nan[7] = math.nan
    for samples, words in (
        (np.zeros(4000), "silent.*microphone"),
        (np.full(4000, 0.3), "silent"),  # a constant is no sound
        (opposite, "channels cancel"),
        (tone(seconds=0.03), "30 ms, shorter than shortest=50 ms"),
        (tone(seconds=61), "61.0 s, longer than longest=60"),
        (np.zeros(0), "no samples"),
    ):
        with pytest.raises(ValueError, match=words):
            read_wav(write(samples))
    with pytest.raises(ValueError, match="not finite"):
        read_wav(write(nan, subtype="FLOAT"))
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_wav(tmp_path / "none.wav")
    assert len(read_wav(write(tone(seconds=0.03)), shortest=0.01)) == 240


def test_broken_files_are_refused(write, tmp_path):
    path = write(tone())
    whole = path.read_bytes()
    for content, words in (
        (b"", "empty file"),
        (b"RIFF", "cannot|can be read|cut off"),
        (b"hello, I am a text\n" * 50, "is not a sound"),
        (whole[:2000], "was cut off: its head speaks of 8,044 bytes, 2,000"),
        (whole[:8] + b"JUNK" + whole[12:], "is not a sound"),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=words):
            read_wav(path)
    # a size that a pipe could not know is no cut
    path.write_bytes(whole[:4] + b"\xff\xff\xff\xff" + whole[8:])
    assert len(read_wav(path)) == 4000


# -- strings of digits -------------------------------------------------------


def some_words(n=20):
    g = torch.Generator().manual_seed(0)
    return [
        Utterance(
            torch.full((int(torch.randint(3, 9, (1,), generator=g)),), k + 1.0),
            DIGITS[k % 10], ("ann", "bob")[k % 2],
        )
        for k in range(n)
    ]  # fmt: skip


def test_strings_are_words_of_one_speaker_with_their_places():
    words = some_words()
    by_value = {float(u.sound[0]): u for u in words}
    strings = digit_strings(words, 50, digits=(2, 4), pause=(1, 3), seed=3)
    assert {len(s.spans) for s in strings} == {2, 3, 4}
    for s in strings:
        said, end = s.text.split(), 0
        assert len(said) == len(s.spans)
        for word, (a, b) in zip(said, s.spans, strict=True):
            source = by_value[float(s.sound[a])]
            assert torch.equal(s.sound[a:b], source.sound)
            assert (source.text, source.speaker) == (word, s.speaker)
            assert (s.sound[end:a] == 0).all() and (a == 0 or 1 <= a - end <= 3)
            end = b
        assert end == len(s.sound)


def test_one_seed_gives_the_same_strings_and_another_others():
    words = some_words()
    a, b, c = (digit_strings(words, 5, seed=s) for s in (1, 1, 2))
    assert [u.text for u in a] == [u.text for u in b] != [u.text for u in c]
    assert all(torch.equal(u.sound, v.sound) for u, v in zip(a, b, strict=True))


def test_strings_of_features_have_no_pauses():
    words = [Utterance(torch.randn(5, 3), "one"), Utterance(torch.randn(4, 3), "two")]
    [string] = digit_strings(words, 1, digits=(3, 3))
    assert string.sound.shape == (string.spans[-1][1], 3)
    for options, words_ in (
        ({"pause": (1, 2)}, "zeros are silence in samples only"),
        ({"digits": (0, 2)}, r"digits=\(0, 2\)"),
        ({"pause": (3, 2)}, r"pause=\(3, 2\)"),
    ):
        with pytest.raises(ValueError, match=words_):
            digit_strings(words, 1, **options)
    with pytest.raises(ValueError, match="no utterances"):
        digit_strings([], 1)


def test_texts_of_ones_own_are_said_word_for_word_by_one_speaker():
    words = [
        u._replace(speaker=("ann", "bob")[k // 10]) for k, u in enumerate(some_words())
    ]
    by_value = {float(u.sound[0]): u for u in words}
    texts = ["one nine eight four", "five"]
    strings = joined_words(words, texts * 10, pause=(1, 3), seed=3)
    assert [s.text for s in strings] == texts * 10
    for s in strings:
        for word, (a, b) in zip(s.text.split(), s.spans, strict=True):
            source = by_value[float(s.sound[a])]
            assert torch.equal(s.sound[a:b], source.sound)
            assert (source.text, source.speaker) == (word, s.speaker)
    again = joined_words(words, texts * 10, pause=(1, 3), seed=3)
    assert all(
        torch.equal(a.sound, b.sound) for a, b in zip(strings, again, strict=True)
    )
    assert {s.speaker for s in strings} == {"ann", "bob"}
    for text in ("", "one umbrella"):
        with pytest.raises(ValueError, match="the recordings of"):
            joined_words(words, [text])


# -- the real recordings -----------------------------------------------------


def test_all_3000_recordings_as_mfccs():
    try:
        parts = {s: spoken_digits(s) for s in ("train", "valid", "test")}
    except DataUnavailable as error:
        pytest.skip(f"neither in the cache nor within reach: {error}")
    assert [len(p) for p in parts.values()] == [2100, 450, 450]
    for part in parts.values():
        counts = [sum(u.text == d for u in part) for d in DIGITS]
        assert len(set(counts)) == 1
        assert all(u.sound.shape[1] == 13 for u in part)
    everything = [u for part in parts.values() for u in part]
    assert sum(len(u.sound) for u in everything) == 53_999
    # no recording is in two parts
    assert len({u.sound.numpy().tobytes() for u in everything}) == 3000


def test_recordings_have_their_speakers_and_their_split():
    if not available("fsdd"):
        pytest.skip("not in the cache: python -m lstmbook.datasets fsdd")
    test = fsdd("test")
    assert len(test) == 300 and {u.speaker for u in test} == set(SPEAKERS)
    assert all(u.sound.dim() == 1 and u.text in DIGITS for u in test)
    assert len(fsdd("train", "theo")) == 450
    train, apart = leave_one_out("lucas")
    assert (len(train), len(apart)) == (2500, 500)
    assert {u.speaker for u in apart} == {"lucas"}
    assert {u.speaker for u in train} == set(SPEAKERS) - {"lucas"}


def test_unknown_parts_and_speakers_are_named():
    for load in (spoken_digits, fsdd):
        with pytest.raises(ValueError, match="has no split 'dev'; it has: "):
            load("dev")
    with pytest.raises(ValueError, match=r"no speakers \['ann'\]; it has: \('george'"):
        leave_one_out("ann")


# -- synthetic speech --------------------------------------------------------


def test_without_its_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(accents, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'lstmbook\[accents\]'"):
        accents.phrases(1)


@pytest.fixture(scope="module")
def spoken():
    if importlib.util.find_spec("espeakng_loader") is None:
        pytest.skip("needs the extra accents")
    pytest.importorskip("librosa")
    return accents.phrases(24, seed=4)


def test_phrases_are_said_at_the_rate_and_length_of_speech(spoken):
    for u in spoken:
        words = u.text.split()
        assert u.sound.dtype == torch.float32 and u.sound.abs().max() <= 1.5
        assert 0.1 < len(u.sound) / 8000 / len(words) < 1.2
        accent, voice = u.speaker.split("+")
        assert accent in accents.ACCENTS and voice in accents.VOICES
        assert len(u.spans) == len(words)
        for (a, b), (c, _) in zip(u.spans, [*u.spans[1:], (len(u.sound), 0)]):  # noqa: B905
            assert a < b == c
    assert len({u.speaker for u in spoken}) > 12


def test_one_seed_says_the_same_again(spoken):
    again = accents.phrases(24, seed=4)
    assert [u[1:] for u in again] == [u[1:] for u in spoken]
    assert all(torch.equal(u.sound, v.sound) for u, v in zip(again, spoken))  # noqa: B905
    other = accents.phrases(24, seed=5)
    assert [u.text for u in other] != [u.text for u in spoken]


def test_accent_voice_rate_and_pitch_are_heard(spoken):
    def say(**options):
        return accents.speak(["seven nine"], **options)[0].sound

    plain = say()
    assert len(say(rate=300)) < 0.8 * len(plain) < 0.8 * len(say(rate=100))
    for options in ({"voice": "en-gb-scotland"}, {"voice": "en-us+f3"}, {"pitch": 80}):
        other = say(**options)
        n = min(len(other), len(plain))
        assert (other[:n] - plain[:n]).abs().max() > 0.05
    assert abs(len(say(sample_rate=16000)) - 2 * len(plain)) <= 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"voice": "klingon"}, "no accent 'klingon'"),
        ({"voice": "en-us+zz"}, "no voice 'zz'; there are: .*f1"),
        ({"rate": 20}, "rate=20"),
        ({"pitch": 120}, "pitch=120"),
    ],
)
def test_what_espeak_would_ignore_is_refused(spoken, options, words):
    with pytest.raises(ValueError, match=words):
        accents.speak(["one"], **options)


def test_nothing_to_say_is_refused(spoken):
    with pytest.raises(ValueError, match="nothing to say"):
        accents.speak(["  "])
    with pytest.raises(ValueError, match="give a list"):
        accents.speak("one two")
    with pytest.raises(ValueError, match="accents="):
        accents.phrases(1, accents=[])
    assert accents.phrases(0) == [] and speech.FSDD_RATE == 8000
