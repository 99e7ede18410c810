"""The parts of a training run: optimiser, batches, data that stops it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn
from worlds import markov_chain

from engine.errors import DataError, TrainingError
from training.config import TrainingConfig
from training.curve import CurvePoint, curves_json
from training.dataset import Dataset
from training.optimiser import AveragedOptimiser
from training.pipeline import Pipeline
from training.preparation import Preparation
from training.report.curve_drawing import curves_png
from training.retriever_training import _cuts


def test_the_average_follows_the_weights() -> None:
    network = nn.Linear(2, 1, bias=False)
    optimiser = AveragedOptimiser(network, TrainingConfig().retriever, total_steps=200)
    for _ in range(200):
        optimiser.step((network.weight - 3.0).square().sum())
    difference = (optimiser.average.weight - network.weight).abs().max()
    assert 0 < difference < (3.0 - optimiser.average.weight).abs().max()


class Counting(nn.Module):
    """Counts its training passes, as a network that anneals something does; its draws of masks never change."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.register_buffer("passes", torch.zeros((), dtype=torch.long))
        self.register_buffer("masks", torch.zeros(3), persistent=False)

    def forward(self) -> torch.Tensor:
        self.passes += 1
        return self.weight.square()


def test_what_a_network_counts_is_the_average_s_too() -> None:
    network = Counting()
    optimiser = AveragedOptimiser(network, TrainingConfig().retriever, total_steps=5)
    for _ in range(3):
        optimiser.step(network())
    assert optimiser.average.passes == network.passes == 3
    again = AveragedOptimiser(Counting(), TrainingConfig().retriever, total_steps=5)
    again.restore(optimiser.state())
    again.step(again.network())
    assert again.average.passes == again.network.passes == 4


def test_the_learning_rate_warms_up_and_falls() -> None:
    config = TrainingConfig().retriever
    network = nn.Linear(2, 1)
    optimiser = AveragedOptimiser(network, config, total_steps=500)
    rates = []
    for _ in range(500):
        rates.append(optimiser.learning_rate)
        optimiser.step(network(torch.ones(1, 2)).sum())
    assert rates[0] < rates[config.warmup_steps] > rates[-1] > 0
    assert max(rates) <= config.learning_rate


def test_a_loss_that_is_no_number_stops_training_and_says_where() -> None:
    optimiser = AveragedOptimiser(nn.Linear(2, 1), TrainingConfig().retriever, total_steps=5)
    with pytest.raises(TrainingError, match=r"loss is nan at step 0, with learning rate 0\.\d+.*lower learning_rate"):
        optimiser.step(torch.tensor(float("nan")))


def test_a_gradient_that_is_no_number_stops_training_before_it_is_taken() -> None:
    network = nn.Linear(2, 1, bias=False)
    optimiser = AveragedOptimiser(network, TrainingConfig().retriever, total_steps=5)
    optimiser.step(network(torch.ones(1, 2)).sum())
    before = network.weight.detach().clone()
    with pytest.raises(TrainingError, match=r"gradient is (nan|inf) at step 1, .*lower learning_rate"):
        # At zero the root is zero and its slope infinite.
        optimiser.step((0.0 * network.weight).sum().sqrt())
    assert torch.equal(network.weight, before)


@pytest.mark.parametrize("budget", [1, 7, 50, 10_000])
def test_batches_hold_every_row_and_keep_to_the_budget(budget: int) -> None:
    lengths = np.sort(np.random.default_rng(0).integers(2, 20, 100))
    cuts = _cuts(lengths, budget)
    assert [row for start, stop in cuts for row in range(start, stop)] == list(range(100))
    assert all((stop - start) * lengths[stop - 1] <= budget or stop - start == 1 for start, stop in cuts)


