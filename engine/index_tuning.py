"""tuned: how far an index must look to find what it should, measured on queries."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from engine.exact_search import exact_search
from engine.index import VectorIndex
from engine.index_settings import TUNED_FOR, IndexSettings
from engine.inverted_index import InvertedIndex
from engine.vector_table import Table

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
STEP = 1.2
NARROWEST, WIDEST_GRAPH = 1, 4_096
CANDIDATES = (1.05, 1.25, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 15, 20)
"""How many are scored again, for each that is wanted."""
SCANNED_NUMBER, SCORED_AGAIN = 0.1, 200.0
"""What these cost, in nanoseconds of one core; so the same queries give the same settings on any machine."""


def tuned(
    index: VectorIndex | InvertedIndex, table: Table, queries: Floats, wanted: float, k: int = TUNED_FOR
) -> VectorIndex | InvertedIndex:
    """Return the index searched at the least cost that finds the share `wanted` of the best k, or the most it can.

    Every second query chooses, with a standard error to spare; the others measure the recall that the settings tell.
    """
    k = min(k, len(table))
    if index.kind == "flat":
        return index.tuned(IndexSettings(kind="flat", width=1, candidates=k, k=k, recall=1.0, wanted=wanted))
    truth, _ = exact_search(table, queries, k)
    chosen = _chosen(index, queries[::2], truth[::2], wanted)
    settings = IndexSettings(kind=index.kind, width=chosen[0], candidates=chosen[1], k=k, wanted=wanted)
    again = index.tuned(settings)
    found, _ = again.search(queries[1::2], k)
    recall = round(float(_hits(found, truth[1::2]).mean()), 4)
    return again.tuned(settings.model_copy(update={"recall": recall}))


def _chosen(index: VectorIndex | InvertedIndex, queries: Floats, truth: Indices, wanted: float) -> tuple[int, int]:
    """Return width and candidates."""
    best, least, most = (1, 1), np.inf, -np.inf
    for width, base in _widths(index):
        if base >= least:
            break
        for candidates, hits in _recalls(index, queries, truth, width):
            cost = base + SCORED_AGAIN * candidates
            mean, error = hits.mean(), hits.std() / max(len(hits) - 1, 1) ** 0.5
            if mean - error >= wanted and cost < least:
                best, least = (width, candidates), cost
            if least == np.inf and mean > most:
                best, most = (width, candidates), mean
    return best


def _widths(index: VectorIndex | InvertedIndex) -> Iterator[tuple[int, float]]:
    """Yield widths, and what they cost alone."""
    graph = isinstance(index, VectorIndex)
    most = WIDEST_GRAPH if isinstance(index, VectorIndex) else index.lists
    a_step = 1.0 if isinstance(index, VectorIndex) else SCANNED_NUMBER * len(index) / index.lists * index.code_width
    width, last = float(TUNED_FOR if graph else NARROWEST), 0
    while last < most:
        now = min(max(round(width), last + 1), most)
        yield now, a_step * now
        width, last = max(width * STEP, now), now


def _recalls(
    index: VectorIndex | InvertedIndex, queries: Floats, truth: Indices, width: int
) -> Iterator[tuple[int, npt.NDArray[np.float64]]]:
    """Yield numbers of candidates, and which share of the truth is among so many, for each query."""
    k = truth.shape[1]
    if isinstance(index, VectorIndex):
        settings = IndexSettings(kind="hnsw", width=width, k=k, recall=0.0)
        yield k, _hits(index.tuned(settings).search(queries, k)[0], truth)
        return
    wanted = [min(round(each * k), len(index)) for each in CANDIDATES]
    found = index.proposed(queries, wanted[-1], width)
    is_right = np.stack([np.isin(row, right) for row, right in zip(found, truth, strict=True)])
    shares = np.cumsum(is_right, axis=1) / k
    yield from ((count, shares[:, count - 1]) for count in wanted)


def _hits(found: Indices, truth: Indices) -> npt.NDArray[np.float64]:
    return np.array([np.isin(right, row).mean() for row, right in zip(found, truth, strict=True)])
