"""NeighboursConfig: how the item-to-item tables are counted."""

from __future__ import annotations

from pydantic import Field

from training.section import Section


class NeighboursConfig(Section):
    """The item-to-item tables, for features and as sources."""

    most: int = Field(default=100, ge=1, le=10_000)
    """How many of each item's strongest weights are kept."""
    ease_regularisation: float = Field(default=200.0, gt=0)
    """Lambda of EASE."""
    ease_up_to: int = Field(default=15_000, ge=1)
    """Above so many items there is no EASE: it inverts an N x N matrix (41,000 items: 7 GB, a quarter of an hour)."""
    cooccurrence_reach: int = Field(default=5, ge=1, le=100)
    """How many events apart two items may stand to count as seen together."""
    knn_shrinkage: float = Field(default=10.0, ge=0)
    """How many users two items must share before their cosine counts about half."""
