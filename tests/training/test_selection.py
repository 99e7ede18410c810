"""The choice of retriever and ranker goes by validation."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from worlds import markov_chain

from engine.errors import DataError
from training import selection
from training.config import TrainingConfig
from training.dataset import Dataset
from training.pipeline import Pipeline
from training.preparation import Preparation
from training.retriever_config import RetrieverConfig
from training.selection import Selection, recipe


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch, tiny_config: TrainingConfig) -> None:
    """Two retrievers: one that can learn the ring, one that is not trained enough to."""
    quick = {"sasrec": tiny_config.retriever, "multvae": RetrieverConfig(model="multvae", epochs=1, learning_rate=1e-5)}
    monkeypatch.setattr(selection, "RETRIEVERS", tuple(quick))
    monkeypatch.setattr(selection, "RANKERS", ("ncf",))
    monkeypatch.setattr(selection, "recipe", quick.get)


@pytest.mark.usefixtures("two")
def test_the_best_on_validation_is_chosen_and_the_tries_are_told(
    tiny_preparation: Preparation, tiny_config: TrainingConfig, tmp_path: Path
) -> None:
    said: list[str] = []
    found = Selection(tiny_preparation, tiny_config, said.append)
    trial = found.run()
    tried = {row["label"]: row["score"] for row in found.report()}
    assert list(tried) == ["sasrec", "multvae", "sasrec + ncf", "sasrec + multvae + item_knn + ease + ncf"]
    assert tried["sasrec"] > tried["multvae"] + 0.3
    assert trial.score == max(tried.values())
    assert f"chosen by validation: {trial.label}" in said
    bundle = Pipeline(tiny_preparation, trial.config, print).publish(trial.stages, tmp_path / "b")
    assert bundle.manifest.sources[0].model == "sasrec"
    assert json.loads((tmp_path / "b" / "selection.json").read_text()) == found.report()


@pytest.mark.usefixtures("two")
def test_without_time_the_first_of_each_stage_is_still_tried(
    tiny_preparation: Preparation, tiny_config: TrainingConfig
) -> None:
    said: list[str] = []
    found = Selection(tiny_preparation, tiny_config, said.append)
    found.run(seconds=0)
    assert [row["label"] for row in found.report()] == ["sasrec", "sasrec + ncf"]
    assert "time is up; multvae is not tried" in said


@pytest.mark.parametrize("model", selection.RETRIEVERS)
def test_every_candidate_has_a_recipe(model: str) -> None:
    assert recipe(model).model == model


def test_nothing_to_choose_by_is_an_error(tiny_config: TrainingConfig) -> None:
    events = markov_chain(10, 6, 2)
    parts = {"train": events.lazy(), "valid": events.filter(pl.lit(value=False)).lazy()}
    preparation = Preparation.of(Dataset("short", parts, None), tiny_config)
    with pytest.raises(DataError, match="no validation events"):
        Selection(preparation, tiny_config, print)
