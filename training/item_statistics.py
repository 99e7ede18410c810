"""ItemStatistics: what is counted, not learned, from the events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.features import tables_of
from engine.neighbours import NeighbourTable
from engine.ratings import BIAS_COLUMN
from engine.window import HistoryColumns
from training.config import TrainingConfig
from training.interactions import SECONDS_PER_DAY, Interactions, counts, parts
from training.item_neighbours import cooccurrence_neighbours, ease_neighbours, knn_neighbours

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
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
        for part in parts(len(columns.item_index)):
            np.maximum.at(last, columns.item_index[part], columns.timestamp[part])
        tables = {
            "popularity": counts(columns.item_index, count),
            "staleness": (columns.timestamp.max() - last) / SECONDS_PER_DAY,
        }
        mean, biases = _ratings(interactions, config.rating_shrinkage)
        if mean is not None:
            tables[BIAS_COLUMN] = biases
        as_floats = {name: table.astype(np.float32) for name, table in tables.items()}
        return cls(as_floats, _neighbours(columns, count, config), mean)


def _ratings(interactions: Interactions, shrinkage: float) -> tuple[float | None, Doubles]:
    sums = [(ratings.sum(), len(ratings)) for _, _, ratings in _rated(interactions)]
    count = sum(length for _, length in sums)
    of_items, of_users = np.zeros(len(interactions.vocabulary)), np.zeros(len(interactions.user_ids))
    if not count:
        return None, of_items
    mean = float(sum(total for total, _ in sums) / count)
    # The ridge regression on both kinds of biases at once, solved one kind after the other.
    for _ in range(SWEEPS):
        pieces = ((item, ratings - mean - of_users[user]) for item, user, ratings in _rated(interactions))
        of_items = _shrunk_means(pieces, len(of_items), shrinkage)
        pieces = ((user, ratings - mean - of_items[item]) for item, user, ratings in _rated(interactions))
        of_users = _shrunk_means(pieces, len(of_users), shrinkage)
    return mean, of_items


def _rated(interactions: Interactions) -> Iterator[tuple[Indices, Indices, Doubles]]:
    """Yield the item, the user and the rating of events that have one, some at a time."""
    columns = interactions.columns
    for part in parts(len(interactions.ratings)):
        rated = np.flatnonzero(~np.isnan(interactions.ratings[part])) + part.start
        user = np.searchsorted(columns.offsets, rated, side="right") - 1
        yield columns.item_index[rated], user, interactions.ratings[rated]


def _shrunk_means(pieces: Iterable[tuple[Indices, Doubles]], count: int, shrinkage: float) -> Doubles:
    totals, numbers = np.zeros(count), np.full(count, shrinkage)
    for index, values in pieces:
        totals += np.bincount(index, values, count)
        numbers += np.bincount(index, minlength=count)
    means: Doubles = totals / numbers
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
