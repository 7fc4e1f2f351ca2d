"""The registry is complete, and the data cards say what it says."""

import re
from pathlib import Path

import pytest

from lstmbook.datasets import DATASETS, cache, card, registry
from lstmbook.datasets.registry import Archive, Folder, Installed, Url

CARDS = (Path(__file__).parents[2] / "data" / "README.md").read_text(encoding="utf-8")


def section(name):
    return re.search(rf"^## `{name}`.*?(?=^## |\Z)", CARDS, re.M | re.S)


def test_there_is_a_card_for_each_data_set_and_no_other():
    assert re.findall(r"^## `(.*)`$", CARDS, re.M) == list(DATASETS)


@pytest.mark.parametrize("name", DATASETS)
def test_a_card_repeats_the_registry(name):
    text = " ".join(section(name).group().split())
    dataset = DATASETS[name]
    for fact in (dataset.title, dataset.creator, dataset.licence, dataset.page):
        assert fact in text
    for file in dataset.files:
        assert file.name in text
        assert file.sha256 in text
        assert f"{file.size:,} bytes" in text
        match file.source:
            case Installed(package, path):
                assert package in text and path in text
            case Archive(requirement):
                assert requirement in text
            case Url(address):
                assert address in text
            case Folder(address, names):
                assert address in text and names in text
    assert all(row in text for row in ("| Split |", "| Used in |", "| Mind |"))


@pytest.mark.parametrize("name", DATASETS)
def test_every_file_is_pinned(name):
    assert re.fullmatch(r"[a-z0-9_-]+", name)
    for file in DATASETS[name].files:
        assert re.fullmatch(r"[0-9a-f]{64}", file.sha256)
        assert Path(file.name).name == file.name and not file.name.startswith(".")
        match file.source:
            case Archive(requirement):
                package, version = requirement.split("==")
                assert file.name.startswith(f"{package.replace('-', '_')}-{version}-")
                assert file.name.endswith(".whl")
            case Url(address) | Folder(address, _):
                assert address.startswith("https://")
                assert not re.search(r"/(master|main|latest)/", address)
        assert file.sha256 in card(name)


def test_every_file_of_a_folder_is_pinned_in_its_list():
    folders = [
        (file, file.source)
        for dataset in DATASETS.values()
        for file in dataset.files
        if isinstance(file.source, Folder)
    ]
    assert folders
    for file, source in folders:
        path = Path(registry.__file__).with_name(source.list)
        assert cache.sha256(path) == file.sha256
        lines = path.read_text().splitlines()
        assert all(re.fullmatch(r"[0-9a-f]{64}  \w[\w.]*", line) for line in lines)
        assert source.address.endswith("/")
