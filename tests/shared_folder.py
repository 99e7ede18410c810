"""SharedFolder: what is made once for all the processes of a test run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from filelock import FileLock


class SharedFolder:
    """Nobody may change what is in it."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def made(self, name: str, make: Callable[[Path], object]) -> Path:
        """Return the file or folder that `make` makes, once for each name; others wait meanwhile."""
        place = self._root / name
        place.mkdir(parents=True, exist_ok=True)
        with FileLock(place / "lock"):
            if not (place / "done").exists():
                make(place / "made")
                (place / "done").touch()
        return place / "made"
