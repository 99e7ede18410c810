"""A training that reads items and was stopped anywhere ends as one that was not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from interruption import NEVER, Interrupted, assert_same, stopped_at
from tiny_topics import TINY_TOPICS
from worlds import topics

from training.assembly import TrainedStages
from training.checkpoint import Checkpoint
from training.config import TrainingConfig
from training.pipeline import Pipeline
from training.preparation import Preparation

CONFIG = TrainingConfig.model_validate(
    TINY_TOPICS
    | {
        "refit": True,
        "retriever": {**TINY_TOPICS["retriever"], "epochs": 2, "first_epochs": 2, "validate_every": 1},
        "content": {**TINY_TOPICS["content"], "id_dropout": 0.2, "cold_share": 0.5},
    }
)


@pytest.fixture(scope="module")
def preparation(tmp_path_factory: pytest.TempPathFactory) -> Preparation:
    world = topics(("words", "picture"), users=30, per_topic=10)
    return Preparation.of(world.dataset(tmp_path_factory.mktemp("media")), CONFIG)


def train(preparation: Preparation, checkpoint: Checkpoint | None) -> TrainedStages:
    return Pipeline(preparation, CONFIG, print).train(checkpoint)


@pytest.fixture(scope="module")
def uninterrupted(preparation: Preparation) -> tuple[TrainedStages, int]:
    """The stages, and how many steps they took."""
    with pytest.MonkeyPatch.context() as patch:
        steps = stopped_at(patch, NEVER)
        return train(preparation, None), len(steps)


@pytest.mark.parametrize("share", [0.03, 0.2, 0.35, 0.6, 0.85])
def test_a_run_stopped_anywhere_ends_as_one_that_was_not(
    preparation: Preparation,
    uninterrupted: tuple[TrainedStages, int],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    share: float,
) -> None:
    wanted, step_count = uninterrupted
    stopped_at(monkeypatch, int(share * step_count))
    with pytest.raises(Interrupted):
        train(preparation, Checkpoint(tmp_path / "c", "digest", every_seconds=0))
    steps = stopped_at(monkeypatch, NEVER)
    torch.rand(7)
    found = train(preparation, Checkpoint(tmp_path / "c", "digest", every_seconds=0))
    assert len(steps) < step_count - 0.8 * share * step_count + 10
    assert found.content is not None
    assert wanted.content is not None
    assert_same(found.content.trained.network, wanted.content.trained.network)
    assert torch.equal(found.content.trained.honest, wanted.content.trained.honest)
    for name, network in wanted.encoders.items():
        assert_same(found.encoders[name], network)
    assert_same(found.ranker, wanted.ranker)
    assert found.metrics == wanted.metrics


def test_both_networks_learned_in_two_acts(uninterrupted: tuple[TrainedStages, int]) -> None:
    stages = {point.stage for point in uninterrupted[0].curve if point.stage.startswith("content")}
    parts = ("tokens.deep", "image.deep")
    assert stages == {f"content {name}, act {act}" for name in parts for act in (1, 2)}
