"""Bach's chorales in two forms, folk tunes, and the test set of the literature.

chorales("train")            # Bach's four voices, with what is held and repeated
jsb("test")                  # the split and frames of the published numbers
folk_tunes("train")          # ABC text, a tune each
"""

import hashlib
import io
import json
import re
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from .cache import DataError, DataUnavailable, cache_dir, fetch
from .registry import DATASETS
from .splits import SPLITS_AND_ALL, check_split, twentieth
from .voices import Piece, resample

__all__ = [
    "FolkTune", "abc_tokens", "chorales", "folk_tunes", "jsb", "jsb16", "parse_abc",
]  # fmt: skip

FORMAT = 1  # of the file that keeps the parsed chorales; older ones are not read
RESOLUTION = 4  # frames in a quarter note there: sixteenths

# Twentieths of the tunes, by the hash of their name.
HELD_OUT = {"valid": (0, 1), "test": (2, 3)}


def chorales(split: str = "train", resolution: int = 4, progress: bool = True):
    """Bach's chorales for four voices from music21's corpus: a list of `Piece`.

    split: "train", "valid", "test" or "all"
    resolution: frames in a quarter note: 4, 2 or 1
    progress: a text bar while the files are parsed, which takes a minute and
        happens once: the result stays in the cache

    Soprano, alto, tenor, bass. A tune that Bach set several times is in one part with
    all its settings, in whatever key they stand: melodies that begin with the same
    ten intervals are taken for one tune.
    Raises DataUnavailable where music21 is missing, and HashMismatch for a
    version with other files.
    """
    check_split("chorales", split, SPLITS_AND_ALL)
    pieces = _parsed(progress)
    if split != "all":
        family = _families(pieces)
        chosen = _drawn(sorted(set(family)), split)
        pieces = [p for p, f in zip(pieces, family, strict=True) if f in chosen]
    return [p if resolution == 4 else resample(p, resolution) for p in pieces]


def jsb(split: str = "train", voices: int = 4):
    """The chorales on which nats a frame are published: a list of `Piece`.

    split: "train" (229), "valid" (76), "test" (77) or "all"

    One frame a quarter note; all in C. The file has sets of notes: the voices are
    made by `Piece.of_frames`, and repeated notes are not told from held ones.
    The split is that of Boulanger-Lewandowski et al. 2012.
    """
    pieces = _json("jsb-chorales-quarter.json", split)
    return [Piece.of_frames(p, voices, name=name) for name, p in pieces]


def jsb16(split: str = "train"):
    """The same chorales by sixteenths, in their own keys and true voices.

    Soprano, alto, tenor, bass; repeated notes are not told from held ones. The
    order is another one than in `jsb`: the n-th pieces are not the same chorale.
    """
    pieces = _json("Jsb16thSeparated.json", split)
    return [
        Piece.of(torch.tensor(p, dtype=torch.int64), resolution=4, name=name)
        for name, p in pieces
    ]


@dataclass(frozen=True)
class FolkTune:
    """A tune in ABC: its name, meter, unit of length, key, and the music as text."""

    name: str
    meter: str
    unit: str
    key: str
    music: str

    @property
    def abc(self) -> str:
        """The header that a player needs and the music: what a model learns from."""
        return f"M:{self.meter}\nL:{self.unit}\nK:{self.key}\n{self.music}\n"


def folk_tunes(split: str = "train", collections=("ryansMammoth", "oneills1850")):
    """Tunes of Ireland, Scotland and New England in ABC: a list of `FolkTune`.

    split: "train" (about 80 %), "valid", "test" (10 % each) or "all"
    collections: Ryan's Mammoth Collection (1883), O'Neill's Music of Ireland (1903)

    A name in both books goes to one part; which one is decided by a hash of the
    name, so that it stays there. The same tune under two names may still be in two.
    """
    check_split("folk_tunes", split, SPLITS_AND_ALL)
    tunes = []
    for collection in collections:
        folder = fetch("folk-tunes", collection)
        for path in sorted(folder.glob("*.abc")):
            tunes += parse_abc(path.read_bytes().decode("latin-1"))
    return [t for t in tunes if split in ("all", _part(t.name))]


