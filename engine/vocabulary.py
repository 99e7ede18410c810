"""Vocabulary: item id <-> index."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from engine.errors import BundleError
from engine.id_lookup import UNKNOWN, IdLookup
from engine.packed_texts import PackedTexts

MOST_REMEMBERED = 65_536
"""How many ids a process keeps beside their indices: those that it met lately."""

__all__ = ["UNKNOWN", "Vocabulary", "hash_of"]


def hash_of(item_id: str) -> int:
    """Return 32 bits of an item id (CRC-32): two of a million items share them with a probability of 1 in 4,000."""
    return zlib.crc32(item_id.encode())


class Vocabulary:
    """A fixed two-way map between item ids and the indices 0..N-1. Index N is the padding row.

    Raises BundleError if an id occurs twice.
    """

    def __init__(self, ids: Iterable[str]) -> None:
        texts = PackedTexts.of(map(str.encode, ids))
        self._take(texts, IdLookup.of(texts))

    @classmethod
    def mapped(cls, texts: PackedTexts, lookup: IdLookup) -> Vocabulary:
        """Return the vocabulary of ids whose lookup is made already."""
        vocabulary = cls.__new__(cls)
        vocabulary._take(texts, lookup)
        return vocabulary

    def _take(self, texts: PackedTexts, lookup: IdLookup) -> None:
        self.texts = texts
        self.lookup = lookup
        self._met = _MetIds(lookup)

    def __len__(self) -> int:
        return len(self.texts)

    def __contains__(self, item_id: str) -> bool:
        return self.index_of(item_id) != UNKNOWN

    @property
    def padding_index(self) -> int:
        """The index of the padding row: one past the last item."""
        return len(self.texts)

    def id_of(self, index: int) -> str:
        """Return the id of one index in 0..N-1."""
        return self.texts[index].decode()

    def ids(self, start: int = 0, end: int | None = None) -> tuple[str, ...]:
        """Return the ids from `start` to `end` - 1, all if nothing else is said, in index order."""
        return tuple(map(bytes.decode, self.texts[start:end]))

    def index_of(self, item_id: str) -> int:
        """Return the index of an id, or UNKNOWN (-1)."""
        return self._met[item_id]

    def indices_of(self, item_ids: Iterable[str]) -> npt.NDArray[np.int64]:
        """Return the indices of many ids, UNKNOWN (-1) where an id is not in the vocabulary."""
        return np.fromiter(map(self._met.__getitem__, item_ids), dtype=np.int64)

    def ids_with(self, hashes: Iterable[int]) -> frozenset[str]:
        """Return all ids that have one of the hashes (see `hash_of`)."""
        return frozenset(self.id_of(row) for each in hashes for row in self.lookup.rows_with(each))

    def digest(self) -> str:
        """Return a sha256 over the ids in their order: equal digests mean equal indices."""
        digest = hashlib.sha256(self.texts.offsets.data)
        digest.update(self.texts.content.data)
        return digest.hexdigest()

    def to_json(self) -> bytes:
        """Encode as a JSON list of ids."""
        return json.dumps(self.ids(), ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, encoded: bytes) -> Vocabulary:
        """Decode what `to_json` wrote; raises BundleError on anything else."""
        try:
            ids = json.loads(encoded)
        except ValueError as error:
            raise BundleError(f"the list of ids is no JSON ({error}); train again") from error
        if not isinstance(ids, list) or not all(isinstance(item_id, str) for item_id in ids):
            raise BundleError("the ids are not a list of strings; train again")
        return cls(ids)


class _MetIds(dict[str, int]):
    """The ids that were looked for lately, with their indices."""

    def __init__(self, lookup: IdLookup) -> None:
        super().__init__()
        self._lookup = lookup

    def __missing__(self, item_id: str) -> int:
        # A lone surrogate, which JSON may hold, is no UTF-8 and hence in no vocabulary.
        index = self._lookup.row_of(item_id.encode("utf-8", "surrogatepass"))
        if index != UNKNOWN:
            if len(self) >= MOST_REMEMBERED:
                self.clear()
            self[item_id] = index
        return index
