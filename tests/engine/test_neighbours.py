"""Sums in a neighbour table: rows with the same candidates are computed together, and must not show it."""

from __future__ import annotations

import numpy as np
import pytest

from engine import neighbours
from engine.neighbours import NeighbourTable

ITEMS = 30
LIVE = 33


@pytest.fixture(scope="module")
def table() -> NeighbourTable:
    random = np.random.default_rng(3)
    indices = np.stack([random.permutation(ITEMS)[:6] for _ in range(ITEMS + 1)]).astype(np.int32)
    weights = random.normal(size=indices.shape).astype(np.float32)
    weights[ITEMS] = 0
    return NeighbourTable(indices, weights)


@pytest.fixture(autouse=True, params=[0, 1_000])
def most_listed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "MOST_LISTED", request.param)


def histories(random: np.random.Generator) -> np.ndarray:
    """Five histories with repeated items, a live one, padding, and one that is empty."""
    rows = random.integers(0, ITEMS, (5, 9))
    rows[0, 3], rows[1, 4], rows[2, 5:], rows[4] = rows[0, 2], LIVE, ITEMS, ITEMS
    return rows


@pytest.mark.parametrize("seed", range(5))
def test_rows_with_the_same_candidates_score_as_each_alone(table: NeighbourTable, seed: int) -> None:
    random = np.random.default_rng(seed)
    pool = np.concatenate((random.permutation(ITEMS)[:12], [LIVE, -1]))
    candidates = np.stack([random.permutation(pool) for _ in range(5)])
    rows = histories(random)
    alone = np.concatenate([table.scores(rows[[row]], candidates[[row]]) for row in range(5)])
    np.testing.assert_allclose(table.scores(rows, candidates), alone, atol=1e-6)
    assert not alone[4].any()
    assert not table.scores(rows, candidates)[(candidates == -1) | (candidates == LIVE)].any()


def test_rows_with_other_candidates_score_as_each_alone(table: NeighbourTable) -> None:
    random = np.random.default_rng(9)
    candidates = np.stack([random.permutation(ITEMS)[:7] for _ in range(5)])
    rows = histories(random)
    alone = np.concatenate([table.scores(rows[[row]], candidates[[row]]) for row in range(5)])
    np.testing.assert_array_equal(table.scores(rows, candidates), alone)


def test_a_score_is_the_sum_of_the_weights_that_lead_there(table: NeighbourTable) -> None:
    random = np.random.default_rng(4)
    rows, candidates = histories(random), random.permutation(ITEMS)[None, :12].repeat(5, axis=0)
    expected = np.zeros(candidates.shape)
    for row, history in enumerate(rows.tolist()):
        for item in (each for each in history if each < ITEMS):
            for neighbour, weight in zip(table.indices[item], table.weights[item], strict=True):
                expected[row] += np.where(candidates[row] == neighbour, weight, 0)
    np.testing.assert_allclose(table.scores(rows, candidates), expected, atol=1e-5)
