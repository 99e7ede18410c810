"""Boost: what is added to the scores of some candidates."""

from __future__ import annotations

from dataclasses import dataclass

from engine.errors import QueryError
from engine.filter_expression import FilterExpression
from engine.filter_grammar import parse_boost

LARGEST_WEIGHT = 10.0


@dataclass(frozen=True, slots=True)
class Boost:
    """So many standard deviations of the candidates' scores, -10 to 10, for the items that an expression is true of.

    Raises QueryError for other weights.
    """

    weight: float
    expression: FilterExpression

    def __post_init__(self) -> None:
        if not -LARGEST_WEIGHT <= self.weight <= LARGEST_WEIGHT:
            raise QueryError(
                f"boost: the weight {self.weight:g} is outside of {-LARGEST_WEIGHT:g} to {LARGEST_WEIGHT:g}; it is in"
                " standard deviations of the candidates' scores"
            )

    @classmethod
    def parse(cls, text: str) -> Boost:
        """Read `0.5 if year >= 1990`; raises QueryError that says at which column it is wrong."""
        weight, node = parse_boost(text)
        return cls(weight, FilterExpression.of(node, "boost"))

    def __str__(self) -> str:
        return f"{repr(self.weight).removesuffix('.0')} if {self.expression}"
