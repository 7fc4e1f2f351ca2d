"""Runs eSpeak NG by itself: lines of JSON come in, sound goes out.

`accents.py` starts this file as a program, one for each list of phrases. eSpeak
carries the phase of its voice from one phrase to the next and nothing resets it, so
that only a new process says the same list in the same way again.

In: [[text, voice, words a minute, pitch], ...]. Out: for each phrase a line of JSON,
{"samples": n, "rate": r, "words": [first sample of each], "end": sample}, and n
samples of 16 bits behind it.
"""

import array
import ctypes
import json
import os
import sys

SYNCHRONOUS, CHARACTERS, UTF8 = 2, 1, 1
RATE, PITCH = 1, 3
WORD, END = 1, 5


class Event(ctypes.Structure):
    """espeak_EVENT in speak_lib.h."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(Event)
)


def main():
    import espeakng_loader

    espeak = ctypes.CDLL(espeakng_loader.get_library_path())
    folder = os.path.dirname(espeakng_loader.get_data_path())
    rate = espeak.espeak_Initialize(SYNCHRONOUS, 0, folder.encode(), 0)
    if rate <= 0:
        sys.exit(f"eSpeak NG did not find its data in {folder}")
    # The breath in a voice is drawn at random, from the time of day unless told.
    espeak.espeak_ng_SetRandSeed.argtypes = (ctypes.c_long,)
    espeak.espeak_ng_SetRandSeed(1)
    espeak.espeak_Synth.argtypes = (
        ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint,
        ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p,
    )  # fmt: skip
    samples, events = array.array("h"), []

    @CALLBACK
    def heard(wave, count, found):
        if wave and count > 0:
            samples.extend(wave[:count])
        k = 0
        while found[k].type:
            events.append((found[k].type, found[k].sample))
            k += 1
        return 0

    espeak.espeak_SetSynthCallback(heard)
    for text, voice, speed, pitch in json.load(sys.stdin):
        del samples[:], events[:]
        if espeak.espeak_SetVoiceByName(voice.encode()):
            sys.exit(f"eSpeak NG has no voice {voice}")
        espeak.espeak_SetParameter(RATE, speed, 0)
        espeak.espeak_SetParameter(PITCH, pitch, 0)
        written = text.encode()
        failed = espeak.espeak_Synth(
            written, len(written) + 1, 0, CHARACTERS, 0, UTF8, None, None
        )
        if failed or espeak.espeak_Synchronize():
            sys.exit(f"eSpeak NG could not say {text!r}")
        about = {
            "samples": len(samples),
            "rate": rate,
            "words": [at for kind, at in events if kind == WORD],
            "end": max((at for kind, at in events if kind == END), default=0),
        }
        sys.stdout.buffer.write(json.dumps(about).encode() + b"\n")
        sys.stdout.buffer.write(samples.tobytes())


if __name__ == "__main__":
    main()
