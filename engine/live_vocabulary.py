"""LiveVocabulary: a bundle's vocabulary, and the ids that came while the service ran."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from engine.vocabulary import UNKNOWN, Vocabulary, hash_of


class LiveVocabulary(Vocabulary):
    """The ids of a vocabulary at 0..N-1, N for padding as ever, and further ids from N + 1 on.

    Length, `ids`, digest and JSON stay those of the bundle. An id that moves to a new row leaves its old row behind.
    """

    def __init__(self, base: Vocabulary) -> None:
        self._take(base.texts, base.lookup)
        self._live_ids: list[str] = []
        self._live_indices: dict[str, int] = {}
        self._live_by_hash: defaultdict[int, set[str]] = defaultdict(set)

    def append(self, item_id: str) -> int:
        """Give an id, known as a live one or not at all, the next row, and return it."""
        index = self.padding_index + 1 + len(self._live_ids)
        self._live_ids.append(item_id)
        self._live_indices[item_id] = index
        self._live_by_hash[hash_of(item_id)].add(item_id)
        return index

    def forget(self, item_id: str) -> None:
        """Make a live id unknown."""
        del self._live_indices[item_id]

    def id_of(self, index: int) -> str:
        """Return the id of one row."""
        return super().id_of(index) if index < len(self) else self._live_ids[index - len(self) - 1]

    def index_of(self, item_id: str) -> int:
        """Return the newest row of an id, or UNKNOWN (-1)."""
        index = super().index_of(item_id)
        return index if index != UNKNOWN else self._live_indices.get(item_id, UNKNOWN)

    def ids_with(self, hashes: Iterable[int]) -> frozenset[str]:
        """Return all ids, live ones and those that were forgotten too, that have one of the hashes."""
        asked = list(hashes)
        return super().ids_with(asked).union(*(self._live_by_hash.get(each, ()) for each in asked))

    def indices_of(self, item_ids: Iterable[str]) -> npt.NDArray[np.int64]:
        """Return the newest rows of many ids, UNKNOWN (-1) where an id is not known."""
        if not self._live_indices:
            return super().indices_of(item_ids)
        asked = list(item_ids)
        indices = super().indices_of(asked)
        for place in np.flatnonzero(indices == UNKNOWN).tolist():
            indices[place] = self._live_indices.get(asked[place], UNKNOWN)
        return indices
