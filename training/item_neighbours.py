"""Item-to-item tables: EASE and windowed co-occurrence, cut to the strongest neighbours."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.neighbours import NeighbourTable
from engine.window import HistoryColumns

Floats = npt.NDArray[np.float32]
EASE_UP_TO = 10_000
"""EASE inverts an N x N matrix: 0.8 GB and about a minute at 10,000 items."""


def ease_weights(columns: HistoryColumns, item_count: int, regularisation: float) -> Floats:
    """Return the item-item weights [N,N] of EASE: B = -P / diag(P), P = (X^T X + lambda I)^-1 (Steck, 2019)."""
    owner = np.repeat(np.arange(len(columns.offsets) - 1), np.diff(columns.offsets))
    gram = np.zeros((item_count, item_count), dtype=np.float64)
    for start in range(0, len(columns.offsets) - 1, 1_024):
        inside = (owner >= start) & (owner < start + 1_024)
        seen = np.zeros((1_024, item_count), dtype=np.float32)
        seen[owner[inside] - start, columns.item_index[inside]] = 1.0
        gram += seen.T @ seen
    gram[np.diag_indices(item_count)] += regularisation
    inverse = np.linalg.inv(gram)
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    return weights.astype(np.float32)


def ease_neighbours(columns: HistoryColumns, item_count: int, most: int, regularisation: float) -> NeighbourTable:
    """Return EASE cut to the `most` strongest weights (by size) of each item."""
    weights = ease_weights(columns, item_count, regularisation)
    most = min(most, item_count)
    indices = np.argpartition(-np.abs(weights), most - 1, axis=1)[:, :most]
    return _padded(indices, np.take_along_axis(weights, indices, axis=1), item_count)


def cooccurrence_neighbours(columns: HistoryColumns, item_count: int, most: int, reach: int) -> NeighbourTable:
    """Return how often two items stand within `reach` events of each other, over the root of both popularities.

    Both counts are raised by 5, so that two rare items seen together once do not look inseparable.
    """
    owner = np.repeat(np.arange(len(columns.offsets) - 1), np.diff(columns.offsets))
    item = columns.item_index
    keys = np.concatenate(
        [
            (item[:-step] * item_count + item[step:])[owner[:-step] == owner[step:]]
            for step in range(1, min(reach, len(item) - 1) + 1)
        ]
        or [np.empty(0, dtype=np.int64)]
    )
    pairs, counts = np.unique(
        np.concatenate((keys, keys % item_count * item_count + keys // item_count)), return_counts=True
    )
    left, right = pairs // item_count, pairs % item_count
    popularity = np.bincount(item, minlength=item_count) + 5.0
    weights = counts / np.sqrt(popularity[left] * popularity[right])
    return _strongest(left, right, weights, item_count, most)


def _strongest(
    left: npt.NDArray[np.int64],
    right: npt.NDArray[np.int64],
    weights: npt.NDArray[np.float64],
    item_count: int,
    most: int,
) -> NeighbourTable:
    keep = left != right
    left, right, weights = left[keep], right[keep], weights[keep]
    order = np.lexsort((right, -weights, left))
    left, right, weights = left[order], right[order], weights[order]
    starts = np.searchsorted(left, np.arange(item_count))
    place = np.arange(len(left)) - starts[left]
    keep = place < most
    indices = np.zeros((item_count, most), dtype=np.int32)
    table = np.zeros((item_count, most), dtype=np.float32)
    indices[left[keep], place[keep]] = right[keep]
    table[left[keep], place[keep]] = weights[keep]
    return _padded(indices, table, item_count)


def _padded(indices: npt.NDArray[np.integer], weights: Floats, item_count: int) -> NeighbourTable:
    most = indices.shape[1]
    padded = np.zeros((item_count + 1, most), dtype=np.int32)
    padded[:-1] = indices
    return NeighbourTable(padded, np.vstack((weights, np.zeros((1, most), dtype=np.float32))))
