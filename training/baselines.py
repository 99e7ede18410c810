"""Baselines: popularity and EASE, which stand beside every table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from engine.events import History
from engine.vocabulary import Vocabulary
from training.evaluation import Evaluation
from training.interactions import Interactions
from training.item_neighbours import EASE_UP_TO, ease_weights
from training.metrics import CUTOFFS, ranking_metrics

EASE_REGULARISATIONS = (50.0, 100.0, 200.0, 500.0, 1_000.0)
Floats = npt.NDArray[np.float32]


def popularity_metrics(evaluation: Evaluation, interactions: Interactions) -> dict[str, float]:
    """Measure the list of the most frequent items, without what each user has seen."""
    count = len(interactions.vocabulary)
    scores = np.bincount(interactions.columns.item_index, minlength=count).astype(np.float32)
    ranked = [_best(scores.copy(), history, interactions.vocabulary) for history in evaluation.histories]
    return ranking_metrics(ranked, evaluation.wanted)


def ease_metrics(test: Evaluation, valid: Evaluation, interactions: Interactions) -> dict[str, float] | None:
    """Measure EASE (Steck, 2019) with its full weights and the regularisation that is best on validation.

    None where the catalogue is too large for it.
    """
    count = len(interactions.vocabulary)
    if count > EASE_UP_TO:
        return None
    scored = []
    for regularisation in EASE_REGULARISATIONS:
        weights = ease_weights(interactions.columns, count, regularisation)
        found = _ease(valid, weights, interactions.vocabulary).get("NDCG@10", 0.0)
        scored.append((found, regularisation))
    _, best = max(scored)
    return _ease(test, ease_weights(interactions.columns, count, best), interactions.vocabulary)


def _ease(evaluation: Evaluation, weights: Floats, vocabulary: Vocabulary) -> dict[str, float]:
    ranked = [_ease_list(history, weights, vocabulary) for history in evaluation.histories]
    return ranking_metrics(ranked, evaluation.wanted)


def _ease_list(history: History, weights: Floats, vocabulary: Vocabulary) -> Sequence[str]:
    seen = vocabulary.indices_of(history.seen())
    return _best(weights[seen[seen >= 0]].sum(axis=0), history, vocabulary)


def _best(scores: Floats, history: History, vocabulary: Vocabulary) -> list[str]:
    seen = vocabulary.indices_of(history.seen())
    scores[seen[seen >= 0]] = -np.inf
    order = np.argsort(-scores, kind="stable")[: max(CUTOFFS)]
    return [vocabulary.id_of(int(index)) for index in order if np.isfinite(scores[index])]
