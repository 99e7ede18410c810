"""NeighbourTable: the strongest item-to-item weights, so that scoring a live history is a sparse gather."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class NeighbourTable:
    """indices int32 [N+1,M] and weights [N+1,M]: the M strongest neighbours of each item; row N (padding) weighs 0."""

    indices: npt.NDArray[np.int32]
    weights: Floats

    def scores(self, history: Indices, candidates: Indices) -> Floats:
        """Return the summed weight from a row's history items [B,H] to each of its candidates [B,K] as [B,K].

        The cost does not depend on the size of the catalogue. Candidates of a row must differ from each other.
        """
        size = int(max(candidates.max(initial=0), self.indices.max(initial=0))) + 2
        rows = np.arange(len(candidates))[:, None] * size
        # Candidate -1 (none found) becomes key 0 of its row; items stand one higher.
        keys = (rows + candidates + 1).ravel()
        order = np.argsort(keys, kind="stable")
        linked = (rows[:, :, None] + self.indices[history] + 1).ravel()
        weights = self.weights[history].ravel()
        place = np.minimum(np.searchsorted(keys, linked, sorter=order), len(keys) - 1)
        met = keys[order[place]] == linked
        return (
            np.bincount(order[place[met]], weights[met], minlength=len(keys))
            .reshape(candidates.shape)
            .astype(np.float32)
        )