def test_curves_are_a_picture_and_numbers() -> None:
    points = [CurvePoint("retriever", epoch, 1.0, 2.0, 0.1, {"NDCG@10": 0.1}) for epoch in (1, 2)]
    assert curves_png(points, "NDCG@10").startswith(b"\x89PNG")
    assert [point["epoch"] for point in json.loads(curves_json(points))] == [1, 2]


@pytest.mark.parametrize(("users", "items"), [(1, 5), (5, 1)])
def test_too_little_data_is_refused(users: int, items: int, tiny_config: TrainingConfig) -> None:
    events = markov_chain(users, items, 4)
    with pytest.raises(DataError, match="at least two users and two items"):
        Preparation.of(Dataset("small", {"all": events.lazy()}, None), tiny_config)


def test_too_short_histories_give_a_bundle_without_a_ranker(tiny_config: TrainingConfig, tmp_path: Path) -> None:
    said: list[str] = []
    preparation = Preparation.of(Dataset("short", {"all": markov_chain(30, 6, 2).lazy()}, None), tiny_config)
    bundle = Pipeline(preparation, tiny_config, said.append).run(tmp_path / "b")
    assert bundle.manifest.ranker is None
    bundle.probe.check(bundle.recommender())
    assert any("too short" in each for each in said)


def test_users_with_a_single_event_teach_nothing_but_popularity(tiny_config: TrainingConfig, tmp_path: Path) -> None:
    preparation = Preparation.of(Dataset("single", {"all": markov_chain(30, 6, 1).lazy()}, None), tiny_config)
    with pytest.raises(DataError, match=r"no user has two events.*retriever\.model = 'popularity'"):
        Pipeline(preparation, tiny_config, print).run(tmp_path / "network")
    chosen = {"retriever": {"model": "popularity"}, "ranker": {"model": "none"}, "ratings": {"model": "bias"}}
    counted = TrainingConfig.model_validate(chosen)
    bundle = Pipeline(preparation, counted, print).run(tmp_path / "counted")
    bundle.probe.check(bundle.recommender())


def test_a_clock_in_some_parts_only_is_refused(tiny_config: TrainingConfig) -> None:
    events = markov_chain()
    late = events.with_columns(timestamp=pl.lit(None, dtype=pl.Float64))
    parts = {"train": events.lazy(), "valid": late.lazy()}
    with pytest.raises(DataError, match="some have none"):
        Preparation.of(Dataset("half", parts, None), tiny_config)


def test_equal_ratings_need_a_stated_scale(tiny_config: TrainingConfig) -> None:
    events = markov_chain().with_columns(value=pl.lit(5.0))
    with pytest.raises(DataError, match=r"every rating is 5\.0; state the scale"):
        Preparation.of(Dataset("fives", {"all": events.lazy()}, None), tiny_config)


def test_an_interrupted_training_leaves_nothing(
    tiny_preparation: Preparation, tiny_config: TrainingConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("training.assembly.export_ranker", interrupt)
    with pytest.raises(KeyboardInterrupt):
        Pipeline(tiny_preparation, tiny_config, print).run(tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("split", ["leave_one_out", "global_time"])
def test_implicit_events_of_any_kind_train(split: str, tiny_config: TrainingConfig, tmp_path: Path) -> None:
    kinds = pl.Series(["view", "purchase"] * 560)
    events = markov_chain().with_columns(kind=kinds, value=pl.lit(None, dtype=pl.Float64))
    window = tiny_config.window.model_copy(update={"event_weights": {"view": 0.3, "purchase": 1.0}})
    sampled = tiny_config.retriever.model_copy(update={"loss": "sampled_softmax", "negatives": 16, "epochs": 3})
    config = tiny_config.model_copy(update={"window": window, "split": split, "retriever": sampled})
    preparation = Preparation.of(Dataset("views", {"all": events.lazy()}, None), config)
    bundle = Pipeline(preparation, config, print).run(tmp_path / "bundle")
    assert bundle.manifest.ratings is None
    assert bundle.manifest.data.protocol == split
    assert bundle.recommender().ratings is None
