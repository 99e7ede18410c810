"""The choice of retriever and ranker goes by validation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn
from worlds import markov_chain

from engine.errors import ConfigError, DataError, DivergedError, TrainingError
from models import RETRIEVERS
from training import selection
from training.checkpoint import Checkpoint
from training.config import TrainingConfig
from training.dataset import Dataset
from training.optimiser import AveragedOptimiser
from training.pipeline import Learned, Pipeline
from training.preparation import Preparation
from training.rating_pipeline import RatingPipeline
from training.retriever_config import RetrieverConfig
from training.selection import Selection, recipe, recommended


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch, tiny_config: TrainingConfig) -> None:
    """Two retrievers: one that can learn the ring, one that is not trained enough to."""
    quick = {"sasrec": tiny_config.retriever, "multvae": RetrieverConfig(model="multvae", epochs=1, learning_rate=1e-5)}
    monkeypatch.setattr(selection, "recommended", lambda: tuple(quick))
    monkeypatch.setattr(selection, "RANKERS", ("ncf",))
    monkeypatch.setattr(selection, "recipe", quick.get)


@pytest.mark.usefixtures("two")
def test_the_best_on_validation_is_chosen_and_the_tries_are_told(
    tiny_preparation: Preparation, tiny_config: TrainingConfig, tmp_path: Path
) -> None:
    said: list[str] = []
    found = Selection(tiny_preparation, tiny_config, said.append)
    bundle = found.run(tmp_path / "b")
    tried = {row["label"]: row["score"] for row in found.report()}
    assert list(tried) == ["sasrec", "multvae", "sasrec + ncf", "sasrec + multvae + item_knn + ease + ncf"]
    assert tried["sasrec"] > tried["multvae"] + 0.3
    best = max(tried, key=lambda label: tried[label])
    assert f"chosen by validation: {best}" in said
    assert bundle.manifest.sources[0].model == "sasrec"
    served = bundle.manifest.metrics["valid reranked" if "ncf" in best else "valid retrieved"]
    assert served["NDCG@10"] == tried[best]
    assert json.loads((tmp_path / "b" / "selection.json").read_text()) == found.report()


@pytest.mark.usefixtures("two")
def test_a_retriever_that_diverges_is_passed_over(
    tiny_preparation: Preparation, tiny_config: TrainingConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn = Pipeline.learn

    def diverging(self: Pipeline, checkpoint: Checkpoint | None = None) -> Learned:
        if self.config.retriever.model == "multvae":
            raise DivergedError("the loss is nan at step 3")
        return learn(self, checkpoint)

    monkeypatch.setattr(Pipeline, "learn", diverging)
    said: list[str] = []
    found = Selection(tiny_preparation, tiny_config, said.append)
    assert found.best().trial.config.retriever.model == "sasrec"
    assert found.report()[1] == {"label": "multvae", "error": "the loss is nan at step 3"}
    assert "multvae cannot be trained: the loss is nan at step 3" in said
    monkeypatch.setattr(selection, "recommended", lambda: ("multvae",))
    with pytest.raises(TrainingError, match="no retriever could be trained"):
        Selection(tiny_preparation, tiny_config, print).best()


@pytest.mark.usefixtures("two")
def test_a_search_that_was_stopped_goes_on(
    tiny_preparation: Preparation, tiny_config: TrainingConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    step, steps = AveragedOptimiser.step, list[int]()

    def counted(self: AveragedOptimiser[nn.Module], loss: torch.Tensor) -> float:
        steps.append(1)
        return step(self, loss)

    def stopped(_: RatingPipeline) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(AveragedOptimiser, "step", counted)
    uninterrupted = Selection(tiny_preparation, tiny_config, print)
    wanted = uninterrupted.run(tmp_path / "a")
    steps.clear()
    with monkeypatch.context() as patch:
        patch.setattr(RatingPipeline, "run", stopped)
        with pytest.raises(KeyboardInterrupt):
            Selection(tiny_preparation, tiny_config, print, tmp_path / "c").run(tmp_path / "b")
    taken = len(steps)
    steps.clear()
    search = Selection(tiny_preparation, tiny_config, print, tmp_path / "c")
    bundle = search.run(tmp_path / "b")
    # Only a stage that early stopping ended has epochs to do again.
    assert len(steps) < taken / 2
    assert [row["score"] for row in search.report()] == [row["score"] for row in uninterrupted.report()]
    assert bundle.manifest.run_digest == wanted.manifest.run_digest
    np.testing.assert_array_equal(bundle.encoded["sasrec"].vectors.outputs, wanted.encoded["sasrec"].vectors.outputs)
    assert not (tmp_path / "c").exists()


@pytest.mark.usefixtures("two")
def test_the_folder_of_another_search_is_refused_as_a_whole(
    tiny_preparation: Preparation, tiny_config: TrainingConfig, tmp_path: Path
) -> None:
    Selection(tiny_preparation, tiny_config, print, tmp_path / "c")
    with pytest.raises(ConfigError, match=r"/c is of other data or another config"):
        Selection(tiny_preparation, tiny_config.model_copy(update={"seed": 9}), print, tmp_path / "c")


@pytest.mark.usefixtures("two")
def test_a_full_disk_ends_the_search(
    tiny_preparation: Preparation, tiny_config: TrainingConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(*_: object) -> None:
        raise TrainingError("c.pt cannot be written; free some disk space")

    monkeypatch.setattr(Checkpoint, "save", full)
    with pytest.raises(TrainingError, match="free some disk space"):
        Selection(tiny_preparation, tiny_config, print, tmp_path / "c").best()


@pytest.mark.usefixtures("two")
def test_without_time_the_first_of_each_stage_is_still_tried(
    tiny_preparation: Preparation, tiny_config: TrainingConfig
) -> None:
    said: list[str] = []
    found = Selection(tiny_preparation, tiny_config, said.append)
    found.best(seconds=0)
    assert [row["label"] for row in found.report()] == ["sasrec", "sasrec + ncf"]
    assert "time is up; multvae is not tried" in said


def test_every_network_but_that_for_ratings_has_a_recipe() -> None:
    assert set(recommended()) == RETRIEVERS.keys() - {"rating_factorisation"}
    assert recommended()[0] == "sasrec"
    for model in recommended():
        assert recipe(model).model == model


def test_nothing_to_choose_by_is_an_error(tiny_config: TrainingConfig) -> None:
    events = markov_chain(10, 6, 2)
    parts = {"train": events.lazy(), "valid": events.filter(pl.lit(value=False)).lazy()}
    preparation = Preparation.of(Dataset("short", parts, None), tiny_config)
    with pytest.raises(DataError, match="no validation events"):
        Selection(preparation, tiny_config, print)
