"""ItemStatistics: what is counted, not learned, from the events."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.features import tables_of
from engine.neighbours import NeighbourTable
from engine.ratings import BIAS_COLUMN
from engine.window import HistoryColumns
from training.config import TrainingConfig
from training.interactions import SECONDS_PER_DAY, Interactions
from training.item_neighbours import cooccurrence_neighbours, ease_neighbours, knn_neighbours

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ItemStatistics:
    """Columns [N] and neighbour tables of the items, and the mean rating (None for data without ratings).

    popularity: number of events; staleness: days from the item's last event to the last of all; rating_bias: mean
    deviation of its ratings from the mean, shrunk as if it had so many more ratings at the mean.
    """

    columns: dict[str, Floats]
    neighbours: dict[str, NeighbourTable]
    rating_mean: float | None

    @classmethod
    def of(cls, interactions: Interactions, columns: HistoryColumns, config: TrainingConfig) -> ItemStatistics:
        """Count over `columns`: all the interactions or the earlier part of them. Ratings are counted over all."""
        count = len(interactions.vocabulary)
        last = np.full(count, columns.timestamp.min())
        np.maximum.at(last, columns.item_index, columns.timestamp)
        tables = {
            "popularity": np.bincount(columns.item_index, minlength=count),
            "staleness": (columns.timestamp.max() - last) / SECONDS_PER_DAY,
        }
        mean, biases = _ratings(interactions, config.rating_shrinkage)
        if mean is not None:
            tables[BIAS_COLUMN] = biases
        as_floats = {name: table.astype(np.float32) for name, table in tables.items()}
        return cls(as_floats, _neighbours(columns, count, config), mean)


def _ratings(interactions: Interactions, shrinkage: float) -> tuple[float | None, npt.NDArray[np.float64]]:
    rated = ~np.isnan(interactions.ratings)
    count = len(interactions.vocabulary)
    if not rated.any():
        return None, np.zeros(count)
    mean = float(interactions.ratings[rated].mean())
    index = interactions.columns.item_index[rated]
    sums = np.bincount(index, interactions.ratings[rated] - mean, count)
    return mean, sums / (np.bincount(index, minlength=count) + shrinkage)


def _neighbours(columns: HistoryColumns, count: int, config: TrainingConfig) -> dict[str, NeighbourTable]:
    wanted = {each.model for each in config.retrievers if each.kind == "neighbours"}
    if config.ranker.model != "none":
        wanted |= tables_of(config.ranker.features)
    rules = config.neighbours
    makers = {
        "ease": lambda: ease_neighbours(columns, count, rules.most, rules.ease_regularisation),
        "cooccurrence": lambda: cooccurrence_neighbours(columns, count, rules.most, rules.cooccurrence_reach),
        "item_knn": lambda: knn_neighbours(columns, count, rules),
    }
    return {name: makers[name]() for name in sorted(wanted)}
