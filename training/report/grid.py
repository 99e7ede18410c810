"""Grid: a table of texts, as page and model card show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MISSING = "–"


@dataclass(frozen=True, slots=True)
class Column:
    """The head of a column; a `note` stands below its name."""

    name: str
    note: str = ""
    is_text: bool = False


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a mean and its interval stand, in percent of the width of a plot."""

    low: float
    mean: float
    high: float


@dataclass(frozen=True, slots=True)
class Row:
    """One row; the best one of a grid and a label's note are set apart."""

    label: str
    cells: tuple[str, ...]
    note: str = ""
    is_best: bool = False
    interval: Interval | None = None


@dataclass(frozen=True, slots=True)
class Grid:
    """A table with a caption; `columns` are those of the cells, `corner` stands above the labels."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    corner: str = ""

    @property
    def is_plotted(self) -> bool:
        """Whether rows have intervals to draw."""
        return any(row.interval for row in self.rows)


def share(value: float) -> str:
    """Write a metric within 0..1."""
    return f"{value:.4f}"


def cell(metrics: Mapping[str, float], name: str, digits: int = 4) -> str:
    """Write a metric, or a dash where it is not defined."""
    return f"{metrics[name]:.{digits}f}" if name in metrics else MISSING


def probability(value: float) -> str:
    """Write a p-value; below a thousandth, digits would say more than was drawn."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
