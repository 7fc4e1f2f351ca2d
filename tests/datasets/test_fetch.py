"""What `fetch` promises: the right bytes, or an error and an unchanged cache."""

import errno
import hashlib
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lstmbook.datasets import (
    DataError,
    DataUnavailable,
    HashMismatch,
    available,
    cache_dir,
    fetch,
    registry,
)
from lstmbook.datasets.__main__ import main
from lstmbook.datasets.cache import sha256
from lstmbook.datasets.registry import Folder, Installed, Url

CONTENT = bytes(range(256)) * 1000


@pytest.fixture
def toy(server, register, cache):
    server.pages["/toy.bin"] = CONTENT
    return register("toy", "toy.bin", CONTENT, Url(f"{server.address}/toy.bin"))


def files_in(folder):
    return [path for path in Path(folder).rglob("*") if path.is_file()]


def leftovers(folder):
    return list(Path(folder).rglob(".part-*"))


def test_a_download_is_kept_and_not_repeated(toy, server, cache):
    assert not available("toy")
    path = fetch("toy")
    assert path == cache / "toy" / "toy.bin"
    assert path.read_bytes() == CONTENT
    assert available("toy")
    assert fetch("toy") == path
    assert server.asked == ["/toy.bin"]
    assert files_in(cache) == [path] and not leftovers(cache)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"'hamlet'.*digits, .*shakespeare"):
        fetch("hamlet")
    with pytest.raises(ValueError, match=r"no file 'x'; it has: input.txt"):
        fetch("tinyshakespeare", "x")


# -- downloads that go wrong ------------------------------------------------


def truncated(handler):
    handler.answer(CONTENT[:1000], length=len(CONTENT))


def short(handler):
    handler.answer(CONTENT[:1000])


def broken_off(handler):
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(CONTENT[:1000])


@pytest.mark.parametrize(
    "page, error",
    [
        (truncated, DataUnavailable),  # the connection ends too early
        (short, HashMismatch),  # the server itself has less
        (broken_off, HashMismatch),  # no length is given: only the hash can tell
        (CONTENT + b"more", HashMismatch),
        (b"", HashMismatch),
        (None, DataUnavailable),  # 404
    ],
    ids=["truncated", "short", "broken-off", "wrong", "empty", "404"],
)
def test_a_bad_download_raises_and_leaves_nothing(toy, server, cache, page, error):
    server.pages["/toy.bin"] = page
    with pytest.raises(error) as raised:
        fetch("toy")
    assert files_in(cache) == [] and not leftovers(cache)
    assert not available("toy")
    message = str(raised.value)
    assert "toy.bin" in message and server.address in message
    if error is DataUnavailable:
        assert "python -m lstmbook.datasets toy" in message
        assert str(cache / "toy" / "toy.bin") in message


def test_a_wrong_hash_names_file_expected_and_found(toy, server, cache):
    server.pages["/toy.bin"] = b"something else"
    with pytest.raises(HashMismatch) as raised:
        fetch("toy")
    found = hashlib.sha256(b"something else").hexdigest()
    for word in ("toy.bin", toy.sha256, found):
        assert word in str(raised.value)


def test_no_network_says_what_to_run(register, cache):
    with socket.socket() as closed:  # bound, and not listening
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/toy.bin"
        register("toy", "toy.bin", CONTENT, Url(address))
        with pytest.raises(DataUnavailable, match=r"python -m lstmbook.datasets toy"):
            fetch("toy")
    assert files_in(cache) == [] and not leftovers(cache)


# -- a cache that goes wrong ------------------------------------------------


def test_a_damaged_file_is_named_and_fetched_again(toy, cache):
    path = fetch("toy")
    path.write_bytes(CONTENT[:-1])
    assert not available("toy")
    with pytest.warns(UserWarning, match=r"toy.bin is not the file it should be"):
        fetch("toy")
    assert path.read_bytes() == CONTENT


def test_a_damaged_file_without_network_is_an_error(toy, server, cache):
    path = fetch("toy")
    path.write_bytes(b"damaged")
    del server.pages["/toy.bin"]
    found = hashlib.sha256(b"damaged").hexdigest()
    with (
        pytest.warns(UserWarning),
        pytest.raises(DataUnavailable, match=f"{toy.sha256}, found {found}"),
    ):
        fetch("toy")


