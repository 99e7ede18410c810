"""The locks name what pyproject.toml asks for: whoever changes one and not the other learns it here."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from supply.lock import Lock
from supply.resolution import GPU_ONLY, PYTHON

ROOT = Path(__file__).parents[2]
LOCKS = ROOT / "requirements"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = {"service": ["audio"], "trainer": ["audio", "train"]}
DIRECT = re.compile(r"^    #(?: via)? +liverec \(pyproject\.toml\)$", re.MULTILINE)
IMAGE_PINS = {"service": ["service"], "trainer": ["trainer", "torch"]}


def asked(image: str) -> dict[str, Requirement]:
    lines = [
        *PROJECT["dependencies"],
        *(line for extra in EXTRAS[image] for line in PROJECT["optional-dependencies"][extra]),
    ]
    linux = {"sys_platform": "linux"}
    given = [Requirement(line) for line in lines]
    return {canonicalize_name(each.name): each for each in given if not each.marker or each.marker.evaluate(linux)}


def pins(image: str) -> dict[str, str]:
    return {name: pin.version for lock in IMAGE_PINS[image] for name, pin in read(lock).pins.items()}


def read(name: str) -> Lock:
    return Lock.read(LOCKS / f"{name}.txt")


@pytest.mark.parametrize("image", EXTRAS)
def test_every_dependency_is_locked_within_its_bounds(image: str) -> None:
    locked = pins(image)
    wrong = [
        f"{requirement} is locked at {locked.get(name)}; run: make lock"
        for name, requirement in asked(image).items()
        if name not in locked or not requirement.specifier.contains(locked[name])
    ]
    assert wrong == []


@pytest.mark.parametrize("image", EXTRAS)
def test_what_the_lock_calls_ours_is_what_we_ask_for(image: str) -> None:
    # A dependency that was dropped, or an extra that was added, leaves no other trace in a lock.
    blocks = re.split(r"^(?=\S)", (LOCKS / f"{image}.txt").read_text(encoding="utf-8"), flags=re.MULTILINE)
    ours = {canonicalize_name(block.partition("==")[0]) for block in blocks if DIRECT.search(block)}
    assert ours == asked(image).keys() - {"torch"}, "run: make lock"


@pytest.mark.parametrize("name", ["build", "service", "trainer", "torch", "torch-cpu"])
def test_every_line_of_a_lock_has_digests(name: str) -> None:
    lock = read(name)
    assert lock.pins
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for pin in lock.pins.values() for digest in pin.hashes)


def test_a_line_without_digests_is_refused(tmp_path: Path) -> None:
    stray = tmp_path / "stray.txt"
    for line in ["six==1.17.0", "six>=1 --hash=sha256:ab", "six==1 ; python_version > '3' --hash=sha256:ab"]:
        stray.write_text(f"# a comment\n{line}\n", encoding="utf-8")
        with pytest.raises(ValueError, match="make lock"):
            Lock.read(stray)


def test_both_images_hold_the_same_versions() -> None:
    service, trainer = pins("service"), pins("trainer")
    assert {name: trainer[name] for name in service} == service


def test_the_build_of_torch_for_cpus_is_the_same_release() -> None:
    gpu, cpu = (Version(read(name).pins["torch"].version) for name in ("torch", "torch-cpu"))
    assert cpu.local == "cpu"
    assert cpu.public == gpu.public
    assert asked("trainer")["torch"].specifier.contains(gpu)


def test_what_only_a_gpu_needs_stands_beside_torch() -> None:
    assert not [name for name in read("trainer").pins if GPU_ONLY.fullmatch(name)]
    assert not [name for name in read("torch").pins if not GPU_ONLY.fullmatch(name)]


def test_the_locks_are_for_the_python_of_the_images() -> None:
    base = re.search(r"^ARG BASE_IMAGE=python:(\d+\.\d+)", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    assert base is not None
    assert base[1] == PYTHON


def test_pip_and_setuptools_are_in_no_service() -> None:
    assert not {"pip", "setuptools"} & pins("service").keys()
    assert {"pip", "setuptools"} == read("build").pins.keys()
