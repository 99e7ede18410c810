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
    """There is no EASE where users and items both are more, or items ten times as many: it inverts a matrix as wide as
    the fewer of them (30,000: 7 GB and minutes)."""
    cooccurrence_reach: int = Field(default=5, ge=1, le=100)
    """How many events apart two items may stand to count as seen together."""
    knn_shrinkage: float = Field(default=10.0, ge=0)
    """How many users two items must share before their item-kNN weight counts half."""
    knn_user_power: float = Field(default=0.0, ge=0, le=2)
    """A user counts for item-kNN by the number of their events to minus this power."""
    knn_history_power: float = Field(default=0.5, ge=0, le=2)
    """The weight is divided by the popularity of the history's item to this power."""
    knn_candidate_power: float = Field(default=0.5, ge=0, le=2)
    """The same for the candidate: the lower, the more popular the candidates."""
    knn_power: float = Field(default=1.0, gt=0, le=4)
    """The power of the number of shared users: the higher, the more the closest neighbours count."""
