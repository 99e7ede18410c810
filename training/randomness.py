"""Randomness: every random draw of one stage of training, so that it can be stopped and gone on with."""

from __future__ import annotations

import json
import zlib
from typing import Any

import numpy as np
import torch


class Randomness:
    """Seeds torch for a stage, and holds the stage's numpy generator; stages do not disturb each other's draws."""

    def __init__(self, seed: int, stage: str) -> None:
        mixed = zlib.crc32(f"{seed} {stage}".encode())
        torch.manual_seed(mixed)
        self.numpy = np.random.default_rng(mixed)

    def state(self) -> dict[str, Any]:
        """Return where the draws stand."""
        numpy = json.dumps(self.numpy.bit_generator.state)
        return {"torch": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all(), "numpy": numpy}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from where the draws stood."""
        torch.set_rng_state(state["torch"])
        torch.cuda.set_rng_state_all(state["cuda"])
        self.numpy.bit_generator.state = json.loads(state["numpy"])
