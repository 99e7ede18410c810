"""SearchIndex: what finds the nearest items by inner product, of whichever kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from engine.index_settings import IndexSettings
from engine.row_set import RowSet

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]


class SearchIndex(Protocol):
    """An index over vectors [N,E]; what is searched never changes, and more rows make another index."""

    def __len__(self) -> int:
        """N."""
        ...

    @property
    def width(self) -> int:
        """E."""
        ...

    @property
    def settings(self) -> IndexSettings:
        """How it is searched, and how well."""
        ...

    def search(self, queries: Floats, k: int, forbidden: RowSet | None = None) -> tuple[Indices, Floats]:
        """Return the k best items that are not forbidden: indices [B,k], -1 where there are fewer, and exact scores."""
        ...

    def extended(self, ids: Indices, vectors: Floats, is_unwanted: Callable[[], bool]) -> SearchIndex | None:
        """Return an index with further vectors [S,E] of the items `ids` [S]; None if it became unwanted meanwhile."""
        ...

    def save(self, path: Path) -> None:
        """Write it for `opened_index`."""
        ...
