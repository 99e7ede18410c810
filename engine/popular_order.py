"""PopularOrder: which item comes first where nothing is known of a user."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from engine.live_rows import LiveRows

Indices = npt.NDArray[np.int64]


class PopularOrder:
    """The rows that may be answered by number of training events; sorted once, looked through after each change."""

    def __init__(self, columns: Mapping[str, npt.NDArray[np.float32]], live: LiveRows) -> None:
        self._columns = columns
        self._live = live
        self._sorted: Indices | None = None
        self._kept: Indices | None = None
        self._version = -1

    @property
    def largest(self) -> float:
        """The most training events that an item has."""
        order = self._of_bundle()
        return float(self._columns["popularity"][order[0]]) if len(order) else 0.0

    def rows(self) -> Indices:
        """Return the most popular rows first, ties by index; then those that came live, newest first."""
        if self._kept is None or self._version != self._live.version:
            live = np.arange(self._live.end - 1, self._live.base, -1)
            order = np.concatenate((self._of_bundle(), live)) if len(live) else self._of_bundle()
            self._kept = order[~self._live.forbidden.hits(order)] if self._live.forbidden else order
            self._version = self._live.version
        return self._kept

    def _of_bundle(self) -> Indices:
        if self._sorted is None:
            self._sorted = np.argsort(-self._columns["popularity"], kind="stable").astype(np.int64)
        return self._sorted
