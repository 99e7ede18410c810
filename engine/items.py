"""ItemTable: all that is known of the items, outside the networks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import BundleError
from engine.neighbours import NeighbourTable
from engine.vocabulary import Vocabulary

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ItemTable:
    """The items 0..N-1: columns of numbers, neighbours, metadata.

    columns: named [N] arrays, for example "popularity" (number of training events).
    neighbours: named item-to-item tables, for sources and features.
    metadata: one JSON object an item, kept encoded until it is asked for.
    """

    vocabulary: Vocabulary
    columns: Mapping[str, Floats]
    metadata: Sequence[bytes] = field(default=())
    neighbours: Mapping[str, NeighbourTable] = field(default_factory=dict)

    def __post_init__(self) -> None:
        count = len(self.vocabulary)
        shapes = {f"column {name}": len(column) for name, column in self.columns.items()}
        shapes |= {f"neighbours {name}": len(table.indices) - 1 for name, table in self.neighbours.items()}
        shapes |= {"metadata": len(self.metadata)} if self.metadata else {}
        for name, rows in shapes.items():
            if rows != count:
                raise BundleError(f"{name} is for {rows} items but the vocabulary has {count}; train again")

    def __len__(self) -> int:
        return len(self.vocabulary)

    def popularity_order(self) -> npt.NDArray[np.int64]:
        """Return all indices, the most popular first, ties by index."""
        return np.argsort(-self.columns["popularity"], kind="stable").astype(np.int64)

    def metadata_of(self, index: int) -> dict[str, Any]:
        """Return the metadata of one item, empty if none was given."""
        if not self.metadata:
            return {}
        decoded: dict[str, Any] = json.loads(self.metadata[index])
        return decoded
