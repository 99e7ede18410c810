"""InvertedFile: an index file with inverted lists, found right before FAISS believes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.index_file import Array, IndexFile
from engine.index_plan import MOST_LISTS
from engine.index_settings import IndexKind
from engine.unreadable import unreadable

KINDS: dict[IndexKind, bytes] = {"ivf": b"IwSq", "ivfpq": b"IwPf"}
LISTS, BLOCKS = b"ilar", b"ilbl"
EACH, SPARSE = b"full", b"sprs"
BYTE_CODES = 0
BLOCK_ROWS = 32
HALF_BYTE_BITS, HALF_BYTES = 4, 16
NO_CODE_SIZE = 2**64 - 1


class InvertedFile(IndexFile):
    """The fields of an index whose lists hold each of its rows exactly once."""

    @classmethod
    def check_lists(cls, path: Path, kind: IndexKind, rows: int, width: int) -> None:
        """Raise BundleError unless the file has lists of that kind with codes of so many numbers of each row."""
        with unreadable(path, "train again"):
            cls(path)._check_lists(kind, rows, width)

    def _check_lists(self, kind: IndexKind, rows: int, width: int) -> None:
        found = self._header(rows, width)
        self._require(found == KINDS[kind], f"it is of the kind {found!r}, not {KINDS[kind]!r}")
        lists, probed = self._numbers("<u8", 2)
        self._require(
            1 <= lists <= MOST_LISTS and 1 <= probed <= lists, f"it has {lists} lists, of which {probed} are searched"
        )
        self._check_flat(self._header(lists, width), lists, width)
        mapped = self._number("u1"), self._number("<u8")
        self._require(mapped == (0, 0), f"it says where rows are in the way {mapped}")
        sizes = self._byte_lists(lists, rows, width) if kind == "ivf" else self._half_byte_lists(lists, rows, width)
        self._require(sizes == rows, f"its lists have {sizes} rows")
        self._check_end()

    def _byte_lists(self, lists: int, rows: int, width: int) -> int:
        """Check codes of a byte for each number; return how many rows there are."""
        self._fields("kind and range of its codes", self._numbers("<i4", 2), (BYTE_CODES, 0))
        self._take(np.dtype("<f4"), 1)
        self._fields("width and size of its codes", self._numbers("<u8", 2), (width, width))
        self._fields("ranges of its numbers", (len(self._vector("<f4")),), (2 * width,))
        self._fields("size of its codes and what they are of", (self._number("<u8"), self._number("u1")), (width, 0))
        self._fields("kind of its lists", (self._word(),), (LISTS,))
        self._fields("lists and size of a code", self._numbers("<u8", 2), (lists, width))
        seen = np.zeros(rows, dtype=bool)
        for size in self._sizes(lists, rows).tolist():
            self._take(np.dtype("u1"), size * width)
            self._mark(seen, self._take(np.dtype("<i8"), size))
        return int(seen.sum())

    def _half_byte_lists(self, lists: int, rows: int, width: int) -> int:
        """Check codes of half a byte for each number, in blocks of rows; return how many rows there are."""
        self._fields("what its codes are of", (self._number("u1"),), (1,))
        sizes = (*self._numbers("<u8", 1), *self._numbers("<i4", 1), *self._numbers("<u8", 1))
        self._fields("sizes of its codes", sizes, (width // 2, BLOCK_ROWS, width))
        self._fields("ways to search it", (*self._numbers("<i4", 1), *self._numbers("<u8", 1)), (0, 0))
        products = self._numbers("<u8", 3), len(self._vector("<f4"))
        self._fields("products of its codes", products, ((width, width, HALF_BYTE_BITS), HALF_BYTES * width))
        self._fields("kind of its lists", (self._word(),), (BLOCKS,))
        block = BLOCK_ROWS * width // 2
        self._fields("blocks", self._numbers("<u8", 4), (lists, NO_CODE_SIZE, BLOCK_ROWS, block))
        seen, count = np.zeros(rows, dtype=bool), 0
        for _ in range(lists):
            ids, codes = self._vector("<i8"), self._vector("u1")
            self._fields("codes of a list", (len(codes),), (-(-len(ids) // BLOCK_ROWS) * block,))
            self._mark(seen, ids)
            count += len(ids)
        self._require(count == rows, f"its lists have {count} rows")
        return int(seen.sum())

    def _sizes(self, lists: int, rows: int) -> Array:
        word, sizes = self._word(), self._vector("<u8")
        if word == SPARSE:
            places, given = sizes[::2], sizes[1::2]
            fit = len(places) == len(given) and len(np.unique(places)) == len(places)
            self._require(bool(fit and places.max(initial=0) < lists), "the sizes of its lists are of no lists")
            sizes = np.zeros(lists, dtype=np.uint64)
            sizes[places.astype(np.int64)] = given
        self._require(word in (EACH, SPARSE) and len(sizes) == lists, f"it has sizes of {len(sizes)} lists")
        self._require(bool(sizes.max(initial=0) <= rows and sizes.sum() == rows), "the sizes of its lists are wrong")
        return sizes

    def _mark(self, seen: Array, ids: Array) -> None:
        fit = ids.min(initial=0) >= 0 and ids.max(initial=0) < len(seen)
        self._require(bool(fit), f"a list has rows {ids.min(initial=0)}..{ids.max(initial=0)} of {len(seen)}")
        self._require(not seen[ids].any(), "a row is in two lists")
        seen[ids] = True

    def _numbers(self, dtype: str, count: int) -> tuple[int, ...]:
        return tuple(self._take(np.dtype(dtype), count).tolist())

    def _word(self) -> bytes:
        return bytes(self._take(np.dtype("S4"), 1)[0])

    def _fields(self, name: str, found: object, wanted: object) -> None:
        self._require(found == wanted, f"{name}: {found}, not {wanted}")
