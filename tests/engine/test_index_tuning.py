"""An index looks as far as it must to find what was asked for, and says what it finds."""

from __future__ import annotations

import numpy as np
import pytest

from engine.exact_search import exact_search
from engine.index_build import IndexBuild
from engine.index_plan import IndexPlan
from engine.index_settings import IndexKind
from engine.index_tuning import tuned

RANDOM = np.random.default_rng(0)
CENTRES = RANDOM.normal(size=(60, 16)) * 2
VECTORS = (CENTRES[RANDOM.integers(60, size=2_000)] + RANDOM.normal(size=(2_000, 16))).astype(np.float32)
QUERIES = (CENTRES[RANDOM.integers(60, size=800)] + RANDOM.normal(size=(800, 16))).astype(np.float32)
FRESH = (CENTRES[RANDOM.integers(60, size=800)] + RANDOM.normal(size=(800, 16))).astype(np.float32)
APPROXIMATE: tuple[IndexKind, ...] = ("hnsw", "ivf", "ivfpq")


def built(kind: IndexKind, wanted: float, k: int = 20):
    index = IndexBuild(VECTORS, IndexPlan.of(*VECTORS.shape, kind=kind), QUERIES).run()
    return tuned(index, VECTORS, QUERIES, wanted, k)


def recall(index, k: int = 20) -> float:
    truth, found = exact_search(VECTORS, FRESH, k)[0], index.search(FRESH, k)[0]
    return float(np.mean([np.isin(*pair).mean() for pair in zip(truth, found, strict=True)]))


@pytest.mark.parametrize("kind", APPROXIMATE)
def test_the_recall_that_was_asked_for_is_reached(kind: IndexKind) -> None:
    index = built(kind, 0.95)
    assert index.settings.kind == index.kind == kind
    assert index.settings.wanted == 0.95
    assert recall(index) >= 0.93
    assert index.settings.recall == pytest.approx(recall(index), abs=0.03)


@pytest.mark.parametrize("kind", ["ivf", "ivfpq"])
def test_more_recall_costs_more(kind: IndexKind) -> None:
    index = IndexBuild(VECTORS, IndexPlan.of(*VECTORS.shape, kind=kind), QUERIES).run()
    little, much = (tuned(index, VECTORS, QUERIES, wanted, 20).settings for wanted in (0.85, 0.99))
    assert little.width < much.width or little.candidates < much.candidates
    assert little.recall is not None
    assert much.recall is not None
    assert 0.83 < little.recall < much.recall - 0.05


def test_what_cannot_be_reached_is_said() -> None:
    # Nothing tells these apart but the table, which a graph or codes of half a byte do not see.
    alike = np.ones((2_000, 16), dtype=np.float32) + 1e-7 * RANDOM.normal(size=(2_000, 16)).astype(np.float32)
    index = IndexBuild(alike, IndexPlan.of(*alike.shape, kind="ivfpq"), QUERIES).run()
    settings = tuned(index, alike, QUERIES, 1.0, 20).settings
    assert settings.recall is not None
    assert settings.recall < 1 == settings.wanted


def test_an_exact_index_needs_no_tuning() -> None:
    settings = built("flat", 0.98).settings
    assert (settings.kind, settings.recall) == ("flat", 1.0)


def test_a_search_for_more_looks_farther() -> None:
    settings = built("ivf", 0.95).settings
    assert settings.scaled(10) == (settings.width, settings.candidates)
    wider, more = settings.scaled(60)
    assert (wider, more) == (3 * settings.width, 3 * settings.candidates)


def test_the_same_queries_give_the_same_settings() -> None:
    assert built("ivf", 0.9).settings == built("ivf", 0.9).settings