def parse_abc(text: str) -> list[FolkTune]:
    """The tunes of an ABC file, without what a player does not need.

    Fingerings and other "quoted" marks, bows, turns and fermatas, comments and
    words are left out, and a line that goes on (\\) is joined to the next. A tune
    without key or music is left out; a meter that is missing is "none".
    """
    tunes = []
    for block in re.split(r"(?m)^X:", text.replace("\r\n", "\n"))[1:]:
        head, body = {}, []
        for line in block.splitlines()[1:]:
            line = line.split("%")[0].strip()
            field = re.match(r"([A-Za-z]):\s*(.*)", line)
            if field and not re.match(r"[A-Ga-g]:\|", line):
                # a K: or M: in the middle of a tune stays, as an inline field
                if body and field[1] in "KLM":
                    body.append(f"[{field[1]}:{field[2].strip()}]")
                else:
                    head.setdefault(field[1], field[2].strip().strip('"'))
            elif line and "K" in head:
                body.append(_plain_music(line))
        music = re.sub(r"\s*\\\s*\n", " ", "\n".join(b for b in body if b))
        if music and head.get("K"):
            meter = head.get("M", "none")
            unit = head.get("L") or _default_unit(meter)
            name = head.get("T", "").split(" -- ")[0]
            tunes.append(FolkTune(name, meter, unit, head["K"], music))
    return tunes


_TOKEN = re.compile(
    r"\[?[KLM]:[^\]\n]*\]?"  # a field
    r"| ?[_=^]*[A-Ga-gxyzZ][,']*\d*/*\d*"  # a note or rest, with its length
    r"| ?(?::?\|[\]|:]?|\[\||::|\[?\|?\d(?!\d))"  # bars, repeats, endings
    r"| ?\(\d(?::\d*)*"  # tuplets
    r"|[<>]+|.|\n",
    re.DOTALL,
)


def abc_tokens(text: str) -> list[str]:
    """ABC in pieces that mean something: fields, notes with their length, bars.

    A token carries the space before it. Joined, they are the text again:
    "".join(abc_tokens(text)) == text. `SymbolVocabulary(sorted(set(tokens)))`
    numbers them, of all tunes, since some tokens occur in one tune only; they take
    seven tenths of the steps of characters.
    """
    return _TOKEN.findall(text)


def _plain_music(line: str) -> str:
    line = re.sub(r'"[^"]*"|![^!\n]*!|\+[a-z]+\+', "", line)
    # ABC 2.1, sec. 4.14 and 4.16: bows, turns, fermatas have letters from H to w
    line = re.sub(r'["!~*+#H-Wh-w]', "", line)
    return re.sub(r"[ \t]+", " ", line).strip()


def _default_unit(meter: str) -> str:
    # ABC 2.1, sec. 3.1.7: a meter below 3/4 has sixteenths
    parts = re.match(r"(\d+)/(\d+)", meter)
    return "1/16" if parts and int(parts[1]) / int(parts[2]) < 0.75 else "1/8"


def _part(name: str) -> str:
    key = re.sub(r"[^a-z]", "", name.lower().removeprefix("the "))
    number = twentieth(key)
    for part, numbers in HELD_OUT.items():
        if number in numbers:
            return part
    return "train"


def _json(file: str, split: str):
    check_split("jsb", split, SPLITS_AND_ALL)
    parts = json.loads(fetch("jsb", file).read_bytes())
    chosen = ("train", "valid", "test") if split == "all" else (split,)
    return [(f"{part} {k}", p) for part in chosen for k, p in enumerate(parts[part])]


