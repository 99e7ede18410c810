"""PopularOrder: which item comes first where nothing is known of a user."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from engine.errors import BundleError
from engine.live_rows import LiveRows
from engine.row_order import Fits, Indices, first_rows

Floats = npt.NDArray[np.float32]
Order = npt.NDArray[np.int32]


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


def check_order(order: Order, popularity: Floats) -> None:
    """Raise BundleError unless an order begins with the most popular row, and so on."""
    found = popularity[order]
    if not (found[1:] <= found[:-1]).all():
        raise BundleError("it is no order by popularity; train again")
