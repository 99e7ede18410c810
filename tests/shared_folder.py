"""SharedFolder: what is made once for all the processes of a test run."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


class SharedFolder:
    """Nobody may change what is in it."""

    def __init__(self, factory: pytest.TempPathFactory) -> None:
        own = factory.getbasetemp()
        self._root = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "shared"

    def made(self, name: str, make: Callable[[Path], object]) -> Path:
        """Return the file or folder that `make` makes, once for each name; others wait meanwhile."""
        place = self._root / name
        place.mkdir(parents=True, exist_ok=True)
        with FileLock(place / "lock"):
            if not (place / "done").exists():
                make(place / "made")
                (place / "done").touch()
        return place / "made"
