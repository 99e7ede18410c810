"""Checkpoint: what a training run has reached, on disk, so that an interrupted run goes on to the same result."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import torch

from engine.atomic import atomic_file, write_atomically
from engine.errors import ConfigError, TrainingError

DIGEST = "digest"
EVERY_SECONDS = 30.0


class Checkpoint:
    """A folder with one file for each stage; `digest` names the data and the config that it belongs to."""

    def __init__(self, folder: Path, digest: str, every_seconds: float = EVERY_SECONDS) -> None:
        self.folder = folder
        self.resumed_seconds = 0.0
        """How long the stages that were gone on with had taken before."""
        self._every_seconds = every_seconds
        # The first epoch is kept at once.
        self._saved = -float("inf")
        folder.mkdir(parents=True, exist_ok=True)
        marker = folder / DIGEST
        if marker.exists() and marker.read_text() != digest:
            raise ConfigError(f"{folder} is of other data or another config; delete it to start afresh")
        write_atomically(marker, digest.encode())

    def is_due(self) -> bool:
        """Return whether the last save is long enough ago that the next epoch should be saved."""
        return time.monotonic() - self._saved >= self._every_seconds

    def save(self, stage: str, state: dict[str, Any]) -> None:
        """Write the state of a stage whole or not at all."""
        try:
            with atomic_file(self._path(stage)) as temporary:
                torch.save(state, temporary)
        except (OSError, RuntimeError) as error:
            # torch's own writer reports a full disk as a RuntimeError.
            raise TrainingError(f"{self._path(stage)} cannot be written ({error}); free some disk space") from error
        self._saved = time.monotonic()

    def load(self, stage: str) -> dict[str, Any] | None:
        """Return the state of a stage, None if it has not begun."""
        path = self._path(stage)
        if not path.exists():
            return None
        # Tensors and plain values only: nothing in the file can run.
        state: dict[str, Any] = torch.load(path, weights_only=True)
        return state

    def remove(self) -> None:
        """Delete it, once the bundle stands."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, stage: str) -> Path:
        return self.folder / f"{quote(stage, safe='')}.pt"
