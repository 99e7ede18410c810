"""LiveVocabulary: a bundle's vocabulary, and the ids that came while the service ran."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from engine.vocabulary import UNKNOWN, Vocabulary


class LiveVocabulary(Vocabulary):
    """The ids of a vocabulary at 0..N-1, N for padding as ever, and further ids from N + 1 on.

    Length, `ids`, digest and JSON stay those of the bundle. An id that moves to a new row leaves its old row behind.
    """

    def __init__(self, base: Vocabulary) -> None:
        # Both are shared with the base: a copy would cost each worker as much again.
        self._ids = base._ids
        self._indices = base._indices
        self._live_ids: list[str] = []
        self._live_indices: dict[str, int] = {}

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._indices or item_id in self._live_indices

    def append(self, item_id: str) -> int:
        """Give an id, known as a live one or not at all, the next row, and return it."""
        index = self.padding_index + 1 + len(self._live_ids)
        self._live_ids.append(item_id)
        self._live_indices[item_id] = index
        return index

    def forget(self, item_id: str) -> None:
        """Make a live id unknown."""
        del self._live_indices[item_id]

    def id_of(self, index: int) -> str:
        """Return the id of one row."""
        return self._ids[index] if index < len(self._ids) else self._live_ids[index - len(self._ids) - 1]

    def index_of(self, item_id: str) -> int:
        """Return the newest row of an id, or UNKNOWN (-1)."""
        return self._indices.get(item_id, self._live_indices.get(item_id, UNKNOWN))

    def indices_of(self, item_ids: Iterable[str]) -> npt.NDArray[np.int64]:
        """Return the newest rows of many ids, UNKNOWN (-1) where an id is not known."""
        if not self._live_indices:
            return super().indices_of(item_ids)
        get, live = self._indices.get, self._live_indices.get
        return np.fromiter((get(item_id, live(item_id, UNKNOWN)) for item_id in item_ids), dtype=np.int64)
