"""The tables of what was measured: quality, beyond accuracy, by group, on validation."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from training.evaluation import USER_GROUP_BORDERS, Examination
from training.metrics import HEAD_SHARE
from training.report.grid import Column, Grid, Interval, Row, cell, percent, probability, share
from training.report.quality import Quality

SHOWN = ("NDCG@10", "HR@10", "MRR@10", "NDCG@20", "Recall@20")
CORNER = "Stage or baseline"
ERRORS = ("RMSE", "MAE")
BEYOND = {
    "Coverage@10": (Column("Coverage@10", "share of the catalogue"), 3),
    "Novelty@10": (Column("Novelty@10", "bits"), 2),
    "Diversity@10": (Column("Diversity@10", "1 − mean cosine"), 3),
    "PopularityBias@10": (Column("Popularity bias", "1 is none"), 2),
}
FEW, MANY = USER_GROUP_BORDERS
GROUP_NOTES = {
    "new": f"at most {FEW} events",
    "few": f"{FEW + 1} to {MANY} events",
    "many": f"more than {MANY} events",
    "head": f"{percent(HEAD_SHARE)} of all events",
    "tail": "the other items",
}
Groups = Mapping[str, Mapping[str, float]]


def quality_grid(quality: Quality) -> Grid:
    """Lay out the metrics of every row with intervals and p-values."""
    metric, p_values = quality.metric, quality.p_values()
    others = [name for name in SHOWN if name != metric]
    columns = (Column(metric), Column("95 % interval"), Column("p", "to the best"), *map(Column, others))

    def cells(label: str, measured: Examination) -> tuple[str, ...]:
        low, high = measured.intervals[metric]
        p_value = probability(p_values[label]) if label in p_values else "best"
        first = (share(measured.means[metric]), f"{share(low)} – {share(high)}", p_value)
        return (*first, *(cell(measured.means, name) for name in others))

    caption = f"{quality.served.users:,} test users, ranking over the whole catalogue"
    rows = tuple(
        replace(row, is_best=row.label == quality.best, interval=_interval(quality, row.label))
        for row in _rows(quality, cells)
    )
    return Grid(caption, columns, rows, CORNER, f"{_widest(quality):.2f}")


def beyond_grid(quality: Quality) -> Grid:
    """Lay out what lists are besides right."""
    rows = quality.rows.values()
    names = [name for name in BEYOND if any(name in each.beyond_accuracy for each in rows)]

    def cells(_: str, measured: Examination) -> tuple[str, ...]:
        return tuple(cell(measured.beyond_accuracy, name, BEYOND[name][1]) for name in names)

    columns = tuple(BEYOND[name][0] for name in names)
    return Grid("What the first ten items are, besides right", columns, _rows(quality, cells), CORNER)


def group_grids(quality: Quality) -> list[Grid]:
    """Lay out the metric by group of users and by group of items."""
    return [
        _group_grid(quality, f"{quality.metric} by length of the user's history", lambda each: each.by_user_group),
        _group_grid(quality, f"{quality.metric} by popularity of the wanted item", lambda each: each.by_item_group),
    ]


def validation_grid(metrics: Mapping[str, Mapping[str, float]]) -> Grid | None:
    """Lay out how validation ranked the stages; None if it measured nothing."""
    measured = {stage: each for stage, each in metrics.items() if stage.startswith("valid ")}
    return _plain_grid("Validation events, by which epochs and ranker were chosen", measured, SHOWN)


def rating_grid(metrics: Mapping[str, Mapping[str, float]]) -> Grid | None:
    """Lay out how far predicted ratings are from held-out ones; None if there are none."""
    return _plain_grid("Predicted ratings against held-out ones, lower is better", metrics, ERRORS)


def _plain_grid(caption: str, metrics: Mapping[str, Mapping[str, float]], wanted: Sequence[str]) -> Grid | None:
    names = [name for name in wanted if any(name in each for each in metrics.values())]
    if not names:
        return None
    measured = {stage: each for stage, each in metrics.items() if not each.keys().isdisjoint(names)}
    rows = tuple(Row(stage, tuple(cell(each, name) for name in names)) for stage, each in measured.items())
    return Grid(caption, tuple(map(Column, names)), rows, "Stage")


def _group_grid(quality: Quality, caption: str, groups_of: Callable[[Examination], Groups]) -> Grid:
    groups = groups_of(quality.served)
    columns = tuple(Column(name, f"{GROUP_NOTES[name]}; {groups[name]['users']:,.0f} users") for name in groups)

    def cells(_: str, measured: Examination) -> tuple[str, ...]:
        return tuple(cell(groups_of(measured)[name], quality.metric) for name in groups)

    return Grid(caption, columns, _rows(quality, cells), CORNER)


def _rows(quality: Quality, cells: Callable[[str, Examination], tuple[str, ...]]) -> tuple[Row, ...]:
    served = quality.served_label
    return tuple(
        Row(label, cells(label, measured), "served" if label == served else "")
        for label, measured in quality.rows.items()
    )


def _widest(quality: Quality) -> float:
    """Return where the plot ends: a round number that no interval passes."""
    return max(math.ceil(100 * max(each.intervals[quality.metric][1] for each in quality.rows.values())) / 100, 0.01)


def _interval(quality: Quality, label: str) -> Interval:
    measured, percent = quality.rows[label], 100.0 / _widest(quality)
    low, high = measured.intervals[quality.metric]
    return Interval(low * percent, measured.means[quality.metric] * percent, high * percent)
