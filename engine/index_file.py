"""IndexFile: what an index file says, found right before FAISS believes it.

FAISS takes sizes and links as the file has them: with a crafted one it would allocate anything, or walk out of memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import BundleError
from engine.unreadable import unreadable

HEADER = np.dtype(
    [("kind", "S4"), ("width", "<i4"), ("rows", "<i8"), ("unused", "<i8", 2), ("is_trained", "u1"), ("metric", "<i4")]
)
INNER_PRODUCT = 0
FLAT, GRAPH = b"IxFI", b"IHNf"
HNSW_LINKS = 32
HNSW_BUILD_WIDTH = 200
MOST_LEVELS = 16
MOST_SEARCH_WIDTH = 10_000

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Graph:
    """The links of N rows: row n has links[offsets[n]:offsets[n + 1]], room[l]:room[l + 1] of them on level l."""

    levels: Array
    """How many levels each row is on."""
    offsets: Array
    links: Array
    entry: int
    top: int
    """The level of the entry, at which a search begins."""


class IndexFile:
    """The fields of a file that FAISS wrote, read one after the other."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._content: Array = np.memmap(path, dtype=np.uint8, mode="r")
        self._at = 0

    @classmethod
    def check(cls, path: Path, rows: int, width: int) -> None:
        """Raise BundleError unless the file is an exact index or a graph over so many vectors of that width."""
        with unreadable(path, "train again"):
            cls(path)._check(rows, width)

    def _check(self, rows: int, width: int) -> None:
        kind = self._header(rows, width)
        if kind == GRAPH:
            self._check_graph(rows)
            kind = self._header(rows, width)
        self._check_flat(kind, rows, width)
        self._check_end()

    def _check_flat(self, kind: bytes, rows: int, width: int) -> None:
        self._require(kind == FLAT, f"it is of the kind {kind!r}")
        count = len(self._vector("<f4"))
        self._require(count == rows * width, f"it has {count} numbers for {rows} x {width}")

    def _check_end(self) -> None:
        self._require(self._at == len(self._content), "there is more behind its end")

    def _header(self, rows: int, width: int) -> bytes:
        header = self._take(HEADER, 1)[0]
        found = tuple(int(header[name]) for name in ("rows", "width", "is_trained", "metric"))
        wanted = (rows, width, 1, INNER_PRODUCT)
        self._require(found == wanted, f"rows, width, is_trained and metric are {found}, not {wanted}")
        return bytes(header["kind"])

    def _check_graph(self, rows: int) -> None:
        chances, room = self._vector("<f8"), self._vector("<i4")
        # Of each level, how likely a row is on it and not above, and where its links begin among those of the row.
        wanted = (1 - 1 / HNSW_LINKS) * np.float64(HNSW_LINKS) ** -np.arange(len(chances))
        self._require(
            1 <= len(chances) <= MOST_LEVELS
            and np.allclose(chances, wanted, rtol=1e-3, atol=0)
            and np.array_equal(room, [0, *HNSW_LINKS * np.arange(2, len(chances) + 2)]),
            "its levels are not those of this version",
        )
        levels, offsets, links = self._vector("<i4"), self._vector("<u8"), self._vector("<i4")
        entry, top, build_width, search_width, beam = self._take(np.dtype("<i4"), 5).tolist()
        self._require(
            (build_width, beam) == (HNSW_BUILD_WIDTH, 1) and 1 <= search_width <= MOST_SEARCH_WIDTH,
            "its widths are not those of this version",
        )
        self._check_levels(rows, room, levels, offsets, len(links))
        self._check_links(room, Graph(levels, offsets.astype(np.int64), links, entry, top))

    def _check_levels(self, rows: int, room: Array, levels: Array, offsets: Array, links: int) -> None:
        self._require(len(levels) == rows and len(offsets) == rows + 1, f"its levels are not those of {rows} rows")
        fit = levels.min(initial=1) >= 1 and levels.max(initial=1) < len(room)
        self._require(bool(fit), f"a level is not within 1..{len(room) - 1}")
        wanted = np.concatenate(([0], np.cumsum(room[levels], dtype=np.uint64)))
        self._require(np.array_equal(offsets, wanted) and links == wanted[-1], "its links do not fit its levels")

    def _check_links(self, room: Array, graph: Graph) -> None:
        rows, entry, top = len(graph.levels), graph.entry, graph.top
        fits = 0 <= entry < rows and top == graph.levels[entry] - 1 == graph.levels.max() - 1
        self._require(bool(fits), f"it begins at row {entry} on level {top} of {rows} rows")
        low, high = graph.links.min(initial=-1), graph.links.max(initial=-1)
        self._require(low >= -1 and high < rows, f"it links rows {low}..{high} of {rows}")
        # A link on a level that its target lacks would be followed into another row's links, or behind the last one's.
        for level in range(1, top + 1):
            above = np.flatnonzero(graph.levels > level)
            targets = graph.links[graph.offsets[above][:, None] + np.arange(room[level], room[level + 1])]
            low = graph.levels[targets[targets >= 0]].min(initial=level + 1)
            self._require(bool(low > level), f"a link of level {level} leads to a row that is not on it")

    def _vector(self, dtype: str) -> Array:
        count = self._number("<u8")
        return self._take(np.dtype(dtype), count)

    def _number(self, dtype: str) -> int:
        return int(self._take(np.dtype(dtype), 1)[0])

    def _take(self, dtype: np.dtype[Any], count: int) -> Array:
        end = self._at + count * dtype.itemsize
        self._require(end <= len(self._content), f"it ends before the {count} numbers that it announces")
        taken = self._content[self._at : end].view(dtype)
        self._at = end
        return taken

    def _require(self, is_right: bool, wrong: str) -> None:
        if not is_right:
            raise BundleError(f"{self._path}: FAISS must not read the index: {wrong}; train again")
