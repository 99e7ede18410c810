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
Doubles = npt.NDArray[np.float64]
SWEEPS = 10


@dataclass(frozen=True, slots=True)
class ItemStatistics:
    """Columns [N] and neighbour tables of the items, and the mean rating (None for data without ratings).

    popularity: number of events; staleness: days from the item's last event to the last of all; rating_bias: mean
    deviation of its ratings from the mean and from its users' biases, shrunk as if it had so many more ratings there.
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


def _ratings(interactions: Interactions, shrinkage: float) -> tuple[float | None, Doubles]:
    rated = ~np.isnan(interactions.ratings)
    count = len(interactions.vocabulary)
    if not rated.any():
        return None, np.zeros(count)
    ratings = interactions.ratings[rated]
    mean = float(ratings.mean())
    item = interactions.columns.item_index[rated]
    user = np.repeat(np.arange(len(interactions.user_ids)), np.diff(interactions.columns.offsets))[rated]
    of_items, of_users = np.zeros(count), np.zeros(len(interactions.user_ids))
    # The ridge regression on both kinds of biases at once, solved one kind after the other.
    for _ in range(SWEEPS):
        of_items = _shrunk_means(item, ratings - mean - of_users[user], count, shrinkage)
        of_users = _shrunk_means(user, ratings - mean - of_items[item], len(of_users), shrinkage)
    return mean, of_items


def _shrunk_means(index: npt.NDArray[np.int64], values: Doubles, count: int, shrinkage: float) -> Doubles:
    means: Doubles = np.bincount(index, values, count) / (np.bincount(index, minlength=count) + shrinkage)
    return means


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
