"""EASE and co-occurrence against their definitions."""

from __future__ import annotations

import numpy as np
import pytest

from engine.window import HistoryColumns, offsets_of
from training.item_neighbours import cooccurrence_neighbours, ease_neighbours, ease_weights

ITEMS = 7
RANDOM = np.random.default_rng(4)
HISTORIES = [RANDOM.permutation(ITEMS)[:length] for length in (5, 1, 7, 3, 4)]
COLUMNS = HistoryColumns(
    np.concatenate(HISTORIES),
    np.ones(20, np.float32),
    np.zeros(20),
    offsets_of(np.array([len(history) for history in HISTORIES])),
)


def test_ease_solves_its_least_squares_problem() -> None:
    seen = np.zeros((5, ITEMS))
    for row, history in enumerate(HISTORIES):
        seen[row, history] = 1
    weights = ease_weights(COLUMNS, ITEMS, 2.0)
    assert not np.diag(weights).any()
    # At the optimum of |X - XB|^2 + lambda |B|^2 the gradient vanishes but where the diagonal is held at zero.
    gradient = seen.T @ (seen @ weights - seen) + 2.0 * weights
    np.testing.assert_allclose(gradient - np.diag(np.diag(gradient)), 0, atol=1e-4)


def test_ease_keeps_the_strongest_weights() -> None:
    weights = ease_weights(COLUMNS, ITEMS, 2.0)
    table = ease_neighbours(COLUMNS, ITEMS, 3, 2.0)
    for item in range(ITEMS):
        strongest = np.sort(np.abs(weights[item]))[-3:]
        np.testing.assert_allclose(np.sort(np.abs(table.weights[item])), strongest, rtol=1e-5)
        np.testing.assert_allclose(weights[item, table.indices[item]], table.weights[item])
    assert not table.weights[ITEMS].any()


@pytest.mark.parametrize("reach", [1, 3])
def test_cooccurrence_counts_pairs_within_reach(reach: int) -> None:
    counts = np.zeros((ITEMS, ITEMS))
    for history in HISTORIES:
        for a in range(len(history)):
            for b in range(a + 1, min(a + reach, len(history) - 1) + 1):
                counts[history[a], history[b]] += 1
                counts[history[b], history[a]] += 1
    popularity = np.bincount(COLUMNS.item_index, minlength=ITEMS) + 5.0
    expected = counts / np.sqrt(np.outer(popularity, popularity))
    table = cooccurrence_neighbours(COLUMNS, ITEMS, ITEMS, reach)
    for item in range(ITEMS):
        found = np.zeros(ITEMS)
        np.add.at(found, table.indices[item], table.weights[item])
        np.testing.assert_allclose(found, expected[item], rtol=1e-5)


def test_a_single_event_has_no_neighbours() -> None:
    alone = HistoryColumns(np.array([2]), np.ones(1, np.float32), np.zeros(1), np.array([0, 1]))
    assert not cooccurrence_neighbours(alone, ITEMS, 4, 5).weights.any()
