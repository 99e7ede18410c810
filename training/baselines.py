"""Baselines: popularity, item-kNN and EASE, which stand beside every table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from engine.vocabulary import Vocabulary
from training.config import TrainingConfig
from training.evaluation import Evaluation
from training.interactions import Interactions
from training.item_neighbours import ease_weights, knn_neighbours
from training.metrics import CUTOFFS, ranking_metrics
from training.neighbours_config import NeighboursConfig
from training.preparation import Preparation

EASE_REGULARISATIONS = (50.0, 100.0, 200.0, 500.0, 1_000.0)
EASE_SEARCH_UP_TO = 5_000
KNN_MOST = (100, 50, 200)
NAMES = ("popularity", "item-kNN", "EASE")
USERS_AT_ONCE = 256
Floats = npt.NDArray[np.float32]
Lists = list[list[str]]
Scores = Callable[[list[npt.NDArray[np.int64]]], Floats]
Count = Callable[[Interactions], Scores]


def baseline_lists(preparation: Preparation, test: Evaluation, config: TrainingConfig) -> dict[str, Lists]:
    """Return the lists of each baseline for the test users; what can be tuned is tuned on validation.

    With `refit` they are then counted again on train and valid, as the networks are that stand beside them. Where the
    catalogue is too large for it, EASE (Steck, 2019; with its full weights) is left out and nothing is tuned.
    """
    split, vocabulary = preparation.split, preparation.vocabulary
    valid = Evaluation.of(split.train, split.valid, config.validation_users, config.seed)
    train = Interactions.of(split.train, vocabulary, preparation.window)
    known = Interactions.of(preparation.known, vocabulary, preparation.window) if config.refit else train
    few = len(vocabulary) <= config.neighbours.ease_up_to
    popularity, item_knn, ease = NAMES
    tried: dict[str, Sequence[Count]] = {
        popularity: [_popularity],
        item_knn: [partial(_neighbours, most=most) for most in (KNN_MOST if few else KNN_MOST[:1])],
    }
    if few:
        # Each value costs an inverse of all items: on a large catalogue fewer are tried.
        values = EASE_REGULARISATIONS if len(vocabulary) <= EASE_SEARCH_UP_TO else EASE_REGULARISATIONS[2:4]
        tried[ease] = [partial(_ease, regularisation=value) for value in values]
    best = {name: _best(counts, train, valid, config.metric) for name, counts in tried.items()}
    return {name: _lists(test, count(known), vocabulary) for name, count in best.items()}


def _popularity(interactions: Interactions) -> Scores:
    counts = np.bincount(interactions.columns.item_index, minlength=len(interactions.vocabulary)).astype(np.float32)
    return lambda seen: np.tile(counts, (len(seen), 1))


def _ease(interactions: Interactions, regularisation: float) -> Scores:
    weights = ease_weights(interactions.columns, len(interactions.vocabulary), regularisation)
    return lambda seen: np.stack([weights[items].sum(axis=0) for items in seen])


def _neighbours(interactions: Interactions, most: int) -> Scores:
    count = len(interactions.vocabulary)
    table = knn_neighbours(interactions.columns, count, NeighboursConfig(most=most))

    def scores(seen: list[npt.NDArray[np.int64]]) -> Floats:
        met = [(table.indices[items].ravel(), table.weights[items].ravel()) for items in seen]
        return np.stack([np.bincount(*each, minlength=count) for each in met]).astype(np.float32)

    return scores


def _best(tried: Sequence[Count], train: Interactions, valid: Evaluation, metric: str) -> Count:
    """Return the one whose scores have the highest metric."""
    if len(tried) == 1:
        return tried[0]
    lists = (_lists(valid, count(train), train.vocabulary) for count in tried)
    found = [ranking_metrics(each, valid.wanted).get(metric, 0.0) for each in lists]
    return tried[int(np.argmax(found))]


def _lists(evaluation: Evaluation, scores: Scores, vocabulary: Vocabulary) -> Lists:
    lists: Lists = []
    for start in range(0, len(evaluation), USERS_AT_ONCE):
        histories = evaluation.histories[start : start + USERS_AT_ONCE]
        seen = [vocabulary.indices_of(history.seen()) for history in histories]
        seen = [indices[indices >= 0] for indices in seen]
        scored = scores(seen)
        for row, indices in zip(scored, seen, strict=True):
            row[indices] = -np.inf
        order = _best_items(scored, max(CUTOFFS))
        lists += [
            [vocabulary.id_of(int(index)) for index in best if np.isfinite(row[index])]
            for best, row in zip(order, scored, strict=True)
        ]
    return lists


def _best_items(scored: Floats, count: int) -> npt.NDArray[np.int64]:
    """Return the indices of each row's `count` largest, largest first, ties by index."""
    count = min(count, scored.shape[1])
    best = np.sort(np.argpartition(-scored, count - 1, axis=1)[:, :count], axis=1)
    order = np.argsort(-np.take_along_axis(scored, best, axis=1), axis=1, kind="stable")
    return np.take_along_axis(best, order, axis=1)
