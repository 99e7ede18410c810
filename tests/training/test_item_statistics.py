"""What is counted of items, against its definition."""

from __future__ import annotations

import numpy as np
import polars as pl
from worlds import SCHEMA

from engine.vocabulary import Vocabulary
from engine.window import HistoryWindow
from training.config import TrainingConfig
from training.interactions import Interactions
from training.item_statistics import ItemStatistics

USERS, ITEMS, SHRINKAGE = 12, 7, 2.0
CONFIG = TrainingConfig(rating_shrinkage=SHRINKAGE, ranker={"model": "none"}, retriever={"model": "popularity"})


def rated(seed: int = 5) -> list[tuple[int, int, float]]:
    random = np.random.default_rng(seed)
    return [(u, i, float(random.integers(1, 6))) for u in range(USERS) for i in range(ITEMS) if random.random() < 0.5]


def statistics(events: list[tuple[int, int, float]]) -> ItemStatistics:
    rows = [(f"{u:02}", f"{i:02}", "rating", value, 10.0 * row, row) for row, (u, i, value) in enumerate(events)]
    window = HistoryWindow(max_length=9, rating_scale=(1.0, 5.0))
    vocabulary = Vocabulary(f"{item:02}" for item in range(ITEMS))
    interactions = Interactions.of(pl.DataFrame(rows, SCHEMA, orient="row"), vocabulary, window)
    return ItemStatistics.of(interactions, interactions.columns, CONFIG)


def test_rating_biases_solve_the_ridge_regression_on_users_and_items_at_once() -> None:
    events = rated()
    values = np.array([value for _, _, value in events])
    design = np.zeros((len(events), USERS + ITEMS))
    for row, (user, item, _) in enumerate(events):
        design[row, [user, USERS + item]] = 1.0
    gram = design.T @ design + SHRINKAGE * np.eye(USERS + ITEMS)
    expected = np.linalg.solve(gram, design.T @ (values - values.mean()))[USERS:]
    found = statistics(events)
    assert found.rating_mean == values.mean()
    np.testing.assert_allclose(found.columns["rating_bias"], expected, atol=0.02)


def test_popularity_and_staleness_are_counts_and_days() -> None:
    found = statistics([(0, 0, 3.0), (1, 0, 4.0), (1, 2, 5.0)])
    np.testing.assert_array_equal(found.columns["popularity"][:3], [2, 0, 1])
    np.testing.assert_allclose(found.columns["staleness"][[0, 2]], [10 / 86_400, 0], atol=1e-7)
