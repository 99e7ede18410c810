"""ItemVectors: the two vectors of each item that a network was trained with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.errors import BundleError
from engine.window import HistoryBatch, IndexBatch

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ItemVectors:
    """Vectors of the items 0..N-1, memory-mapped once opened.

    inputs [N+1,D]: what a network reads of an item inside a history; row N is padding and all zeros.
    outputs [N,E]: what a user vector is multiplied with; the last dimension may carry a bias.
    """

    inputs: Floats
    outputs: Floats

    def __post_init__(self) -> None:
        if len(self.inputs) != len(self.outputs) + 1:
            raise BundleError(
                f"there are input vectors of {len(self.inputs) - 1} items, output vectors of {len(self.outputs)};"
                " train again"
            )

    def batch(self, rows: IndexBatch) -> HistoryBatch:
        """Return what a network reads for these histories."""
        vectors = np.asarray(self.inputs[rows.indices], dtype=np.float32)
        return HistoryBatch(vectors, rows.values, rows.ages, rows.lengths)
