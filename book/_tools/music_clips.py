"""The sounds of the music chapter: `python book/_tools/music_clips.py`.

A stored notebook keeps no sound, so the page plays these files. They are drawn from
the network that comes with the package, with the seeds that the chapter names; its
cells show the same pieces as scores.
"""

from dataclasses import replace
from pathlib import Path

import lstmbook as lb
from lstmbook.datasets.music import chorales
from lstmbook.datasets.voices import without_signs
from lstmbook.synthesis import LARGEST, RATE, encode, synthesise

FOLDER = Path(__file__).parents[1] / "_static" / "sound"


def pieces():
    """{name of the file: piece}, as in the chapter."""
    composer = lb.pretrained("chorales")
    [first, *_] = chorales("test", resolution=2)
    first = without_signs(first)
    tune = replace(first, pitch=first.pitch[:32], attack=first.attack[:32])
    return {
        "music-drawn": composer.compose(64, seed=1, resolution=2, temperature=0.8),
        "music-harmony": composer.harmonise(tune, particles=64, seed=0),
    }


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, piece in pieces().items():
        path = FOLDER / f"{name}.mp3"
        path.write_bytes(encode(synthesise(piece), RATE, LARGEST))
        print(path.name, f"{path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
