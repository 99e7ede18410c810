"""CompactTable: vectors of items in two bytes or one a number, which become float32 where they are read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from engine.errors import BundleError

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
VectorType = Literal["float32", "float16", "int8"]
STORED: dict[VectorType, type[np.generic]] = {"float32": np.float32, "float16": np.float16, "int8": np.int8}
SCALE_BYTES = 4
LARGEST = 127
ROWS_AT_ONCE = 65_536


class CompactTable:
    """Vectors [N,E] as float16; or as int8, each row with a scale of its own.

    stored: float16 [N,E], or int8 [N,E+4] whose last four bytes are the scale (float32) of the row: what is gathered
    of an item lies together. A row's own scale loses less than one for each dimension: items differ in length more
    than dimensions do in spread.
    """

    def __init__(self, stored: npt.NDArray[Any]) -> None:
        self.stored = stored

    @classmethod
    def of(cls, vectors: Floats, kind: VectorType) -> Table:
        """Return vectors [N,E] as they are to be stored; float32 ones as they are."""
        if kind == "float32":
            return vectors
        if kind == "float16":
            return cls(np.clip(vectors, *_bounds(np.float16)).astype(np.float16))
        stored = np.empty((len(vectors), vectors.shape[1] + SCALE_BYTES), dtype=np.int8)
        for start in range(0, len(vectors), ROWS_AT_ONCE):
            _write_bytes(stored[start : start + ROWS_AT_ONCE], vectors[start : start + ROWS_AT_ONCE])
        return cls(stored)

    @classmethod
    def opened(cls, stored: npt.NDArray[Any]) -> Table:
        """Return what stands in an array file; raises BundleError where a row has no room for its scale."""
        if stored.dtype == np.float32:
            return stored
        if stored.dtype == np.int8 and stored.shape[1] < SCALE_BYTES:
            raise BundleError(f"vectors as int8 have {stored.shape[1]} bytes a row, too few for a scale; train again")
        return cls(stored)

    @property
    def shape(self) -> tuple[int, int]:
        """N and E."""
        rows, width = self.stored.shape
        return rows, width - (SCALE_BYTES if self.stored.dtype == np.int8 else 0)

    def __len__(self) -> int:
        return len(self.stored)

    def __getitem__(self, rows: Any) -> Any:  # noqa: ANN401 (whatever numpy takes)
        """Return float32; but some rows next to each other stay as they are stored."""
        if isinstance(rows, slice):
            return CompactTable(self.stored[rows])
        if isinstance(rows, tuple):
            return np.asarray(self[rows[0]])[(..., *rows[1:])]
        return self._floats(self.stored[rows])

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return self._floats(self.stored).astype(dtype or np.float32, copy=False)

    def __matmul__(self, vector: Floats) -> Floats:
        return np.concatenate([piece @ vector for piece in pieces(self)])

    def _floats(self, stored: npt.NDArray[Any]) -> Floats:
        if stored.dtype != np.int8:
            return stored.astype(np.float32)
        scales = np.ascontiguousarray(stored[..., -SCALE_BYTES:]).view(np.float32)
        floats: Floats = stored[..., :-SCALE_BYTES] * scales
        return floats


Table: TypeAlias = Floats | CompactTable


def pieces(table: Table, rows: int = ROWS_AT_ONCE) -> Iterator[Floats]:
    """Yield all vectors as float32, some rows after the other."""
    for start in range(0, max(len(table), 1), rows):
        yield np.asarray(table[start : start + rows], dtype=np.float32)


def stored(table: Table) -> npt.NDArray[Any]:
    """Return the array that is written to a file."""
    return table.stored if isinstance(table, CompactTable) else table


def kind_of(table: Table) -> VectorType:
    """Return how the vectors are stored."""
    dtype = stored(table).dtype
    return next((kind for kind, each in STORED.items() if dtype == each), "float32")


def _write_bytes(into: npt.NDArray[np.int8], vectors: Floats) -> None:
    scales = np.abs(vectors).max(axis=1, keepdims=True, initial=0).astype(np.float32) / np.float32(LARGEST)
    into[:, :-SCALE_BYTES] = np.rint(vectors / np.where(scales > 0, scales, 1))
    into[:, -SCALE_BYTES:] = scales.view(np.int8)


def _bounds(dtype: type[np.floating[Any]]) -> tuple[float, float]:
    return float(np.finfo(dtype).min), float(np.finfo(dtype).max)
