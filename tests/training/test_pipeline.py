"""Training on worlds with a known answer finds that answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from worlds import checkerboard

from engine.bundle import Bundle
from engine.events import Event, History
from engine.query import Query
from training.config import TrainingConfig
from training.dataset import Dataset
from training.evaluation import Evaluation
from training.pipeline import Pipeline
from training.preparation import Preparation


def walk(*items: int) -> History:
    return History(tuple(Event("u", f"item {item}", "rating", 4.0, 1_000.0 * step) for step, item in enumerate(items)))


def test_the_retriever_learns_the_ring(opened: Bundle) -> None:
    recommender = opened.recommender().without_ranker()
    answers = recommender.recommend([Query(walk(*range(start, start + 5)), 1) for start in range(15)])
    found = [answer.items[0].item_id for answer in answers]
    assert found == [f"item {start + 5}" for start in range(15)]


def test_the_served_list_puts_the_successor_first(opened: Bundle) -> None:
    assert opened.manifest.metrics["test retrieved"]["HR@5"] > 0.9
    answers = opened.recommender().recommend([Query(walk(*range(start, start + 5)), 3) for start in range(15)])
    hits = [f"item {start + 5}" in {item.item_id for item in answer.items} for start, answer in enumerate(answers)]
    assert np.mean(hits) > 0.9


@pytest.fixture(scope="module")
def board(tiny_config: TrainingConfig, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    config = tiny_config.model_copy(
        update={
            "retriever": tiny_config.retriever.model_copy(update={"epochs": 20}),
            "ranker": tiny_config.ranker.model_copy(update={"model": "none"}),
        }
    )
    preparation = Preparation.of(Dataset("board", {"all": checkerboard().lazy()}, None), config)
    return Pipeline(preparation, config, print).run(tmp_path_factory.mktemp("b") / "board")


def test_the_checkerboard_is_recommended_in_one_colour(board: Bundle) -> None:
    for colour in (0, 1):
        answer = board.recommender().recommend([Query(walk(*range(colour, 10, 2)), 5)])[0]
        assert {int(item.item_id.split()[1]) % 2 for item in answer.items} == {colour}


def test_a_bundle_without_a_ranker_says_so(board: Bundle) -> None:
    assert board.manifest.ranker is None
    assert board.recommender().recommend([Query(walk(0, 2), 3)])[0].source == "retrieval"


def test_the_same_seed_gives_the_same_networks(
    tiny_preparation: Preparation, tiny_config: TrainingConfig, opened: Bundle, tmp_path: Path
) -> None:
    again = Pipeline(tiny_preparation, tiny_config, print).run(tmp_path / "again")
    for name, wanted in opened.encoded.items():
        np.testing.assert_array_equal(again.encoded[name].vectors.outputs, wanted.vectors.outputs)
        np.testing.assert_array_equal(again.encoded[name].vectors.inputs, wanted.vectors.inputs)
    for stage, metrics in opened.manifest.metrics.items():
        assert again.manifest.metrics[stage] == pytest.approx(metrics, abs=1e-6)


def test_validation_and_test_events_teach_nothing(tiny_preparation: Preparation) -> None:
    split = tiny_preparation.split
    held_out = pl.concat([split.valid, split.test]).select("user_id", "item_id")
    assert split.train.join(held_out, on=["user_id", "item_id"], how="semi").is_empty()
    evaluation = Evaluation.of(tiny_preparation.known, split.test)
    for history, wanted in zip(evaluation.histories, evaluation.wanted, strict=True):
        assert not history.seen() & wanted
