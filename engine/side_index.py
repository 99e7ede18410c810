"""LiveIndex: an index whose rows grow while it is searched."""

from __future__ import annotations

import faiss
import numpy as np
import numpy.typing as npt

from engine.exact_search import joined
from engine.faiss_threads import threads_for
from engine.growing_array import GrowingArray
from engine.index_merge import IndexMerge, Run
from engine.row_set import RowSet
from engine.search_index import SearchIndex

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
MERGE_AT = 4_096


class SideIndex:
    """Rows that came after the main index was built, searched one by one."""

    def __init__(self, width: int) -> None:
        self._ids = GrowingArray((), np.int64)
        self._index = faiss.IndexFlatIP(width)

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, ids: Indices, vectors: Floats) -> None:
        """Add vectors [S,E] of the items `ids` [S]."""
        self._ids.append(ids)
        self._index.add(np.ascontiguousarray(vectors, dtype=np.float32))

    def without(self, dead: RowSet) -> tuple[Indices, Floats]:
        """Return a copy of what is here but for the dead: ids [S] and vectors [S,E]."""
        alive = ~dead.hits(self._ids.rows)
        return self._ids.rows[alive], self._index.reconstruct_n(0, len(self))[alive]

    def drop_first(self, count: int) -> None:
        """Forget the rows that came first."""
        rest = self._index.reconstruct_n(count, len(self) - count)
        self._ids.drop_first(count)
        self._index.reset()
        self._index.add(rest)

    def search(self, queries: Floats, k: int, forbidden: RowSet | None) -> tuple[Indices, Floats]:
        """Return the min(k, rows) best: indices, -1 where there are fewer, and scores; best first."""
        selector = None
        if forbidden:
            wanted = ~forbidden.hits(self._ids.rows)
            selector = faiss.IDSelectorBitmap(np.packbits(wanted, bitorder="little"))
        with threads_for(len(queries)):
            scores, rows = self._index.search(queries, min(k, len(self)), params=faiss.SearchParameters(sel=selector))
        return np.where(rows >= 0, self._ids.rows[rows], -1), scores


class LiveIndex:
    """A main index that is only ever replaced, and a side index that takes what is new.

    Once the side has `merge_at` rows, a copy of the main index with them in it is made beside the searches, and takes
    its place at the next call. `dead` rows are not taken along. All calls belong to one thread.
    """

    def __init__(self, main: SearchIndex, merge_at: int = MERGE_AT, run: Run = IndexMerge.run_in_thread) -> None:
        self._main = main
        self._side = SideIndex(main.width)
        self._dead = RowSet()
        self._merge: IndexMerge | None = None
        self._merge_at = self._next_at = merge_at
        self._run = run

    def __len__(self) -> int:
        return len(self._main) + len(self._side)

    @property
    def is_merging(self) -> bool:
        """Whether a merge is under way or waits to be taken over."""
        return self._merge is not None

    def add(self, ids: Indices, vectors: Floats) -> None:
        """Add vectors [S,E] of the items `ids` [S], which are new here."""
        self._side.add(ids, vectors)
        self._turn()

    def forget(self, index: int) -> None:
        """Say that an item will never be wanted again; until it is gone, searches must forbid it."""
        self._dead.set(index, True)

    def search(self, queries: Floats, k: int, forbidden: RowSet | None = None) -> tuple[Indices, Floats]:
        """Return the k best items that are not forbidden: indices [B,k], -1 where there are fewer, and scores."""
        if self._merge is not None:
            self._turn()
        found = self._main.search(queries, k, forbidden=forbidden)
        if not len(self._side):
            return found
        return joined(found, self._side.search(queries, k, forbidden), min(k, len(self)))

    def _turn(self) -> None:
        """Take over a merge that is done, and begin the next."""
        if self._merge is not None and self._merge.is_over:
            self._take_over(self._merge)
        if self._merge is None and len(self._side) >= self._next_at:
            self._merge = IndexMerge(self._main, *self._side.without(self._dead), taken=len(self._side))
            self._run(self._merge)

    def _take_over(self, merge: IndexMerge) -> None:
        self._merge = None
        # After a failure the side index serves on; trying again at once would fail again.
        self._next_at = len(self._side) + self._merge_at if merge.merged is None else self._merge_at
        if merge.merged is not None:
            self._main = merge.merged
            self._side.drop_first(merge.taken)
