"""IdLookup: finds an id among packed ones, without an object of Python for each."""

from __future__ import annotations

import zlib
from bisect import bisect_left
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from engine.errors import BundleError
from engine.packed_texts import PackedTexts
from engine.row_order import check_rows

UNKNOWN = -1
HASH_BITS = 32
FEW = 8
"""So many ids are looked at one by one."""
CHECKED = 8_192
Rows = npt.NDArray[np.int32]


class IdLookup:
    """The rows of N ids sorted by the CRC-32 of an id, then by the id; those with the first bits b of the hash stand at
    rows[starts[b] : starts[b + 1]], which is one or two of them.

    rows int32 [N]; starts int32 [2^bits + 1], bits = floor(log2(N)). CRC-32 has no key: whoever chooses ids can give
    thousands of them one hash, and then they are found by halving.
    """

    def __init__(self, texts: PackedTexts, starts: Rows, rows: Rows) -> None:
        self.starts = starts
        self.rows = rows
        self._texts = texts
        self._shift = HASH_BITS - bits_for(len(texts))
        self._starts, self._rows = starts.data, rows.data

    @classmethod
    def of(cls, texts: PackedTexts) -> IdLookup:
        """Sort ids; raises BundleError if one occurs twice."""
        hashes = np.fromiter(map(zlib.crc32, texts), np.uint32, len(texts))
        rows = np.argsort(hashes, kind="stable").astype(np.int32)
        _sort_equal(hashes[rows], rows, texts)
        buckets = hashes.astype(np.int64) >> (HASH_BITS - bits_for(len(texts)))
        counts = np.bincount(buckets, minlength=bucket_count(len(texts)))
        return cls(texts, np.concatenate(([0], np.cumsum(counts))).astype(np.int32), rows)

    def row_of(self, item_id: bytes) -> int:
        """Return the row of an id, or UNKNOWN (-1)."""
        item_hash = zlib.crc32(item_id)
        bucket = item_hash >> self._shift
        first, end = self._starts[bucket], self._starts[bucket + 1]
        if end - first > FEW:
            # Not the key of each before it is looked at: there may be a million.
            first += bisect_left(range(first, end), (item_hash, item_id), key=self._key)
            end = min(first + 1, end)
        for place in range(first, end):
            row = self._rows[place]
            if self._texts[row] == item_id:
                return row
        return UNKNOWN

    def rows_with(self, item_hash: int) -> list[int]:
        """Return the rows of all ids with a hash."""
        bucket = item_hash >> self._shift
        places = range(self._starts[bucket], self._starts[bucket + 1])
        first = places.start + bisect_left(places, item_hash, key=self._hash)
        found = []
        for place in range(first, places.stop):
            if self._hash(place) != item_hash:
                break
            found.append(self._rows[place])
        return found

    def check(self) -> None:
        """Raise BundleError unless every row is there once, and what is found is what was looked for.

        So many as CHECKED ids are looked for, spread over all: of more, not every one.
        """
        count, starts = len(self._texts), self.starts
        if starts[0] != 0 or starts[-1] != count or (starts[1:] < starts[:-1]).any():
            raise BundleError(f"the lookup of ids does not fit {count} of them; train again")
        check_rows(self.rows, count)
        checked = range(0, count, max(count // CHECKED, 1))
        if lost := sum(self.row_of(self._texts[row]) != row for row in checked):
            raise BundleError(f"{lost} ids are there twice or not found by their lookup; train again")

    def _hash(self, place: int) -> int:
        return zlib.crc32(self._texts[self._rows[place]])

    def _key(self, place: int) -> tuple[int, bytes]:
        item_id = self._texts[self._rows[place]]
        return zlib.crc32(item_id), item_id


def bits_for(count: int) -> int:
    """Return how many bits of a hash choose the bucket among so many ids."""
    return max(count.bit_length() - 1, 0)


def bucket_count(count: int) -> int:
    """Return the number of buckets for so many ids."""
    return 1 << bits_for(count)


def _sort_equal(hashes: npt.NDArray[np.uint32], rows: Rows, texts: PackedTexts) -> None:
    """Sort the rows with one hash by their ids; raises BundleError if two are equal."""
    twice = 0
    is_run = np.concatenate(([False], hashes[1:] == hashes[:-1], [False])).astype(np.int8)
    begins, ends = (np.flatnonzero(np.diff(is_run) == step).tolist() for step in (1, -1))
    for first, last in zip(begins, ends, strict=True):
        run = sorted((texts[row], row) for row in rows[first : last + 1].tolist())
        rows[first : last + 1] = [row for _, row in run]
        twice += sum(one == other for (one, _), (other, _) in pairwise(run))
    if twice:
        raise BundleError(f"the vocabulary has {twice} ids twice; train again")
