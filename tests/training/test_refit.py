"""Refit: what only validation events show is learned too, and nothing that was measured changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from tiny import TINY
from worlds import SCHEMA

from engine.bundle import Bundle
from engine.errors import DataError
from engine.events import Event, History
from engine.query import Query
from training.assembly import Assembly, TrainedStages
from training.baselines import baseline_lists
from training.config import TrainingConfig
from training.dataset import Dataset
from training.evaluation import Evaluation
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


@pytest.fixture(scope="module")
def bundles() -> list[Bundle]:
    """One that was not refitted, and one that was."""
    return [Assembly(*trained(refit=refit)).bundle() for refit in (False, True)]


def after_the_curtain(bundle: Bundle) -> str:
    names = ("act 1", "act 2", "act 5", "act 6", "curtain")
    events = [Event("u", name, "rating", 3.0 + step % 3, 1_000.0 * step) for step, name in enumerate(names)]
    history = History(tuple(events))
    return bundle.recommender().recommend([Query(history, 1)])[0].items[0].item_id


def test_what_only_validation_shows_is_learned(bundles: list[Bundle]) -> None:
    once, again = map(after_the_curtain, bundles)
    assert once != "encore"
    assert again == "encore"


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


def test_a_bundle_says_that_it_is_refitted(bundles: list[Bundle]) -> None:
    once, again = (bundle.manifest for bundle in bundles)
    assert (once.refit, once.data.events, once.data.users) == (False, 330, 60)
    assert (again.refit, again.data.events, again.data.users) == (True, 360, 60)
    assert again.metrics["valid retrieved"] == once.metrics["valid retrieved"]


def test_without_a_ranker_the_network_begins_as_the_chosen_one_did() -> None:
    _, _, stages = trained(refit=True)
    first = {point.stage: point for point in stages.curve if point.epoch == 1}
    # Thirty events more of 330 change the loss of the first epoch a little; another beginning changes it a lot.
    assert first["sasrec, refit"].loss == pytest.approx(first["sasrec"].loss, rel=0.05)


def test_what_is_wrong_with_valid_is_said_before_any_training() -> None:
    dataset = farewell()
    bought = dataset.parts["valid"].with_columns(kind=pl.lit("purchase"), value=pl.lit(None, pl.Float64))
    config = TrainingConfig.model_validate(TINY | CHANGES | {"refit": True})
    preparation = Preparation.of(Dataset("t", dataset.parts | {"valid": bought}, None), config)
    with pytest.raises(DataError, match="event kind 'purchase' has no weight"):
        Pipeline(preparation, config, print)


def test_without_validation_events_there_is_nothing_to_refit_on() -> None:
    config = TrainingConfig.model_validate(TINY | CHANGES | {"refit": True})
    parts = farewell().parts | {"valid": farewell().parts["valid"].filter(pl.lit(value=False))}
    preparation = Preparation.of(Dataset("t", parts, None), config)
    stages = Pipeline(preparation, config, print).train()
    assert not stages.refitted
    assert {point.stage for point in stages.curve} == {"sasrec"}


def test_baselines_are_counted_again_too() -> None:
    test = [("new", name, "rating", 3.0, 1_000.0 * step, step) for step, name in enumerate(("act 1", "act 2"))]
    parts = farewell().parts | {"test": pl.DataFrame(test, SCHEMA, orient="row").lazy()}
    found = []
    for refit in (False, True):
        config = TrainingConfig.model_validate(TINY | CHANGES | {"refit": refit})
        preparation = Preparation.of(Dataset("t", parts, None), config)
        lists = baseline_lists(preparation, Evaluation.of(preparation.known, preparation.split.test), config)
        found.append(lists["popularity"][0].index("encore"))
    # In train half of the users met it, with valid all of them.
    assert found[1] < found[0]


def test_counts_are_made_again() -> None:
    preparation, _, once = trained()
    _, _, again = trained(refit=True)
    encore = preparation.vocabulary.indices_of(pl.Series(["encore"]))[0]
    assert (once.statistics.columns["popularity"][encore], again.statistics.columns["popularity"][encore]) == (30, 60)
