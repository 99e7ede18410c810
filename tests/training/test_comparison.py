"""Several configs on one split: a table with intervals and costs, and a picture."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from worlds import markov_chain

from engine.errors import ConfigError, DataError
from training.comparison import Comparison, compare
from training.config import TrainingConfig
from training.dataset import Dataset

RING = Dataset("ring", {"all": markov_chain().lazy()}, None)


@pytest.fixture(scope="module")
def quick(tiny_config: TrainingConfig) -> TrainingConfig:
    no_ranker = tiny_config.ranker.model_copy(update={"model": "none"})
    return tiny_config.model_copy(update={"ranker": no_ranker, "report": False})


@pytest.fixture(scope="module")
def configs(quick: TrainingConfig) -> dict[str, TrainingConfig]:
    lazy = quick.retriever.model_copy(update={"epochs": 1, "learning_rate": 1e-5})
    return {"good": quick, "lazy": quick.model_copy(update={"retriever": lazy})}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("c")


@pytest.fixture(scope="module")
def comparison(configs: dict[str, TrainingConfig], folder: Path) -> Comparison:
    return compare(RING, configs, folder, print)


def test_the_one_that_learned_is_best_and_the_other_no_match(comparison: Comparison) -> None:
    assert [each.label for each in comparison.contenders] == ["popularity", "item-kNN", "EASE", "good", "lazy"]
    assert comparison.best.label == "good"
    p_values = comparison.p_values()
    assert p_values["good"] == 1.0
    assert p_values["lazy"] < 0.01


def test_rows_say_what_they_cost(comparison: Comparison) -> None:
    good = comparison.contenders[3]
    assert good.parameters > 24 * 16
    assert good.bytes > 10_000
    assert good.microseconds > 0
    low, high = good.examination.intervals["NDCG@10"]
    assert low <= good.examination.means["NDCG@10"] <= high


def test_table_and_picture_are_saved(comparison: Comparison, tmp_path: Path) -> None:
    comparison.save(tmp_path)
    saved = json.loads((tmp_path / "comparison.json").read_text())
    assert saved["best"] == "good"
    assert set(saved["rows"]) == {"popularity", "item-kNN", "EASE", "good", "lazy"}
    assert (tmp_path / "comparison.png").read_bytes().startswith(b"\x89PNG")


def test_what_stands_is_not_trained_again(
    comparison: Comparison, configs: dict[str, TrainingConfig], folder: Path
) -> None:
    said: list[str] = []
    again = compare(RING, {"good": configs["good"]}, folder, said.append)
    assert f"{folder / 'good'} stands already" in said
    assert again.best.examination.means == comparison.best.examination.means


def test_a_bundle_of_another_config_is_not_taken_for_this_one(
    comparison: Comparison, configs: dict[str, TrainingConfig], folder: Path
) -> None:
    with pytest.raises(ConfigError, match="of other data or another config"):
        compare(RING, {"good": configs["lazy"]}, folder, print)


def test_configs_must_cut_the_data_alike(
    quick: TrainingConfig, configs: dict[str, TrainingConfig], folder: Path
) -> None:
    other = quick.model_copy(update={"cleaning": quick.cleaning.model_copy(update={"min_item_events": 50})})
    with pytest.raises(DataError, match="other cleans or splits ring differently"):
        compare(RING, {"good": configs["good"], "other": other}, folder, print)


def test_the_name_of_a_baseline_is_taken(quick: TrainingConfig, folder: Path) -> None:
    with pytest.raises(ConfigError, match="'popularity' is what a baseline is called"):
        compare(RING, {"popularity": quick}, folder, print)


def test_one_metric_decides(configs: dict[str, TrainingConfig], quick: TrainingConfig, folder: Path) -> None:
    other = quick.model_copy(update={"metric": "HR@10"})
    with pytest.raises(ConfigError, match="different metrics"):
        compare(RING, {"good": configs["good"], "other": other}, folder, print)
