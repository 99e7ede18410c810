"""IndexPlan: which index a catalogue gets, and what it costs in memory, before anything is allocated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from engine.available_memory import available_memory
from engine.errors import RoomError
from engine.index_file import HNSW_LINKS
from engine.index_settings import IndexKind

EXACT_UP_TO = 50_000
DEFAULT_MEMORY = 4 << 30
DEFAULT_RECALL = 0.98
LANES = 16
"""FAISS reads so many numbers of a code at once."""
MOST_SHORT = 64
"""Of how many numbers a code of half-bytes is, at most."""
UNSHARED_UP_TO = 4_000_000
FEWEST_LISTS, MOST_LISTS = 16, 16_384
LISTS_A_ROOT = 2
"""Lists for each square root of the number of items."""
TRAINED_A_LIST = 48
ID_BYTES = 8
GRAPH_BYTES = 4 * 2 * HNSW_LINKS + 16
"""What a graph keeps of a row beside its vector: links, levels and where they begin."""
LIST_BYTES = 64
"""What FAISS keeps of a list beside its rows."""


@dataclass(frozen=True, slots=True)
class IndexPlan:
    """An index of `count` vectors of `width` numbers; `lists` and `code_width` are of those that have lists.

    code_width: of how many numbers a code is, one of which says how wide the list is; `code_bytes`: what they take.
    """

    kind: IndexKind
    count: int
    width: int
    lists: int = 0
    code_width: int = 0
    code_bytes: int = 0

    @classmethod
    def of(
        cls,
        count: int,
        width: int,
        memory: int = DEFAULT_MEMORY,
        kind: Literal["auto", "flat", "hnsw", "ivf", "ivfpq"] = "auto",
        exact_up_to: int = EXACT_UP_TO,
    ) -> IndexPlan:
        """Return the first index that fits into `memory` bytes; raises RoomError with the sizes if none does."""
        plans = list(cls._choices(count, width, kind, exact_up_to))
        for plan in plans:
            if plan.bytes <= memory:
                return plan
        least = min(plans, key=lambda plan: plan.bytes)
        raise RoomError(
            f"index.memory allows {memory:,} bytes, and an index ({least.kind}) of {count:,} items x {width} takes"
            f" {least.bytes:,}; allow as much, or train narrower vectors",
            needed=least.bytes,
            allowed=memory,
        )

    @classmethod
    def _choices(cls, count: int, width: int, kind: str, exact_up_to: int) -> Iterator[IndexPlan]:
        if kind in ("flat", "hnsw") or (kind == "auto" and count <= exact_up_to):
            yield cls("hnsw" if kind == "hnsw" else "flat", count, width)
            return
        lists = int(np.clip(LISTS_A_ROOT * 2 ** np.round(np.log2(max(count, 1) ** 0.5)), FEWEST_LISTS, MOST_LISTS))
        lists = max(1, min(lists, count // 4))
        # Beside the widths of lists, narrow vectors are kept whole, and wide ones lose next to nothing.
        whole = LANES * (-(-(width + 1) // LANES) if width <= 2 * LANES else round(width / LANES))
        short = min(MOST_SHORT, LANES * max(1, -(-3 * width // (4 * LANES))))
        choices = cls("ivfpq", count, width, lists, short, short // 2), cls("ivf", count, width, lists, whole, whole)
        # Codes that are not mapped are each worker's own.
        order = choices if count <= UNSHARED_UP_TO else choices[::-1]
        yield from (plan for plan in order if kind in ("auto", plan.kind))

    @property
    def bytes(self) -> int:
        """How many bytes the index takes, as a file and mapped."""
        if self.kind == "flat":
            return 4 * self.count * self.width
        if self.kind == "hnsw":
            return self.count * (4 * self.width + GRAPH_BYTES)
        return self.count * (self.code_bytes + ID_BYTES) + self.lists * (4 * self.code_width + LIST_BYTES)

    @property
    def building_bytes(self) -> int:
        """How many bytes it takes, at most, while it is built."""
        # What grows is copied into twice the room.
        trained = TRAINED_A_LIST * self.lists * 4 * (self.width + self.code_width)
        return (3 if self.kind == "hnsw" else 2) * self.bytes + trained

    def check_room(self, available: int | None = None) -> None:
        """Raise RoomError unless the index can be built in the memory that is free."""
        free = available_memory() if available is None else available
        if free is not None and self.building_bytes > free:
            raise RoomError(
                f"to build an index ({self.kind}) of {self.count:,} items x {self.width} takes up to"
                f" {self.building_bytes:,} bytes, and {free:,} are free; free some, or lower index.memory",
                needed=self.building_bytes,
                allowed=free,
            )
