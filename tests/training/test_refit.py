"""Refit: what only validation events show is learned too, and nothing that was measured changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from tiny import TINY
from worlds import SCHEMA

from engine.events import Event, History
from engine.recommender import Query
from training.assembly import Assembly, TrainedStages
from training.config import TrainingConfig
from training.dataset import Dataset
from training.pipeline import Pipeline
from training.preparation import Preparation

# Validation asks for what train cannot teach: which epoch it takes is chance, and each is late enough to have learned.
LATE = TINY["retriever"] | {"epochs": 20, "validate_every": 10}
CHANGES = {"retriever": LATE, "ranker": {"model": "none"}, "report": False}


def farewell(users: int = 60, seed: int = 3) -> Dataset:
    """All users end with "curtain"; that "encore", with which half of them began, may follow it is only in valid."""
    random = np.random.default_rng(seed)
    train, valid = [], []
    for user in range(users):
        names = [f"act {number}" for number in random.permutation(8)[:4]]
        if user % 2:
            names = ["encore", *names]
        else:
            valid.append((f"user {user}", "encore", "rating", 5.0, 9_000.0, user + 2))
        names += ["curtain"]
        steps = [(f"user {user}", name, "rating", 3.0 + step % 3, 1_000.0 * step) for step, name in enumerate(names)]
        train += [(*each, len(train) + row) for row, each in enumerate(steps, 2)]
    frames = {"train": train, "valid": valid}
    parts = {name: pl.DataFrame(rows, SCHEMA, orient="row").lazy() for name, rows in frames.items()}
    return Dataset("farewell", parts, None)


def trained(**changes: Any) -> tuple[Preparation, TrainingConfig, TrainedStages]:
    config = TrainingConfig.model_validate(TINY | CHANGES | changes)
    preparation = Preparation.of(farewell(), config)
    return preparation, config, Pipeline(preparation, config, print).train()


def after_the_curtain(preparation: Preparation, config: TrainingConfig, stages: TrainedStages) -> str:
    recommender = Assembly(preparation, config, stages).bundle().recommender()
    names = ("act 1", "act 2", "act 5", "act 6", "curtain")
    events = [Event("u", name, "rating", 3.0 + step % 3, 1_000.0 * step) for step, name in enumerate(names)]
    history = History(tuple(events))
    return recommender.recommend([Query(history, 1)])[0].items[0].item_id


def test_what_only_validation_shows_is_learned() -> None:
    assert after_the_curtain(*trained()) != "encore"
    assert after_the_curtain(*trained(refit=True)) == "encore"


def test_a_refit_changes_no_measurement_and_stops_where_validation_chose() -> None:
    _, _, once = trained()
    _, _, again = trained(refit=True)
    assert again.metrics == once.metrics
    measured = {point.epoch: point.metrics["NDCG@10"] for point in once.curve if point.metrics}
    refit = [point for point in again.curve if point.stage == "sasrec, refit"]
    assert refit[-1].epoch == max(measured, key=lambda epoch: measured[epoch])
    assert not any(point.metrics for point in refit)


@pytest.mark.parametrize("orientation", ["user", "item"])
def test_ratings_are_refitted_too(orientation: str) -> None:
    ratings = {"model": "autoencoder", "epochs": 3, "network": {"width": 4}, "keep": "always"}
    ratings |= {"orientation": orientation}
    once, again = (trained(refit=refit, ratings=ratings)[2] for refit in (False, True))
    assert once.metrics == again.metrics
    epochs = {stage: sum(point.stage == stage for point in again.curve) for stage in ("ratings", "ratings, refit")}
    assert 0 < epochs["ratings, refit"] <= epochs["ratings"]
    assert once.ratings is not None
    assert again.ratings is not None
    before, after = (each.ratings.network.item_vectors().detach().numpy() for each in (once, again))
    assert not np.allclose(before, after)


def test_counts_are_made_again() -> None:
    preparation, _, once = trained()
    _, _, again = trained(refit=True)
    encore = preparation.vocabulary.indices_of(pl.Series(["encore"]))[0]
    assert (once.statistics.columns["popularity"][encore], again.statistics.columns["popularity"][encore]) == (30, 60)
