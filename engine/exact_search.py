"""exact_search: the best rows of a table, found by looking at each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import faiss
import numpy as np
import numpy.typing as npt

from engine.faiss_threads import threads_for
from engine.row_set import RowSet
from engine.vector_table import Table

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
ROWS_AT_ONCE = 65_536
Pair = tuple[Indices, Floats]


def exact_search(table: Table, queries: Floats, k: int, forbidden: RowSet | None = None) -> Pair:
    """Return the k best rows that are not forbidden [B,k], best first, -1 where there are fewer, and their scores."""
    best: Pair = np.full((len(queries), k), -1), np.full((len(queries), k), -np.inf, dtype=np.float32)
    for rows in _allowed(len(table), forbidden):
        vectors = np.ascontiguousarray(table[rows], dtype=np.float32)
        with threads_for(len(queries)):
            scores, places = faiss.knn(queries, vectors, min(k, len(rows)), metric=faiss.METRIC_INNER_PRODUCT)
        best = joined(best, (np.where(places >= 0, rows[places], -1), scores), k)
    return best


def joined(one: Pair, other: Pair, k: int) -> Pair:
    """Return the k best of two lists for each query, -1 at the end; of equal ones, the first list's are before."""
    indices = np.concatenate((one[0], other[0]), axis=1)
    scores = np.where(indices >= 0, np.concatenate((one[1], other[1]), axis=1), -np.inf)
    if scores.shape[1] > 4 * k:
        places = np.sort(np.argpartition(-scores, k, axis=1)[:, :k], axis=1)
        indices, scores = np.take_along_axis(indices, places, axis=1), np.take_along_axis(scores, places, axis=1)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(indices, order, axis=1), np.take_along_axis(scores, order, axis=1)


def rows_left(forbidden: RowSet | None, count: int) -> int:
    """Return how many of the first rows are not forbidden."""
    return count - (0 if not forbidden else int(np.bitwise_count(_bytes(forbidden, count)).sum()))


def _allowed(count: int, forbidden: RowSet | None) -> Iterator[Indices]:
    starts: Iterable[int] = range(0, count, ROWS_AT_ONCE)
    if not forbidden:
        yield from (np.arange(start, min(start + ROWS_AT_ONCE, count)) for start in starts)
        return
    allowed = np.flatnonzero(~np.unpackbits(_bytes(forbidden, count), bitorder="little").astype(bool))
    allowed = allowed[allowed < count]
    yield from (allowed[start : start + ROWS_AT_ONCE] for start in range(0, len(allowed), ROWS_AT_ONCE))


def _bytes(rows: RowSet, count: int) -> npt.NDArray[np.uint8]:
    """Return the bits of the first rows, those behind them out."""
    bits = np.zeros(-(-count // 8), dtype=np.uint8)
    there = rows.bits[: len(bits)]
    bits[: len(there)] = there
    if count % 8 and len(bits):
        bits[-1] &= (1 << count % 8) - 1
    return bits
