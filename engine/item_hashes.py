"""ItemHashes: finds items by a hash of their ids."""

from __future__ import annotations

from collections.abc import Callable, Collection
from threading import Lock

import numpy as np
import numpy.typing as npt

from engine.items import ItemTable

Indices = npt.NDArray[np.int64]
LOT = 65_536


class ItemHashes:
    """The 32-bit hash of each row's id, computed when it is first needed and for rows that came since."""

    def __init__(self, items: ItemTable, hash_of: Callable[[str], int]) -> None:
        self._items = items
        self._hash_of = hash_of
        self._hashes = np.empty(0, dtype=np.uint32)
        self._lock = Lock()

    @property
    def is_built(self) -> bool:
        """Whether only a few rows are missing."""
        return self._items.rows.end - len(self._hashes) <= LOT

    def build(self) -> None:
        """Compute what is missing; may be called in other threads than the one that finds."""
        with self._lock:
            missing = range(len(self._hashes), self._items.rows.end)
            more = np.fromiter(map(self._hash, missing), dtype=np.uint32, count=len(missing))
            self._hashes = np.concatenate((self._hashes, more))

    def item_ids(self, hashes: Collection[int]) -> frozenset[str]:
        """Return the ids of all items with one of the hashes."""
        if len(self._hashes) < self._items.rows.end:
            self.build()
        wanted = np.fromiter(hashes, dtype=np.uint32, count=len(hashes))
        rows = np.flatnonzero(np.isin(self._hashes, wanted))
        return frozenset(self._items.vocabulary.id_of(row) for row in rows.tolist() if row != self._items.rows.base)

    def _hash(self, row: int) -> int:
        # The padding row has no id.
        return 0 if row == self._items.rows.base else self._hash_of(self._items.vocabulary.id_of(row))
