"""Item-to-item tables against their definitions."""

from __future__ import annotations

import numpy as np
import pytest

from engine.neighbours import NeighbourTable
from engine.window import HistoryColumns, offsets_of
from training.item_neighbours import cooccurrence_neighbours, ease_neighbours, ease_weights, knn_neighbours
from training.neighbours_config import NeighboursConfig

ITEMS = 7
RANDOM = np.random.default_rng(4)


def columns_of(histories: list[np.ndarray]) -> HistoryColumns:
    count = sum(map(len, histories))
    offsets = offsets_of(np.array([len(history) for history in histories]))
    return HistoryColumns(np.concatenate(histories), np.ones(count, np.float32), np.zeros(count), offsets)


def multi_hot(histories: list[np.ndarray], items: int) -> np.ndarray:
    seen = np.zeros((len(histories), items))
    for row, history in enumerate(histories):
        seen[row, history] = 1
    return seen


def dense(table: NeighbourTable, items: int) -> np.ndarray:
    found = np.zeros((items, items))
    np.add.at(found, (np.arange(items)[:, None], table.indices[:-1]), table.weights[:-1])
    return found


HISTORIES = [RANDOM.permutation(ITEMS)[:length] for length in (5, 1, 7, 3, 4)]
COLUMNS = columns_of(HISTORIES)
# 1,100 items take two blocks of the Gram matrix; some events come twice, and some items to nobody.
MANY = 1_100
LONGER = [RANDOM.integers(0, MANY - 20, RANDOM.integers(1, 60)) for _ in range(300)]


def test_ease_solves_its_least_squares_problem() -> None:
    seen = multi_hot(HISTORIES, ITEMS)
    weights = ease_weights(COLUMNS, ITEMS, 2.0)
    assert not np.diag(weights).any()
    # At the optimum of |X - XB|^2 + lambda |B|^2 the gradient vanishes but where the diagonal is held at zero.
    gradient = seen.T @ (seen @ weights - seen) + 2.0 * weights
    np.testing.assert_allclose(gradient - np.diag(np.diag(gradient)), 0, atol=1e-4)


@pytest.mark.parametrize("regularisation", [1.0, 200.0])
@pytest.mark.parametrize(("users", "items"), [(300, MANY), (1_400, MANY), (1_400, 30)])
def test_ease_in_single_precision_is_the_closed_form_in_double(users: int, items: int, regularisation: float) -> None:
    histories = [RANDOM.integers(0, items - 20, RANDOM.integers(1, 60)) for _ in range(users)]
    seen = multi_hot(histories, items)
    inverse = np.linalg.inv(seen.T @ seen + regularisation * np.eye(items))
    expected = -inverse / np.diag(inverse)
    np.fill_diagonal(expected, 0.0)
    weights = ease_weights(columns_of(histories), items, regularisation)
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights, expected, atol=1e-3)
    np.testing.assert_allclose(weights, expected, atol=1e-3 * np.abs(expected).max())


def test_ease_keeps_the_strongest_weights() -> None:
    weights = ease_weights(COLUMNS, ITEMS, 2.0)
    table = ease_neighbours(COLUMNS, ITEMS, 3, 2.0)
    for item in range(ITEMS):
        strongest = np.sort(np.abs(weights[item]))[-3:]
        np.testing.assert_allclose(np.sort(np.abs(table.weights[item])), strongest, rtol=1e-5)
        np.testing.assert_allclose(weights[item, table.indices[item]], table.weights[item])
    assert not table.weights[ITEMS].any()


@pytest.mark.parametrize(
    "powers",
    [
        {},
        {"knn_shrinkage": 0.0},
        {"knn_user_power": 1.0},
        {"knn_history_power": 1.0, "knn_candidate_power": 0.2},
        {"knn_power": 2.0},
    ],
    ids=str,
)
def test_item_knn_is_its_formula(powers: dict[str, float]) -> None:
    rules = NeighboursConfig(most=MANY, **powers)
    seen, columns = multi_hot(LONGER, MANY), columns_of(LONGER)
    of_user = np.diff(columns.offsets)[:, None] ** -rules.knn_user_power
    shared = seen.T @ (of_user * seen)
    np.fill_diagonal(shared, 0.0)
    events = np.maximum(np.bincount(columns.item_index, minlength=MANY), 1.0)
    scale = np.outer(events**-rules.knn_history_power, events**-rules.knn_candidate_power)
    expected = shared**rules.knn_power * scale * shared / np.maximum(shared + rules.knn_shrinkage, 1e-12)
    whole = knn_neighbours(columns, MANY, rules)
    np.testing.assert_allclose(dense(whole, MANY), expected, atol=1e-6 * expected.max())
    assert not whole.weights[MANY].any()


def test_item_knn_keeps_the_strongest_weights() -> None:
    whole = dense(knn_neighbours(columns_of(LONGER), MANY, NeighboursConfig(most=MANY)), MANY)
    table = knn_neighbours(columns_of(LONGER), MANY, NeighboursConfig(most=9))
    np.testing.assert_allclose(table.weights[:-1], -np.sort(-whole, axis=1)[:, :9], atol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(whole, table.indices[:-1], axis=1), table.weights[:-1], atol=1e-6)


def test_item_knn_of_histories_without_repeats_is_a_cosine() -> None:
    unit = multi_hot(HISTORIES, ITEMS)
    unit /= np.linalg.norm(unit, axis=0)
    expected = unit.T @ unit
    np.fill_diagonal(expected, 0.0)
    table = knn_neighbours(COLUMNS, ITEMS, NeighboursConfig(knn_shrinkage=0.0))
    np.testing.assert_allclose(dense(table, ITEMS), expected, atol=1e-6)


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
    np.testing.assert_allclose(dense(table, ITEMS), expected, rtol=1e-5)


def test_a_single_event_has_no_neighbours() -> None:
    alone = HistoryColumns(np.array([2]), np.ones(1, np.float32), np.zeros(1), np.array([0, 1]))
    assert not cooccurrence_neighbours(alone, ITEMS, 4, 5).weights.any()
    assert not knn_neighbours(alone, ITEMS, NeighboursConfig()).weights.any()
