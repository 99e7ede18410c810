"""InvertedIndex: lists of short codes around centroids, whose best are scored again from the table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from engine.exact_search import exact_search, joined, rows_left
from engine.faiss_threads import threads_for
from engine.index import VectorIndex, widened
from engine.index_plan import EXACT_UP_TO
from engine.index_settings import IndexKind, IndexSettings
from engine.list_projection import ListProjection
from engine.row_set import RowSet
from engine.vector_table import Table

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
QUERIES_AT_ONCE = 64


class InvertedIndex:
    """A FAISS index with inverted lists (Jegou et al., 2011) over the rows of a table [N,E], whose vectors it lacks.

    It proposes candidates by the product of codes; their order and scores come from the table. What was added live is
    in a smaller index beside it, so that the codes stay mapped and shared.
    """

    def __init__(
        self,
        index: Any,  # noqa: ANN401 (FAISS has no common Python type for its indexes)
        projection: ListProjection,
        table: Table,
        settings: IndexSettings,
        exact_up_to: int = EXACT_UP_TO,
        added: VectorIndex | None = None,
    ) -> None:
        self._index = index
        self._projection = projection
        # A plain array gathers faster than a memory map of the same bytes.
        self._table = np.asarray(table) if isinstance(table, np.memmap) else table
        self.settings = settings
        self._exact_up_to = exact_up_to
        self._added = added
        self._widths: Floats = index.quantizer.reconstruct_n(0, index.nlist)[:, -1]

    def __len__(self) -> int:
        return len(self._table) + (0 if self._added is None else len(self._added))

    @property
    def width(self) -> int:
        """The number of dimensions E."""
        return int(self._table.shape[1])

    @property
    def kind(self) -> IndexKind:
        """ "ivf" or "ivfpq"."""
        return self.settings.kind

    @property
    def lists(self) -> int:
        """How many lists there are."""
        return int(self._index.nlist)

    @property
    def code_width(self) -> int:
        """Of how many numbers a code is."""
        return self._projection.width

    @property
    def query_map(self) -> Floats:
        """What becomes of a query, [E,P]."""
        return self._projection.of_queries

    def tuned(self, settings: IndexSettings) -> InvertedIndex:
        """Return the same index, searched in another way."""
        return InvertedIndex(self._index, self._projection, self._table, settings, self._exact_up_to, self._added)

    def search(self, queries: Floats, k: int, forbidden: RowSet | None = None) -> tuple[Indices, Floats]:
        """Return the k best items that are not forbidden: indices [B,k] and scores [B,k], best first.

        Where fewer than k are left, the index is -1.
        """
        k = min(k, len(self))
        found = self._search(queries, min(k, len(self._table)), forbidden)
        return found if self._added is None else joined(found, self._added.search(queries, k, forbidden), k)

    def proposed(self, queries: Floats, count: int, lists: int, forbidden: RowSet | None = None) -> Indices:
        """Return the rows [B,count] that are best by their codes, best first, -1 where there are fewer."""
        selector = faiss.IDSelectorNot(faiss.IDSelectorBitmap(forbidden.bits)) if forbidden else None
        projected, lists = self._projection.queries(queries), min(lists, self.lists)
        # A wild number makes a useless search, not a warning for each.
        with threads_for(len(queries)), np.errstate(over="ignore", invalid="ignore"):
            products, nearest = self._index.quantizer.search(projected, lists)
            # How wide a list is decides whether it is looked at, not what is found there.
            products -= projected[:, -1:] * self._widths[nearest]
            parameters = faiss.SearchParametersIVF(sel=selector, nprobe=lists)
            rows, scores = np.empty((len(queries), count), np.int64), np.empty((len(queries), count), np.float32)
            pointers = (faiss.swig_ptr(each) for each in (nearest, products, scores, rows))
            # The method for arrays takes no parameters.
            self._index.search_preassigned_c(
                len(queries), faiss.swig_ptr(projected), count, *pointers, False, parameters
            )
        return rows

    def extended(self, ids: Indices, vectors: Floats, is_unwanted: Callable[[], bool]) -> InvertedIndex | None:
        """Return an index with further rows [S,E] of the items `ids` [S]; None if it became unwanted meanwhile."""
        added: VectorIndex | None
        if self._added is None:
            added = VectorIndex.build(vectors, self._exact_up_to, ids)
        else:
            added = self._added.extended(ids, vectors, is_unwanted)
        if added is None:
            return None
        return InvertedIndex(self._index, self._projection, self._table, self.settings, self._exact_up_to, added)

    def save(self, path: Path) -> None:
        """Write the index without what was added."""
        faiss.write_index(self._index, str(path))

    def _search(self, queries: Floats, k: int, forbidden: RowSet | None) -> tuple[Indices, Floats]:
        count = len(self._table)
        left = rows_left(forbidden, count) if forbidden and len(forbidden) > count / 16 else count
        # So few rows that to look at each is quicker than the lists.
        if forbidden and left <= self._exact_up_to:
            return exact_search(self._table, queries, k, forbidden)
        lists, candidates = self.settings.scaled(k)
        rows = self.proposed(queries, min(candidates, count), round(lists * widened(left, count)), forbidden)
        starts = range(0, len(queries), QUERIES_AT_ONCE)
        parts = [slice(start, start + QUERIES_AT_ONCE) for start in starts]
        found = [self._scored_again(queries[part], rows[part], k) for part in parts]
        indices, scores = found[0] if len(found) == 1 else map(np.concatenate, zip(*found, strict=True))
        # The lists that were looked at have too few rows for these.
        if (short := rows[:, k - 1] < 0).any():
            indices[short], scores[short] = exact_search(self._table, queries[short], k, forbidden)
        return indices, scores

    def _scored_again(self, queries: Floats, rows: Indices, k: int) -> tuple[Indices, Floats]:
        vectors = self._table[rows] if len(queries) > 1 else self._table[rows[0]][None]
        # Not matmul: of such small shapes BLAS now and then reports an invalid value where there is none.
        scores = np.where(rows >= 0, np.einsum("bcv,bv->bc", vectors, queries), -np.inf)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(rows, order, axis=1), np.take_along_axis(scores, order, axis=1)
