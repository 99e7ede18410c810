"""RowOrder: an order of all rows, looked through from its beginning and never copied."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import BundleError

Indices = npt.NDArray[np.int64]
Order = npt.NDArray[np.integer[Any]]
Fits = Callable[[Indices], npt.NDArray[np.bool_]]
FIRST_LOT = 256
"""So many rows of an order are looked at at first, then twice as many, and so on."""


def first_rows(orders: Iterable[Order], n: int, fits: Fits) -> Indices:
    """Return the first n rows that fit of orders, one after the other; no further than needed is looked."""
    found = [np.empty(0, dtype=np.int64)]
    for lot in _lots(orders):
        if n <= 0:
            break
        rows = lot.astype(np.int64)
        found.append(rows[fits(rows)][:n])
        n -= len(found[-1])
    return np.concatenate(found)


def check_rows(order: Order, count: int) -> None:
    """Raise BundleError unless every row of 0..count - 1 is there once."""
    if len(order) != count or order.min(initial=0) < 0 or order.max(initial=-1) >= count:
        raise BundleError(f"it has {len(order)} rows, or one that is not within 0..{count - 1}; train again")
    is_there = np.zeros(count, dtype=bool)
    is_there[order] = True
    if not is_there.all():
        raise BundleError(f"{count - np.count_nonzero(is_there)} rows are missing; train again")


def _lots(orders: Iterable[Order]) -> Iterator[Order]:
    lot = FIRST_LOT
    for order in orders:
        start = 0
        while start < len(order):
            yield order[start : start + lot]
            start, lot = start + lot, 2 * lot
