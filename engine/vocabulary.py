"""Vocabulary: item id <-> index."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from engine.errors import BundleError

UNKNOWN = -1


class Vocabulary:
    """A fixed two-way map between item ids and the indices 0..N-1. Index N is the padding row.

    Raises BundleError if an id occurs twice.
    """

    def __init__(self, ids: Iterable[str]) -> None:
        self._ids = tuple(ids)
        self._indices = {item_id: index for index, item_id in enumerate(self._ids)}
        if len(self._indices) != len(self._ids):
            raise BundleError(f"the vocabulary has {len(self._ids) - len(self._indices)} ids twice; train again")

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._indices

    @property
    def padding_index(self) -> int:
        """The index of the padding row: one past the last item."""
        return len(self._ids)

    def id_of(self, index: int) -> str:
        """Return the id of one index in 0..N-1."""
        return self._ids[index]

    def ids(self) -> tuple[str, ...]:
        """Return all ids in index order."""
        return self._ids

    def index_of(self, item_id: str) -> int:
        """Return the index of an id, or UNKNOWN (-1)."""
        return self._indices.get(item_id, UNKNOWN)

    def indices_of(self, item_ids: Iterable[str]) -> npt.NDArray[np.int64]:
        """Return the indices of many ids, UNKNOWN (-1) where an id is not in the vocabulary."""
        get = self._indices.get
        return np.fromiter((get(item_id, UNKNOWN) for item_id in item_ids), dtype=np.int64)

    def digest(self) -> str:
        """Return a sha256 over the ids in their order: equal digests mean equal indices."""
        return hashlib.sha256(self.to_json()).hexdigest()

    def to_json(self) -> bytes:
        """Encode as a JSON list of ids."""
        return json.dumps(self._ids, ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, encoded: bytes) -> Vocabulary:
        """Decode what `to_json` wrote; raises BundleError on anything else."""
        try:
            ids = json.loads(encoded)
        except ValueError as error:
            raise BundleError(f"vocabulary.json is no JSON ({error}); train again") from error
        if not isinstance(ids, list) or not all(isinstance(item_id, str) for item_id in ids):
            raise BundleError("vocabulary.json is not a list of strings; train again")
        return cls(ids)
