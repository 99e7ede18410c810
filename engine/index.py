"""VectorIndex: nearest items by inner product, with FAISS."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import faiss
import numpy as np
import numpy.typing as npt

from engine.faiss_threads import threads_for
from engine.index_file import HNSW_BUILD_WIDTH, HNSW_LINKS, IndexFile
from engine.index_plan import EXACT_UP_TO
from engine.index_settings import IndexSettings
from engine.row_set import RowSet
from engine.unreadable import unreadable

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
HNSW_SEARCH_WIDTH = 256
MOST_WIDENED, WIDENING = 16, 1.5
ROWS_AT_ONCE = 256


class VectorIndex:
    """A FAISS index over item vectors [N,E]; the FAISS row is the item index, unless `ids` [N] says which it is.

    Up to EXACT_UP_TO items the search is exact; above, a graph is searched (HNSW, Malkov & Yashunin 2018).
    """

    def __init__(
        self,
        index: Any,  # noqa: ANN401 (FAISS has no common Python type for its indexes)
        exact_up_to: int = EXACT_UP_TO,
        ids: Indices | None = None,
        settings: IndexSettings | None = None,
        is_mapped: bool = False,
    ) -> None:
        self._index = index
        self._is_mapped = is_mapped
        self._exact_up_to = exact_up_to
        self._ids = ids
        self._translation = faiss.Int64Vector()
        if ids is not None:
            faiss.copy_array_to_vector(ids, self._translation)
        self.settings = settings or IndexSettings(kind=self.kind, width=HNSW_SEARCH_WIDTH)

    @classmethod
    def build(cls, vectors: Floats, exact_up_to: int = EXACT_UP_TO, ids: Indices | None = None) -> VectorIndex:
        """Index vectors [N,E] by inner product, of the items `ids` [N] if they are not 0..N-1."""
        count, width = vectors.shape
        index = faiss.IndexFlatIP(width) if count <= exact_up_to else graph_of(width)
        index.add(np.ascontiguousarray(vectors, dtype=np.float32))
        return cls(index, exact_up_to, ids)

    def tuned(self, settings: IndexSettings) -> VectorIndex:
        """Return the same index, searched in another way."""
        return VectorIndex(self._index, self._exact_up_to, self._ids, settings, self._is_mapped)

    def extended(self, ids: Indices, vectors: Floats, is_unwanted: Callable[[], bool]) -> VectorIndex | None:
        """Return an index with further rows [S,E] of the items `ids` [S]; None if it became unwanted meanwhile.

        This one may be searched all the time, which is why it is copied: FAISS cannot search while it adds.
        """
        if self.kind == "flat" and len(self) + len(ids) > self._exact_up_to:
            index, vectors = graph_of(self.width), np.concatenate((self._index.reconstruct_n(0, len(self)), vectors))
        else:
            index = self._copy()
        for start in range(0, len(vectors), ROWS_AT_ONCE):
            if is_unwanted():
                return None
            index.add(np.ascontiguousarray(vectors[start : start + ROWS_AT_ONCE], dtype=np.float32))
        settings = self.settings if self.kind == "hnsw" else None
        return VectorIndex(index, self._exact_up_to, np.concatenate((self._item_indices(), ids)), settings)

    @classmethod
    def open(
        cls, path: Path, count: int, width: int, settings: IndexSettings | None = None, *, is_checked: bool = False
    ) -> VectorIndex:
        """Map an index of `count` vectors that `save` wrote; raises BundleError on another file."""
        if not is_checked:
            IndexFile.check(path, count, width)
        with unreadable(path, "train again"):
            return cls(faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC), settings=settings, is_mapped=True)

    def save(self, path: Path) -> None:
        """Write the index to a file."""
        faiss.write_index(self._index, str(path))

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def width(self) -> int:
        """The number of dimensions E."""
        return int(self._index.d)

    @property
    def kind(self) -> Literal["flat", "hnsw"]:
        """ "flat" (exact) or "hnsw"."""
        return "flat" if isinstance(self._index, faiss.IndexFlat) else "hnsw"

    def search(self, queries: Floats, k: int, forbidden: RowSet | None = None) -> tuple[Indices, Floats]:
        """Return the k best items that are not forbidden: indices [B,k] and scores [B,k], best first.

        Where fewer than k are left, the index is -1.
        """
        k = min(k, len(self))
        selector = self._selector(forbidden)
        left = self._left(forbidden)
        # So few rows that to look at each is quicker than the graph.
        if self.kind == "flat" or (forbidden and left <= self._exact_up_to):
            return self._named(*self._look_at(queries, k, selector))
        least = k if self.settings.recall is not None else 2 * k
        width = round(max(self.settings.scaled(k)[0], least) * widened(left, len(self)))
        with threads_for(len(queries)):
            parameters = faiss.SearchParametersHNSW(sel=selector, efSearch=width)
            scores, rows = self._index.search(queries, k, params=parameters)
        if selector is not None and (rows < 0).any():
            # A graph loses its way where hardly anything is left of some part of it.
            rows, scores = self._look_at(queries, k, selector)
        return self._named(rows, scores)

    def _copy(self) -> Any:  # noqa: ANN401
        # What is mapped cannot grow: FAISS would end the process. And the file may be another by now.
        if self._is_mapped:
            return faiss.deserialize_index(faiss.serialize_index(self._index))
        return faiss.clone_index(self._index)

    def _item_indices(self) -> Indices:
        return np.arange(len(self)) if self._ids is None else self._ids

    def _named(self, rows: Indices, scores: Floats) -> tuple[Indices, Floats]:
        return (rows if self._ids is None else np.where(rows >= 0, self._ids[rows], -1)), scores

    def _look_at(self, queries: Floats, k: int, selector: object) -> tuple[Indices, Floats]:
        """Look at each row that the selector leaves."""
        exact = self._index if self.kind == "flat" else faiss.downcast_index(self._index.storage)
        with threads_for(len(queries)):
            scores, rows = exact.search(queries, k, params=faiss.SearchParameters(sel=selector))
        return rows, np.where(rows >= 0, scores, -np.inf)

    def _left(self, forbidden: RowSet | None) -> int:
        """Return how many rows are not forbidden, at least; few forbidden ones are not counted."""
        if not forbidden or len(forbidden) < len(self) / MOST_WIDENED:
            return len(self) - len(forbidden or ())
        bits = np.unpackbits(forbidden.bits, bitorder="little")
        here = bits[: len(self)] if self._ids is None else bits[self._ids[self._ids < len(bits)]]
        return len(self) - int(here.sum())

    def _selector(self, forbidden: RowSet | None) -> object:
        if not forbidden:
            return None
        selector = faiss.IDSelectorNot(faiss.IDSelectorBitmap(forbidden.bits))
        return selector if self._ids is None else faiss.IDSelectorTranslated(self._translation, selector)


def widened(left: int, count: int) -> float:
    """Return how many times farther one looks where so many of the rows are left: forbidden ones are met like any."""
    return float(min(MOST_WIDENED, (count / max(left, 1)) ** WIDENING))


def graph_of(width: int) -> Any:  # noqa: ANN401
    """Return an empty graph."""
    index = faiss.IndexHNSWFlat(width, HNSW_LINKS, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = HNSW_BUILD_WIDTH
    return index
