"""Synthetic speech: English phrases in eight accents and many voices, by eSpeak NG.

phrases(200, seed=0)                    # commands and digit strings, mixed voices
speak(["call two seven nine"], voice="en-gb-scotland+f2", rate=150)

SYNTHETIC: made by rule from formants, with no noise, no breath and no room. A voice
says a word nearly the same way each time. It serves to see a recogniser at work and
to hold out an accent; an error rate on it says nothing about people. Needs the extra
`accents` (espeakng-loader; eSpeak NG is GPL-3.0-or-later) and runs it as a program.
"""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from .speech import DIGITS, FSDD_RATE, Utterance

__all__ = ["ACCENTS", "VOICES", "phrases", "speak"]

# "en" is what eSpeak NG calls its British one; gbclan is Lancashire, gbcwmd the
# West Midlands, 029 the Caribbean.
ACCENTS = (
    "en", "en-us", "en-us-nyc", "en-029", "en-gb-scotland", "en-gb-x-rp",
    "en-gb-x-gbclan", "en-gb-x-gbcwmd",
)  # fmt: skip
# The plain ones; eSpeak NG has a hundred, whispers and robots among them.
VOICES = (
    "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "f1", "f2", "f3", "f4", "f5",
    "adam", "belinda", "caleb", "ed", "linda", "Michael", "steph",
)  # fmt: skip

TEMPLATES = (
    "call {digit} {digit} {digit}",
    "room {digit} {digit}",
    "gate {digit} {side} side",
    "turn {side} at door {digit}",
    "open the {colour} {thing}",
    "close the {colour} {thing}",
    "bring {digit} {colour} cups",
    "switch the {device} {state}",
    "{digit} {digit} {digit} {digit}",
    "{digit} {digit} {digit}",
)
WORDS = {
    "digit": tuple(DIGITS),
    "side": ("left", "right"),
    "colour": ("red", "green", "blue", "yellow"),
    "thing": ("door", "box", "window"),
    "device": ("lamp", "radio", "heater"),
    "state": ("on", "off"),
}


def phrases(
    count: int, *, accents=ACCENTS, voices=VOICES, rate: tuple[int, int] = (130, 200),
    pitch: tuple[int, int] = (30, 70), digits_only: bool = False, seed: int = 0,
    sample_rate: int = FSDD_RATE,
) -> list[Utterance]:  # fmt: skip
    """Phrases drawn from a small grammar, each in a voice drawn for it. Synthetic.

    accents, voices: what to draw from; leave some out, and they are unheard voices
    rate: slowest and fastest, in words a minute; pitch: lowest and highest, 0 to 99
    digits_only: strings of three or four digits and nothing else
    seed: the same phrases, and on one machine the same samples

    `speaker` is accent and voice, "en-us+f2"; `spans` is where eSpeak put the words.
    Raises ImportError without the extra `accents`.
    """
    for name, chosen in (("accents", accents), ("voices", voices)):
        if isinstance(chosen, str) or not chosen:
            raise ValueError(f"{name}={chosen!r}: give a list with at least one")
    if count < 0:
        raise ValueError(f"count={count}: it must be 0 or more")
    for name, (low, high) in (("rate", rate), ("pitch", pitch)):
        if low > high:
            raise ValueError(f"{name}=({low}, {high}): give the lower one first")
    random = np.random.RandomState(seed)

    def one_of(many):
        return many[random.randint(len(many))]

    templates = TEMPLATES[-2:] if digits_only else TEMPLATES
    requests = []
    for _ in range(count):
        words = [
            one_of(WORDS[w[1:-1]]) if w[0] == "{" else w
            for w in one_of(templates).split()
        ]
        voice = f"{one_of(accents)}+{one_of(voices)}"
        speed, height = (int(random.randint(a, b + 1)) for a, b in (rate, pitch))
        requests.append((" ".join(words), voice, speed, height))
    return _say(requests, sample_rate)


def speak(
    texts, voice: str = "en-us", *, rate: int = 160, pitch: int = 50,
    sample_rate: int = FSDD_RATE,
) -> list[Utterance]:  # fmt: skip
    """Texts of your own, in one voice. Synthetic.

    texts: a list; each becomes the transcript as it is, so write words, not "7"
    voice: an accent, or an accent and a voice: "en-gb-x-rp", "en-us+f3"
    rate: words a minute, 80 to 450; pitch: 0 to 99

    `spans` is () where eSpeak did not say one word for each of the text.
    """
    if isinstance(texts, str):
        raise ValueError("texts is one string: give a list of texts")
    return _say([(text, voice, rate, pitch) for text in texts], sample_rate)


def _say(requests, sample_rate) -> list[Utterance]:
    data = _data_folder()
    for text, voice, rate, pitch in requests:
        _check(data, text, voice, rate, pitch)
    if sample_rate < 1000:
        raise ValueError(f"sample_rate={sample_rate}: give at least 1000 a second")
    if not requests:
        return []
    worker = Path(__file__).with_name("espeak_worker.py")
    run = subprocess.run(
        [sys.executable, str(worker)], input=json.dumps(requests).encode(),
        capture_output=True,
    )  # fmt: skip
    if run.returncode:
        said = run.stderr.decode(errors="replace").strip()[-500:]
        raise RuntimeError(f"eSpeak NG failed (exit {run.returncode}): {said}")
    found, at = [], 0
    for text, voice, *_ in requests:
        cut = run.stdout.index(b"\n", at)
        about = json.loads(run.stdout[at:cut])
        at = cut + 1 + 2 * about["samples"]
        samples = np.frombuffer(run.stdout[cut + 1 : at], dtype=np.int16)
        found.append(_utterance(text, voice, samples, about, sample_rate))
    return found


def _utterance(text, voice, samples, about, sample_rate) -> Utterance:
    import librosa

    wave = samples.astype(np.float32) / 2**15
    loud = np.flatnonzero(np.abs(wave) > 1e-3)
    if len(loud) == 0:
        raise ValueError(f"eSpeak NG said nothing for {text!r}")
    scale = sample_rate / about["rate"]
    wave = librosa.resample(
        wave[: loud[-1] + 1], orig_sr=about["rate"], target_sr=sample_rate
    )
    spans = ()
    if len(about["words"]) == len(text.split()):
        edges = [min(round(scale * w), len(wave)) for w in about["words"]]
        spans = tuple(zip(edges, [*edges[1:], len(wave)], strict=True))
    return Utterance(torch.from_numpy(wave.copy()), text, voice, spans)


def _data_folder() -> Path:
    if find_spec("espeakng_loader") is None:
        raise ImportError(
            "synthetic speech needs espeakng-loader (eSpeak NG, GPL-3.0-or-later): "
            "pip install 'lstmbook[accents]'"
        )
    import espeakng_loader

    return Path(espeakng_loader.get_data_path())


def _check(data, text, voice, rate, pitch) -> None:
    if not text.strip() or "\0" in text:
        raise ValueError(f"there is nothing to say in {text!r}")
    accent, _, variant = voice.partition("+")
    if accent not in ACCENTS:
        raise ValueError(f"no accent {accent!r}; there are: {', '.join(ACCENTS)}")
    # eSpeak NG takes its usual voice, in silence, for one that it does not have.
    there = sorted(p.name for p in (data / "voices" / "!v").iterdir())
    if variant and variant not in there:
        raise ValueError(f"no voice {variant!r}; there are: {', '.join(there)}")
    if not 80 <= rate <= 450 or not 0 <= pitch <= 99:
        raise ValueError(
            f"rate={rate}, pitch={pitch}: give 80 to 450 words a minute and 0 to 99"
        )
