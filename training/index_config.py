"""IndexConfig: how item vectors are kept and searched once a bundle serves."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from engine.index_plan import DEFAULT_MEMORY, DEFAULT_RECALL
from engine.vector_table import VectorType
from training.section import Section


class IndexConfig(Section):
    """The index over the vectors of each source, and the vectors themselves."""

    kind: Literal["auto", "flat", "hnsw", "ivf", "ivfpq"] = "auto"
    """"auto": exact up to 50,000 items ("flat"), above it lists with codes of half a byte a number ("ivfpq") up to
    4,000,000 and of a byte, which workers share, above ("ivf"); the other of the two where only that fits."""
    memory: int = Field(default=DEFAULT_MEMORY, ge=1)
    """How many bytes an index may take; where none fits, the run ends before one is built."""
    recall: float = Field(default=DEFAULT_RECALL, gt=0, le=1)
    """Which share of the best 200 items a search should find; how far it looks is tuned to that."""
    required: bool = False
    """Whether the run fails where that cannot be reached; else it says what was reached, and so does the manifest."""
    vectors: VectorType = "float32"
    """How item vectors are stored: int8 takes a quarter of the room, with a scale for each row."""
