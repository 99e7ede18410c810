"""ItemTower: an item's content vector becomes the two vectors that a network of the bundle knows items by."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from engine.runtime import Network

Floats = npt.NDArray[np.float32]


class ItemTower(Protocol):
    """Second half of what makes an item recommendable that training has never met."""

    def vectors(self, content: Floats) -> tuple[Floats, Floats]:
        """Return input vectors [B,D] and output vectors [B,E] of items by their content vectors [B,V]."""
        ...


class NetworkTower:
    """A tower that training exported: content_vectors -> input_vectors, output_vectors."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def vectors(self, content: Floats) -> tuple[Floats, Floats]:
        """Return input vectors [B,D] and output vectors [B,E]."""
        inputs, outputs = self._network.run_all(content_vectors=content)
        return inputs, outputs
