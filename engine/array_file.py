"""ArrayFile: a .npy file, found right before it is mapped."""

from __future__ import annotations

from collections.abc import Iterable
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.bundle_layout import MOST_WIDTH
from engine.errors import BundleError

ARRAY_VERSION = (1, 0)
Shape = tuple[int | None, ...]


def mapped_array(file: BufferedReader, path: Path, size: int, wanted: Shape, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Map an open file of `size` bytes; raises BundleError unless it has this type and shape.

    None stands for any number up to MOST_WIDTH.
    """
    if np.lib.format.read_magic(file) != ARRAY_VERSION:
        raise BundleError(f"{path} is of another version of array files; train again")
    shape, is_transposed, found = np.lib.format.read_array_header_1_0(file)
    if found != np.dtype(dtype) or len(shape) != len(wanted) or is_transposed:
        is_in = "column by column" if is_transposed else "row by row"
        raise BundleError(
            f"{path} is {found} with {len(shape)} dimensions, {is_in}; wanted {np.dtype(dtype)} with {len(wanted)}, row"
            " by row; train again"
        )
    if not all(_fits(*pair) for pair in zip(shape, wanted, strict=True)):
        limits = tuple(f"0..{MOST_WIDTH}" if each is None else each for each in wanted)
        raise BundleError(f"{path} is for {shape} numbers, wanted {limits}; train again")
    start, count = file.tell(), int(np.prod(shape, dtype=object))
    if start + count * found.itemsize != size:
        raise BundleError(
            f"{path} is damaged: it is not as large as its {shape} numbers; copy or train the bundle again"
        )
    # A plain array: indexing one of the class memmap costs more.
    return np.asarray(np.memmap(file, found, "r", start, shape))


def mapped_bytes(file: BufferedReader, size: int) -> npt.NDArray[np.uint8]:
    """Map all bytes of an open file."""
    if not size:
        return np.empty(0, dtype=np.uint8)
    return np.asarray(np.memmap(file, np.uint8, "r", shape=(size,)))


def write_array(path: Path, shape: tuple[int, ...], dtype: npt.DTypeLike, parts: Iterable[npt.NDArray[Any]]) -> None:
    """Write an array file from its parts, one after the other, so that the whole need not be in memory."""
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for part in parts:
            np.ascontiguousarray(part, dtype=dtype).tofile(file)


def _fits(size: int, wanted: int | None) -> bool:
    return size == wanted or (wanted is None and size <= MOST_WIDTH)
