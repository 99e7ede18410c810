"""A peer's own environment: made once, with the packages that are stated."""

from __future__ import annotations

import subprocess
import venv
from pathlib import Path

TORCH = "torch==2.13.0"


class PeerError(Exception):
    """A peer could not be installed or run."""


def installed(name: str, requirements: tuple[str, ...], venvs: Path) -> Path:
    """Return the python of the peer's environment, which is made if it is not there with the same packages.

    The first requirement is installed alone: a range that any release of torch satisfies may bring gigabytes.
    """
    folder = venvs.resolve() / name
    python, marker = folder / "bin" / "python", folder / "packages.txt"
    wanted = " ".join(requirements)
    if not marker.exists() or marker.read_text() != wanted:
        venv.create(folder, clear=True, with_pip=True)
        for lot in dict.fromkeys((requirements[:1], requirements)):
            _pip(python, lot)
        marker.write_text(wanted)
    return python


def _pip(python: Path, requirements: tuple[str, ...]) -> None:
    command = [python, "-m", "pip", "install", "--quiet", *requirements]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise PeerError(f"pip install {' '.join(requirements)}: {last_lines(done.stderr)}")


def last_lines(text: str, count: int = 5) -> str:
    return "\n".join(text.strip().splitlines()[-count:])