def _families(pieces) -> list[str]:
    """For each piece the first name among those that share its tune.

    Two pieces are of one family when the first ten steps of their melodies (the
    intervals between notes that are struck) are equal, whatever the key: then one
    is another setting of the tune, or the same one transposed.
    """
    first: dict[tuple, str] = {}
    names = []
    for piece in pieces:
        melody = piece.pitch[:, 0][piece.attack[:, 0]]
        steps = tuple(melody.diff()[:10].tolist())
        names.append(first.setdefault(steps, piece.name))
    return names


def _drawn(families, split: str) -> set:
    """The families of a part: 80, 10 and 10 %, drawn once with a fixed seed."""
    order = np.random.default_rng(1685).permutation(len(families))
    tenth = round(len(families) / 10)
    parts = {"test": order[:tenth], "valid": order[tenth : 2 * tenth],
             "train": order[2 * tenth :]}  # fmt: skip
    return {families[k] for k in parts[split]}


def _parsed(progress: bool) -> list[Piece]:
    """All chorales, from the file in the cache or else from music21's corpus."""
    corpus = DATASETS["chorales"].files[0]
    path = cache_dir() / "chorales" / f"voices-{FORMAT}-{corpus.sha256[:12]}.npz"
    if path.is_file():
        try:
            return _unpack(path.read_bytes())
        except Exception as error:  # a broken file: zip, array and key errors
            warnings.warn(
                f"{path} is broken ({error}). It is made again.", stacklevel=3
            )
    folder = fetch("chorales")
    # three chorales are there a second time, in **kern
    files = [p for p in sorted(folder.glob("bwv*")) if p.suffix != ".krn"]
    pieces = _parse(files, progress)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".part-{id(pieces)}")
        part.write_bytes(_pack(pieces))
        part.replace(path)
    except OSError as error:
        raise DataError(
            f"the parsed chorales cannot be kept in {path}: {error}. Set "
            "LSTMBOOK_DATA to a folder you can write."
        ) from error
    return pieces


def _parse(paths: list[Path], progress: bool) -> list[Piece]:
    """The pieces with four parts among some scores."""
    try:
        from music21 import converter
    except ImportError as error:
        raise DataUnavailable(
            "the chorales are parsed by music21, which cannot be imported here. "
            'Run: pip install "lstmbook[music]"'
        ) from error
    from tqdm import tqdm

    from ..scores import from_music21

    pieces = []
    bar = tqdm(
        paths, desc="parsing the chorales", leave=False, file=sys.stdout, ncols=79,
        ascii=" -", disable=not progress,
    )  # fmt: skip
    for path in bar:
        score = converter.parse(path, forceSource=True)
        if len(score.parts) == 4:
            pieces.append(
                from_music21(score, RESOLUTION, chords="highest", name=path.stem)
            )
    return pieces


def _pack(pieces: list[Piece]) -> bytes:
    """Pieces as the bytes of a compact npz, with a digest of its own."""
    about = [[p.name, p.sharps, p.meter, p.pickup] for p in pieces]
    arrays = {
        "pitch": np.concatenate([p.pitch.numpy() for p in pieces]).astype(np.int8),
        "attack": np.concatenate([p.attack.numpy() for p in pieces]),
        "length": np.array([len(p) for p in pieces]),
        "about": np.array(json.dumps(about)),
    }
    out = io.BytesIO()
    np.savez_compressed(out, digest=np.array(_digest(arrays)), **arrays)
    return out.getvalue()


def _unpack(content: bytes) -> list[Piece]:
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        arrays = {k: file[k] for k in ("pitch", "attack", "length", "about")}
        if str(file["digest"]) != _digest(arrays):
            raise ValueError("its digest is another one")
    cuts = arrays["length"].tolist()
    pitch = torch.from_numpy(arrays["pitch"].astype(np.int64)).split(cuts)
    attack = torch.from_numpy(arrays["attack"]).split(cuts)
    about = json.loads(str(arrays["about"]))
    return [
        Piece(p, a, RESOLUTION, *rest)
        for p, a, rest in zip(pitch, attack, about, strict=True)
    ]


def _digest(arrays) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].shape} {arrays[name].dtype}".encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()
