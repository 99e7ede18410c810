"""Item-to-item tables: EASE, item-kNN and windowed co-occurrence, cut to the strongest neighbours."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engine.neighbours import NeighbourTable
from engine.window import HistoryColumns
from training.neighbours_config import NeighboursConfig

Floats = npt.NDArray[np.float32]
ITEMS_AT_ONCE = 1_024


def ease_weights(columns: HistoryColumns, item_count: int, regularisation: float) -> Floats:
    """Return the item-item weights [N,N] of EASE: B = -P / diag(P), P = (X^T X + lambda I)^-1 (Steck, 2019).

    In float32. X [U,N] says which user has met which item.
    """
    return np.concatenate(list(_ease_rows(columns, item_count, regularisation)))


def ease_neighbours(columns: HistoryColumns, item_count: int, most: int, regularisation: float) -> NeighbourTable:
    """Return EASE cut to the `most` strongest weights (by size) of each item.

    At its largest it takes 8 S^2 bytes, S the smaller of the numbers of users and items.
    """
    most = min(most, item_count)
    indices, weights = [], []
    for rows in _ease_rows(columns, item_count, regularisation):
        # A copy, for a slice would keep the whole of the rows in memory.
        strongest = np.argpartition(-np.abs(rows), most - 1, axis=1)[:, :most].astype(np.int32)
        indices.append(strongest)
        weights.append(np.take_along_axis(rows, strongest, axis=1))
    return _padded(np.concatenate(indices), np.concatenate(weights), item_count)


def _ease_rows(columns: HistoryColumns, item_count: int, regularisation: float) -> Iterator[Floats]:
    by_items = item_count < len(columns.offsets)
    return (_ease_by_items if by_items else _ease_by_users)(columns, item_count, regularisation)


def _ease_by_items(columns: HistoryColumns, item_count: int, regularisation: float) -> Iterator[Floats]:
    inverse = _inverse(_met(columns, item_count), regularisation)
    inverse.div_(-inverse.diagonal().clone())
    inverse.fill_diagonal_(0.0)
    yield from (block.numpy() for block in torch.split(inverse, ITEMS_AT_ONCE))


def _ease_by_users(columns: HistoryColumns, item_count: int, regularisation: float) -> Iterator[Floats]:
    """Yield B from the inverse S of X X^T + lambda I, as P = (I - X^T S X) / lambda (Woodbury, 1950)."""
    met = _met(columns, item_count)
    inverse = _inverse(met.t().coalesce(), regularisation)
    item, user = met.indices()
    explained = torch.zeros(item_count)
    for start, rows in _row_blocks(met):
        inside = (item >= start) & (item < start + rows.shape[0])
        own = torch.sparse.mm(rows, inverse)[item[inside] - start, user[inside]]
        explained.index_add_(0, item[inside], own)
    for start, rows in _row_blocks(met):
        weights = torch.sparse.mm(met, torch.sparse.mm(rows, inverse).T.contiguous()).T / (1.0 - explained)
        weights[torch.arange(len(weights)), torch.arange(len(weights)) + start] = 0.0
        yield weights.numpy()


def _inverse(matrix: Tensor, regularisation: float) -> Tensor:
    """Return (A A^T + lambda I)^-1 of a sparse A."""
    gram = torch.empty(len(matrix), len(matrix))
    for start, block in _gram_blocks(matrix):
        gram[:, start : start + block.shape[1]] = block
    gram.diagonal().add_(regularisation)
    torch.linalg.cholesky(gram, out=gram)
    return torch.cholesky_inverse(gram, out=gram)


def _met(columns: HistoryColumns, item_count: int) -> Tensor:
    """Return the sparse X^T [N,U]."""
    owner = np.repeat(np.arange(len(columns.offsets) - 1), np.diff(columns.offsets))
    places = np.unique(columns.item_index * len(columns.offsets) + owner)
    item, user = torch.from_numpy(places // len(columns.offsets)), torch.from_numpy(places % len(columns.offsets))
    return _sparse(item, user, torch.ones(len(places)), (item_count, len(columns.offsets) - 1))


def _sparse(rows: Tensor, columns: Tensor, values: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return a sparse matrix from places that are sorted and distinct."""
    places = torch.stack((rows, columns))
    return torch.sparse_coo_tensor(places, values, shape, is_coalesced=True, check_invariants=False)


def _row_blocks(matrix: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Yield the first row and the sparse rows of each block."""
    row, column = matrix.indices()
    for start in range(0, matrix.shape[0], ITEMS_AT_ONCE):
        width = min(ITEMS_AT_ONCE, matrix.shape[0] - start)
        inside = (row >= start) & (row < start + width)
        yield start, _sparse(row[inside] - start, column[inside], matrix.values()[inside], (width, matrix.shape[1]))


def _gram_blocks(matrix: Tensor, weights: Tensor | None = None) -> Iterator[tuple[int, Tensor]]:
    """Yield A W A^T some columns at a time, for a sparse A and the diagonal of W."""
    row, column = matrix.indices()
    values = matrix.values() if weights is None else matrix.values() * weights[column]
    weighted = _sparse(row, column, values, tuple(matrix.shape))
    for start, rows in _row_blocks(matrix):
        yield start, torch.sparse.mm(weighted, rows.to_dense().T.contiguous())


def knn_neighbours(columns: HistoryColumns, item_count: int, rules: NeighboursConfig) -> NeighbourTable:
    """Return item-kNN: how many users two items share, put in proportion to what each side would share anyway.

        n_ij = sum_u d_u^-a;   weight(i -> j) = (n_ij^p / (d_i^b d_j^c)) n_ij / (n_ij + shrinkage)

    d are numbers of events. a = 0, b = c = 1/2, p = 1 is the cosine with shrinkage (Koren, 2008); b != c the asymmetric
    cosine (Aiolli, 2013); a = 1, b = c = 1/2 the linear filter of GF-CF (Shen et al., 2021).
    """
    most = min(rules.most, item_count)
    counts = torch.from_numpy(np.bincount(columns.item_index, minlength=item_count)).clamp(min=1).float()
    of_history, of_candidate = counts.pow(-rules.knn_history_power), counts.pow(-rules.knn_candidate_power)
    activity = torch.from_numpy(np.diff(columns.offsets)).clamp(min=1).float()
    indices, weights = [], []
    for start, block in _gram_blocks(_met(columns, item_count), activity.pow(-rules.knn_user_power)):
        # One row for each item of the block, since the largest of a row are found faster than those of a column.
        shared = block.T.contiguous()
        shared[torch.arange(len(shared)), torch.arange(len(shared)) + start] = 0.0
        trusted = shared / (shared + rules.knn_shrinkage).clamp(min=1e-12)
        scaled = shared.pow(rules.knn_power) * of_history[start : start + len(shared), None] * of_candidate
        best = (scaled * trusted).topk(most, dim=1, sorted=False)
        indices.append(best.indices.numpy())
        weights.append(best.values.numpy())
    return _padded(np.concatenate(indices), np.concatenate(weights), item_count)


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