def test_a_cache_below_a_file_is_an_error(toy, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("LSTMBOOK_DATA", str(tmp_path / "file" / "cache"))
    with pytest.raises(DataError, match="LSTMBOOK_DATA to a folder you can write"):
        fetch("toy")
    assert not available("toy")


def refusing(number):
    def refuse(*arguments, **options):
        raise OSError(number, os.strerror(number))

    return refuse


@pytest.mark.parametrize("step", ["os.mkdir", "os.replace"])
@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_a_read_only_or_full_cache_says_so(toy, cache, monkeypatch, step, number):
    # Tests may run as root, for whom no folder is read-only: the calls that
    # would fail are made to fail.
    with monkeypatch.context() as patch:
        patch.setattr(step, refusing(number))
        with pytest.raises(DataError, match="LSTMBOOK_DATA") as raised:
            fetch("toy")
    assert not isinstance(raised.value, DataUnavailable)
    assert ("disk is full" in str(raised.value)) == (number == errno.ENOSPC)
    assert files_in(cache) == [] and not leftovers(cache)
    assert fetch("toy").read_bytes() == CONTENT


def test_a_disk_that_fills_up_during_the_download(toy, cache, monkeypatch):
    import pooch

    def download(self, url, output_file, pooch):
        Path(output_file).write_bytes(CONTENT[:1000])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", download)
    with pytest.raises(DataError, match="disk is full"):
        fetch("toy")
    assert files_in(cache) == [] and not leftovers(cache)


def test_a_read_only_cache_that_has_the_file_is_enough(toy, monkeypatch):
    path = fetch("toy")
    for step in ("os.mkdir", "os.replace"):
        monkeypatch.setattr(step, refusing(errno.EROFS))
    assert fetch("toy") == path


def test_what_a_killed_process_left_is_removed_a_day_later(toy, cache):
    fresh, stale = cache / "toy" / ".part-fresh", cache / "toy" / ".part-stale"
    fresh.mkdir(parents=True)
    stale.mkdir()
    (stale / "toy.bin").write_bytes(CONTENT[:10])
    yesterday = time.time() - 25 * 3600
    os.utime(stale, (yesterday, yesterday))
    fetch("toy")
    assert leftovers(cache) == [fresh]


def test_two_processes_may_fetch_at_once(toy, server, cache):
    both = threading.Barrier(2)

    def page(handler):
        both.wait(timeout=60)  # neither gets a byte before both have asked
        handler.answer(CONTENT)

    server.pages["/toy.bin"] = page
    program = (
        "from lstmbook.datasets import fetch, registry as r\n"
        f"source = r.Url({toy.source.address!r})\n"
        f"file = r.File('toy.bin', {toy.size}, {toy.sha256!r}, source)\n"
        "r.DATASETS['toy'] = r.Dataset('', '', '', '', (file,))\n"
        "print(fetch('toy'))\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    path = cache / "toy" / "toy.bin"
    for process in processes:
        said, _ = process.communicate(timeout=120)
        assert process.returncode == 0 and str(path) in said
    assert server.asked == ["/toy.bin"] * 2
    assert path.read_bytes() == CONTENT
    assert files_in(cache) == [path] and not leftovers(cache)


# -- installed files, settings, the command line ----------------------------


def test_an_installed_file_is_read_without_importing_its_package(cache):
    program = (
        "import sys\n"
        "from lstmbook.datasets import fetch\n"
        "print(fetch('digits').name, 'sklearn' in sys.modules)"
    )
    pytest.importorskip("sklearn")
    said = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.split() == ["digits.csv.gz", "False"]
    assert not cache.exists()


def test_a_package_that_is_not_installed_is_named(register):
    register("toy", "x", b"x", Installed("no-such-package-here", "x"))
    with pytest.raises(DataUnavailable, match="pip install no-such-package-here"):
        fetch("toy")
    assert not available("toy")


def test_an_installed_file_that_is_another_is_an_error(register):
    register("toy", "x", b"x", Installed("pytest", "pytest/__init__.py"))
    with pytest.raises(HashMismatch, match=hashlib.sha256(b"x").hexdigest()):
        fetch("toy")
    assert not available("toy")


def test_the_cache_is_in_the_users_folder_unless_told(monkeypatch):
    monkeypatch.setenv("LSTMBOOK_DATA", "~/elsewhere")
    assert cache_dir() == Path("~/elsewhere").expanduser()
    monkeypatch.setenv("LSTMBOOK_DATA", "")
    assert cache_dir().name == "lstmbook" and cache_dir().is_absolute()


def test_the_command_lists_and_fetches(toy, server, cache, capsys):
    assert main([]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in registry.DATASETS)
    assert toy.sha256 in listed
    assert main(["toy"]) == 0
    assert str(cache / "toy" / "toy.bin") in capsys.readouterr().out
    (cache / "toy" / "toy.bin").unlink()
    del server.pages["/toy.bin"]
    assert main(["toy"]) == 1
    assert "could not be downloaded" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["no-such"])


def test_importing_the_package_imports_no_downloader():
    heavy = {"pooch", "requests", "sklearn", "platformdirs", "lightning"}
    program = (
        "import sys, torch\n"
        "before = set(sys.modules)\n"
        "import lstmbook.datasets\n"
        "print(*(set(sys.modules) - before))"
    )
    said = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not heavy & set(said.stdout.split())


# -- a folder of many files ---------------------------------------------------

WAVES = {f"{k}.wav": bytes([k]) * 1000 for k in range(20)}


@pytest.fixture
def folder(server, cache, tmp_path, monkeypatch):
    """A data set "many" of 20 files under one address."""
    lines = [f"{hashlib.sha256(c).hexdigest()}  {n}\n" for n, c in WAVES.items()]
    names = tmp_path / "many.txt"
    names.write_text("".join(lines))
    for name, content in WAVES.items():
        server.pages[f"/many/{name}"] = content
    source = Folder(f"{server.address}/many/", str(names))
    entry = registry.File("waves", 20_000, sha256(names), source)
    dataset = registry.Dataset("a test", "nobody", "none", "nowhere", (entry,))
    monkeypatch.setitem(registry.DATASETS, "many", dataset)
    return cache / "many" / "waves"


def test_a_folder_arrives_whole_and_is_not_fetched_again(folder, server):
    assert not available("many")
    assert fetch("many") == folder and available("many")
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == WAVES
    asked = len(server.asked)
    assert fetch("many") == folder and len(server.asked) == asked == 20
    assert not leftovers(folder.parent)
    assert "many.txt" in registry.card("many")


def test_of_a_folder_only_what_lacks_or_changed_is_fetched(folder, server):
    fetch("many")
    (folder / "3.wav").unlink()
    (folder / "7.wav").write_bytes(b"other")
    server.asked.clear()
    assert not available("many")
    with pytest.warns(UserWarning, match=r"7.wav is not the file it should be"):
        fetch("many")
    assert sorted(server.asked) == ["/many/3.wav", "/many/7.wav"]
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == WAVES


def test_a_wrong_file_of_a_folder_is_named_and_kept_out(folder, server):
    server.pages["/many/5.wav"] = b"other"
    with pytest.raises(HashMismatch, match=r"5.wav is not the file it should be"):
        fetch("many")
    assert not (folder / "5.wav").exists() and not leftovers(folder.parent)
    assert all(p.read_bytes() == WAVES[p.name] for p in folder.iterdir())
    server.pages["/many/5.wav"] = WAVES["5.wav"]
    assert fetch("many") == folder and available("many")


def test_a_folder_out_of_reach_says_what_to_run_and_where_to_put_it(folder, server):
    del server.pages["/many/5.wav"]
    with pytest.raises(DataUnavailable, match=r"python -m lstmbook.datasets many") as e:
        fetch("many")
    assert str(folder) in str(e.value) and "404" in str(e.value)
    assert not leftovers(folder.parent)


def test_a_list_that_was_changed_is_not_trusted(folder, tmp_path):
    with open(tmp_path / "many.txt", "a") as names:
        names.write("\n")
    with pytest.raises(HashMismatch, match=r"many.txt"):
        fetch("many")
