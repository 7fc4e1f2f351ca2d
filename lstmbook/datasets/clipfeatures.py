"""Features of films that others have computed, in the layout of MSVD.

features/vid1.npy, features/vid2.npy, ...    [frames, features] each
AllVideoDescriptions.txt                     "mv89psg6zh4_33_46 a bird is bathing"
youtube_mapping.txt                          "mv89psg6zh4_33_46 vid1"

train = msvd("MSVD", "train", frames=40)     # pairs (features, sentence)
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .cache import DataError
from .splits import check_split
from .videofolder import WithCaptions, usable

# Films 1 to 1200, 1201 to 1300 and 1301 to 1970 of the mapping.
MSVD_PARTS = {"train": (0, 1200), "valid": (1200, 1300), "test": (1300, 1970)}


class FeatureFolder(WithCaptions):
    """Features of films and their captions: pairs (features [time, F], caption).

    folder: of files `<name>.npy`, each an array [frames, F] of numbers
    captions: [(name, caption), ...]; a film may have several
    frames: how many are taken, spread evenly; None for all
    skip: leave out films whose file is missing, broken or of another width; a warning
        says how many, and `skipped` lists them. Else the first one raises

    names, captions: one for each pair; size: F; skipped: [(name, why), ...]
    """

    def __init__(
        self, folder: str | Path, captions, *, frames: int | None = None,
        skip: bool = False,
    ):  # fmt: skip
        if frames is not None and frames < 1:
            raise ValueError(f"frames={frames}: at least one")
        self.folder, self.frames, self.size = Path(folder), frames, None
        captions = list(captions)
        found = {}

        def look(path):
            found[path.stem] = len(self._open(path))

        paths = {name: self.folder / f"{name}.npy" for name, _ in captions}
        self.skipped = usable(paths, look, skip)
        out = {name for name, _ in self.skipped}
        rows = [(n, c) for n, c in captions if n not in out]
        if not rows:
            raise DataError(
                f"{self.folder}: there are no features of any caption's film"
            )
        super().__init__(rows, [frames or found[n] for n, _ in rows])

    def __getitem__(self, k: int) -> tuple[Tensor, str]:
        array = self._open(self.folder / f"{self.names[k]}.npy")
        if self.frames is not None:
            middles = (2 * np.arange(self.frames) + 1) / (2 * self.frames)
            array = array[(middles * len(array)).astype(int)]
        return torch.from_numpy(array.astype(np.float32)), self.captions[k]

    def _open(self, path: Path) -> np.ndarray:
        if not path.is_file():
            raise FileNotFoundError(f"there is no file {path}")
        try:
            array = np.load(path, allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise DataError(f"{path} is not an array of NumPy: {error}") from error
        if array.ndim != 2 or 0 in array.shape or array.dtype.kind not in "fiu":
            raise DataError(
                f"{path} holds {array.dtype} {array.shape}: features are numbers "
                "[frames, F], at least one of each"
            )
        if not np.isfinite(array).all():
            raise DataError(f"{path} holds values that are not finite")
        if self.size is None:
            self.size = array.shape[1]
        if array.shape[1] != self.size:
            raise DataError(
                f"{path} has {array.shape[1]} features a frame, others {self.size}"
            )
        return array


def msvd(
    folder: str | Path, split: str = "train", *, frames: int | None = 40,
    skip: bool = False,
) -> FeatureFolder:  # fmt: skip
    """One part of MSVD, from features in the layout above.

    folder: with `features/`, `AllVideoDescriptions.txt` and `youtube_mapping.txt`
    split: "train" (films 1 to 1200 of the mapping), "valid" (1201 to 1300) or "test"
        (1301 to 1970), as Venugopalan et al. 2015 and others have it

    The data is not fetched by this package: ask its authors, or compute features of
    your own. Source: Chen and Dolan 2011.
    """
    check_split("msvd", split)
    folder = Path(folder)
    mapping = dict(_lines(folder / "youtube_mapping.txt"))
    names = sorted(mapping.values(), key=lambda n: int(n.removeprefix("vid")))
    first, last = MSVD_PARTS[split]
    mine = set(names[first:last])
    captions = []
    for clip, caption in _lines(folder / "AllVideoDescriptions.txt"):
        if clip not in mapping:
            raise DataError(f"{clip} has a description and is not in the mapping")
        if mapping[clip] in mine:
            captions.append((mapping[clip], caption))
    if not captions:
        raise DataError(
            f"{folder}: no description is of a film of {split!r}; the mapping has "
            f"{len(names)} films, the usual parts begin at {first + 1}"
        )
    return FeatureFolder(folder / "features", captions, frames=frames, skip=skip)


def _lines(path: Path):
    """(first word, the rest) of each line that is not blank or a remark."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, rest = line.strip().partition(" ")
        if not rest.strip():
            raise DataError(f"{path}, line {number}: {line!r} is a name without a text")
        yield name, rest.strip()
