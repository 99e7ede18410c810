"""IndexSettings: how an index is searched, and what was measured of that."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

IndexKind = Literal["flat", "hnsw", "ivf", "ivfpq"]
MOST_WIDTH = 65_536
MOST_CANDIDATES = 20_000
TUNED_FOR = 200


class IndexSettings(BaseModel):
    """What training found out by searching the index for users; it stands in the manifest."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: IndexKind
    """Exact ("flat"), a graph ("hnsw"), or lists around centroids with codes of a byte a number ("ivf") or half a byte
    ("ivfpq"), the best of which are scored again from the table."""
    width: int = Field(ge=1, le=MOST_WIDTH)
    """How far one looks: the beam of a graph, or the number of lists."""
    candidates: int = Field(default=TUNED_FOR, ge=1, le=MOST_CANDIDATES)
    """How many of the best by their codes are scored again."""
    k: int = Field(default=TUNED_FOR, ge=1, le=MOST_CANDIDATES)
    """How many items a search was for when that was tuned."""
    recall: float | None = Field(default=None, ge=0, le=1)
    """Share of the best k that a search finds, over queries that the tuning did not see; None: nobody measured."""
    wanted: float | None = Field(default=None, ge=0, le=1)
    """The recall that the config asked for."""

    def scaled(self, k: int) -> tuple[int, int]:
        """Return width and candidates of a search for the best k: more than tuned for need more, fewer do not less."""
        factor = max(1.0, k / self.k)
        return round(self.width * factor), max(k, round(self.candidates * factor))
