"""Encoder: a history becomes a user vector."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from engine.runtime import Network
from engine.window import HistoryBatch

Floats = npt.NDArray[np.float32]


class Encoder(Protocol):
    """First half of the first stage: user vectors that live in the space of the item output vectors."""

    def encode(self, batch: HistoryBatch) -> Floats:
        """Return user vectors [B,E]."""
        ...


class NetworkEncoder:
    """An encoder that training exported: vectors, values, ages, lengths -> [B,E]."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def encode(self, batch: HistoryBatch) -> Floats:
        """Return user vectors [B,E]; every history must have at least one event."""
        given: dict[str, npt.NDArray[np.generic]] = {
            "vectors": batch.vectors,
            "values": batch.values,
            "ages": batch.ages,
            "lengths": batch.lengths,
        }
        return self._network.run(**{name: given[name] for name in self._network.inputs})
