"""Query: what is asked of a recommender."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.errors import QueryError
from engine.events import History
from engine.exposure import Exposure
from engine.selection import Selection

MAX_ITEMS = 500


@dataclass(frozen=True, slots=True)
class Lift:
    """What the items of a selection gain, in standard deviations of the candidates' scores; they lose below 0."""

    weight: float
    selection: Selection


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked for: the best `n` items (1..500) for a history, without what it has seen and what is excluded.

    shows_seen: whether seen items may come again. only: if
    given, of these items alone. exposure: what new items get beyond what their scores give them. diversity: how much
    an item loses by what stands above it, in 0..1 (see engine/diversity.py). Raises QueryError.
    """

    history: History
    n: int = 10
    exclude: frozenset[str] = field(default=frozenset())
    only: Selection | None = None
    exposure: Exposure | None = None
    shows_seen: bool = False
    lifts: tuple[Lift, ...] = ()
    diversity: float = 0.0
    is_explained: bool = False
    is_counterfactual: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.n <= MAX_ITEMS:
            raise QueryError(f"n is {self.n}; it must be within 1..{MAX_ITEMS}")
        if not 0 <= self.diversity <= 1:
            raise QueryError(f"diversity is {self.diversity}; it must be within 0..1")
