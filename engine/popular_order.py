"""PopularOrder: which item comes first where nothing is known of a user."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import BundleError
from engine.live_rows import LiveRows

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
Order = npt.NDArray[np.integer[Any]]
Fits = Callable[[Indices], npt.NDArray[np.bool_]]
FIRST_LOT = 256
"""So many rows of an order are looked at at first, then twice as many, and so on."""


class PopularOrder:
    """The rows that may be answered by number of training events: ties by index; then those that came live, newest
    first. It is looked through from its beginning, and never copied.

    order: that of the bundle's items; None where it is still to be sorted.
    """

    def __init__(self, columns: Mapping[str, Floats], live: LiveRows, order: Order | None = None) -> None:
        self._columns = columns
        self._live = live
        self._order = order

    @property
    def _popularity(self) -> Floats:
        return self._columns["popularity"]

    @property
    def of_bundle(self) -> Order:
        """The rows of the bundle, [N]."""
        if self._order is None:
            self._order = np.argsort(-self._popularity, kind="stable").astype(np.int32)
        return self._order

    @property
    def largest(self) -> float:
        """The most training events that an item has."""
        return float(self._popularity[self.of_bundle[0]]) if len(self._popularity) else 0.0

    def first(self, n: int, fits: Fits | None = None) -> Indices:
        """Return the first n rows that fit, all if nothing else is said; fewer where there are no more."""
        return first_rows((self.of_bundle, self._newest_live()), n, lambda rows: self._permitted(rows, fits))

    def sorted(self, rows: Indices) -> Indices:
        """Return rows in this order, without those that may not be answered; `rows` ascending."""
        rows = rows[self._permitted(rows, None)]
        bundled, live = rows[rows < self._live.base], rows[rows > self._live.base]
        by_count = np.argsort(-self._popularity[bundled], kind="stable")
        return np.concatenate((bundled[by_count], live[::-1]))

    def _newest_live(self) -> Indices:
        return np.arange(self._live.end - 1, self._live.base, -1)

    def _permitted(self, rows: Indices, fits: Fits | None) -> npt.NDArray[np.bool_]:
        permitted = ~self._live.forbidden.hits(rows)
        return permitted if fits is None else permitted & fits(rows)


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


def check_order(order: Order, popularity: Floats) -> None:
    """Raise BundleError unless every row is there once, the most popular first."""
    is_there = np.zeros(len(popularity), dtype=bool)
    if order.min(initial=0) < 0 or order.max(initial=-1) >= len(popularity):
        raise BundleError(f"it names rows that are not within 0..{len(popularity) - 1}; train again")
    is_there[order] = True
    found = popularity[order]
    if not is_there.all() or not (found[1:] <= found[:-1]).all():
        raise BundleError("it is no order of all items by their popularity; train again")


def _lots(orders: Iterable[Sequence[Any] | Order]) -> Iterator[Order]:
    lot = FIRST_LOT
    for order in orders:
        start = 0
        while start < len(order):
            yield np.asarray(order[start : start + lot])
            start, lot = start + lot, 2 * lot
