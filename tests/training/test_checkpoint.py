"""A run that was stopped anywhere goes on to the very same result, and what cannot go on says why."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import nn
from worlds import markov_chain

from engine.errors import ConfigError, TrainingError
from training.assembly import TrainedStages
from training.checkpoint import Checkpoint
from training.config import TrainingConfig
from training.curve import CurvePoint
from training.dataset import Dataset
from training.fit import Stage, TrainedStage, fit
from training.optimiser import AveragedOptimiser
from training.pipeline import Pipeline
from training.preparation import Preparation
from training.randomness import Randomness

SMALL = {
    "threads": 1,
    "window": {"max_length": 6},
    "retriever": {
        "network": {"width": 8, "blocks": 1, "dropout": 0.2},
        "epochs": 3,
        "first_epochs": 2,
        "events_per_batch": 80,
        "validate_every": 1,
        "averaging": 0.9,
    },
    "sources": [
        {"model": "multvae", "network": {"width": 4, "hidden": 4}, "epochs": 2, "first_epochs": 1, "validate_every": 1}
    ],
    "ranker": {"keep": "always", "epochs": 2, "held_out": 2, "network": {"hidden": 4}, "queries_per_batch": 16},
    "ratings": {"epochs": 2, "network": {"width": 2}, "events_per_batch": 80},
}


class Interrupted(BaseException):
    """Stands for Ctrl-C, a power cut or a spot machine taken away."""


@pytest.fixture(scope="module")
def preparation() -> Preparation:
    events = markov_chain(users=30, items=12, events=9)
    return Preparation.of(Dataset("ring", {"all": events.lazy()}, None), config())


def config(**changed: object) -> TrainingConfig:
    return TrainingConfig.model_validate(SMALL | changed)


@pytest.fixture
def interrupt(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[int]]:
    """Stop at the given step, counted over all stages; return the list that counts them."""
    step = AveragedOptimiser.step

    def at(stop: int) -> list[int]:
        steps: list[int] = []

        def counted(self: AveragedOptimiser, loss: torch.Tensor) -> float:
            if len(steps) == stop:
                raise Interrupted
            steps.append(stop)
            return step(self, loss)

        monkeypatch.setattr(AveragedOptimiser, "step", counted)
        return steps

    return at


def train(preparation: Preparation, checkpoint: Checkpoint | None) -> TrainedStages:
    return Pipeline(preparation, config(), print).train(checkpoint)


def curve_of(stages: TrainedStages) -> list[tuple[object, ...]]:
    return [(each.stage, each.epoch, each.loss, each.learning_rate, each.metrics) for each in stages.curve]


def assert_same(found: nn.Module, wanted: nn.Module) -> None:
    states = found.state_dict(), wanted.state_dict()
    assert states[0].keys() == states[1].keys()
    assert [name for name in states[0] if not torch.equal(states[0][name], states[1][name])] == []


@pytest.fixture(scope="module")
def uninterrupted(preparation: Preparation) -> TrainedStages:
    return train(preparation, None)


@pytest.mark.parametrize("share", [0.02, 0.15, 0.4, 0.6, 0.8, 0.97])
def test_a_run_stopped_anywhere_ends_as_one_that_was_not(
    preparation: Preparation, uninterrupted: TrainedStages, interrupt, tmp_path: Path, share: float
) -> None:
    total = 100_000
    if share:
        steps = interrupt(total)
        train(preparation, None)
        total = len(steps)
    interrupt(int(share * total))
    with pytest.raises(Interrupted):
        train(preparation, Checkpoint(tmp_path / "c", "digest", every_seconds=0))
    went_on = interrupt(100_000)
    found = train(preparation, Checkpoint(tmp_path / "c", "digest", every_seconds=0))
    # It went on, and did not start afresh: but for the epoch that was cut off, all steps before were spared.
    assert len(went_on) < total or share < 0.1
    assert found.encoders.keys() == uninterrupted.encoders.keys() == {"sasrec", "multvae"}
    for name, network in uninterrupted.encoders.items():
        assert_same(found.encoders[name], network)
    assert_same(found.ranker, uninterrupted.ranker)
    assert_same(found.ratings, uninterrupted.ratings)
    assert curve_of(found) == curve_of(uninterrupted)
    assert found.metrics == uninterrupted.metrics
