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
    """One row; a `note` stands beside its label."""

    label: str
    cells: tuple[str, ...]
    note: str = ""
    is_best: bool = False
    """Whether it is set apart."""
    interval: Interval | None = None


@dataclass(frozen=True, slots=True)
class Grid:
    """A table with a caption; `columns` are those of the cells, `corner` stands above the labels."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    corner: str = ""
    plotted_to: str = ""
    """Where the plot of the intervals ends; it begins at 0. Empty without a plot."""


def share(value: float) -> str:
    """Write a metric within 0..1."""
    return f"{value:.4f}"


def cell(metrics: Mapping[str, float], name: str, digits: int = 4) -> str:
    """Write a metric, or a dash where it is not defined."""
    return f"{metrics[name]:.{digits}f}" if name in metrics else MISSING


def percent(value: float, digits: int = 0, *, is_signed: bool = False) -> str:
    """Write a share as percent."""
    sign = "+" if is_signed else ""
    return f"{100.0 * value:{sign}.{digits}f} %".replace("-", "\N{MINUS SIGN}")


def probability(value: float) -> str:
    """Write a p-value; below a thousandth, digits would say more than was drawn."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
