"""EncodedNetwork: an encoder as it lies in a bundle."""

from __future__ import annotations

from dataclasses import dataclass

from engine.item_vectors import ItemVectors
from engine.search_index import SearchIndex


@dataclass(frozen=True, slots=True)
class EncodedNetwork:
    """An encoder as ONNX with its item vectors, and the index over them if it is a source."""

    encoder: bytes
    vectors: ItemVectors
    index: SearchIndex | None = None
    refiner: bytes | None = None
    """The second stage of predicted ratings as ONNX."""
