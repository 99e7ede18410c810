"""Lock: the exact packages of an image, each with the digests of its files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HASH = "--hash=sha256:"


@dataclass(frozen=True, slots=True)
class Pin:
    """One package: its exact version, and the SHA-256 of each file that pip may install."""

    name: str
    version: str
    hashes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lock:
    """The pins of a file, by canonical name."""

    pins: dict[str, Pin]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Parse a file that `make lock` wrote; raises ValueError for a line that pins nothing."""
        lines = path.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
        pins = [_pin(path, line) for line in lines if line.strip() and not line.lstrip().startswith("#")]
        return cls({pin.name: pin for pin in pins})


def _pin(path: Path, line: str) -> Pin:
    words = line.split()
    hashes = tuple(word.removeprefix(HASH) for word in words if word.startswith(HASH))
    requirement = Requirement(" ".join(word for word in words if not word.startswith("--")))
    exact = [each.version for each in requirement.specifier if each.operator == "=="]
    if len(exact) != 1 or requirement.marker or not hashes:
        raise ValueError(
            f"{path}: {line.strip()[:80]!r} must be NAME==VERSION with hashes and no marker; run: make lock"
        )
    return Pin(canonicalize_name(requirement.name), exact[0], hashes)
