"""One list of dependencies, and exact versions for all of it."""

import re
import tomllib
from importlib import metadata

import toc
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import lstmbook

PROJECT = tomllib.loads((toc.ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
PINS = {
    canonicalize_name(line.split("==")[0]): line.split("==")[1].split(";")[0].strip()
    for line in (toc.ROOT / "constraints.txt").read_text().splitlines()
    if line and not line.startswith("#")
}
FREE = {"pip", "lstmbook"}  # pip is the machine's own


def names(requirements):
    return {canonicalize_name(Requirement(text).name) for text in requirements}


def needed(requirements):
    """The names of all that installing `requirements` brings in, here."""
    found, todo = set(), [Requirement(text) for text in requirements]
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        if (name, *requirement.extras) in found:
            continue
        found.add((name, *requirement.extras))
        try:
            below = metadata.requires(name) or []
        except metadata.PackageNotFoundError:  # `make lab` has not been run
            continue
        for text in below:
            one = Requirement(text)
            environments = [
                {**default_environment(), "extra": extra}
                for extra in requirement.extras or {""}
            ]
            if not one.marker or any(one.marker.evaluate(e) for e in environments):
                todo.append(one)
    return {name for name, *_ in found}


def test_all_is_every_extra():
    (everything,) = EXTRAS["all"]
    assert Requirement(everything).extras == set(EXTRAS) - {"all"}


def test_every_dependency_has_an_exact_version():
    direct = [*PROJECT["dependencies"], *(r for e in EXTRAS.values() for r in e)]
    missing = needed(direct) - set(PINS) - FREE
    # a CUDA build of torch brings its own, exactly pinned by torch itself
    missing = {m for m in missing if not re.match(r"nvidia-|cuda-|triton", m)}
    assert not missing


def test_the_exact_versions_lie_in_the_loose_bounds():
    for text in [*PROJECT["dependencies"], *(r for e in EXTRAS.values() for r in e)]:
        requirement = Requirement(text)
        name = canonicalize_name(requirement.name)
        if name not in FREE:
            assert requirement.specifier.contains(PINS[name]), text


def test_torch_is_pinned_without_a_local_version():
    assert PINS["torch"] == "2.13.0"
    assert not any(name.startswith(("nvidia-", "cuda-", "triton")) for name in PINS)


def test_rendering_needs_no_torch():
    assert "torch" not in needed(EXTRAS["book"])
    assert "lstmbook" not in names(EXTRAS["book"])


def test_conda_installs_the_same():
    environment = yaml.safe_load((toc.ROOT / "environment.yml").read_text())
    *conda, pip = environment["dependencies"]
    assert pip == {"pip": ["-c constraints.txt", "-e .[all]"]}
    assert f"python {PROJECT['requires-python']}" in conda


def test_the_makefile_always_uses_the_constraints():
    makefile = (toc.ROOT / "Makefile").read_text()
    installs = re.findall(r"^.*\bpip install.*$", makefile, re.MULTILINE)
    assert len(installs) == 1 and "-c constraints.txt" in installs[0]


def test_versions_agree():
    assert lstmbook.__version__ == PROJECT["version"]
