"""A run that was stopped anywhere goes on to the very same result, and what cannot go on says why."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from interruption import NEVER, Interrupted, assert_same, stopped_at
from torch import nn
from worlds import markov_chain

from engine.errors import ConfigError, TrainingError
from models import RETRIEVERS, UserEncoder
from training.assembly import TrainedStages
from training.checkpoint import Checkpoint
from training.config import TrainingConfig
from training.curve import CurvePoint
from training.dataset import Dataset
from training.fit import Stage, TrainedStage, fit
from training.interactions import Interactions
from training.optimiser import AveragedOptimiser
from training.pipeline import Pipeline
from training.preparation import Preparation
from training.randomness import Randomness
from training.retriever_config import RetrieverConfig
from training.retriever_training import RetrieverTraining

SMALL = {
    "refit": True,
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
    "ratings": {
        "keep": "always",
        "epochs": 2,
        "network": {"width": 2},
        "events_per_batch": 80,
        "refiner": {"model": "ncf", "keep": "always", "epochs": 2, "network": {"hidden": 4}, "hidden_share": 0.7},
    },
}


@pytest.fixture(scope="module")
def preparation() -> Preparation:
    events = markov_chain(users=30, items=12, events=9)
    return Preparation.of(Dataset("ring", {"all": events.lazy()}, None), config())


def config(**changed: object) -> TrainingConfig:
    return TrainingConfig.model_validate(SMALL | changed)


def train(preparation: Preparation, checkpoint: Checkpoint | None) -> TrainedStages:
    return Pipeline(preparation, config(), print).train(checkpoint)


def curve_of(stages: TrainedStages) -> list[tuple[object, ...]]:
    return [(each.stage, each.epoch, each.loss, each.learning_rate, each.metrics) for each in stages.curve]


@pytest.fixture(scope="module")
def uninterrupted(preparation: Preparation) -> TrainedStages:
    return train(preparation, None)


@pytest.fixture(scope="module")
def step_count(uninterrupted: TrainedStages, preparation: Preparation) -> int:
    """How many steps the whole run takes."""
    with pytest.MonkeyPatch.context() as patch:
        steps = stopped_at(patch, NEVER)
        train(preparation, None)
    return len(steps)


@pytest.mark.parametrize("share", [0.02, 0.15, 0.4, 0.6, 0.8, 0.97])
def test_a_run_stopped_anywhere_ends_as_one_that_was_not(
    preparation: Preparation,
    uninterrupted: TrainedStages,
    step_count: int,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    share: float,
) -> None:
    stopped_at(monkeypatch, int(share * step_count))
    with pytest.raises(Interrupted):
        train(preparation, Checkpoint(tmp_path / "c", "digest", every_seconds=0))
    steps = stopped_at(monkeypatch, NEVER)
    found = train(preparation, Checkpoint(tmp_path / "c", "digest", every_seconds=0))
    # It went on and did not start afresh: only the epoch that was cut off is done again.
    assert len(steps) < step_count - 0.8 * share * step_count + 20
    assert found.encoders.keys() == uninterrupted.encoders.keys() == {"sasrec", "multvae"}
    for name, network in uninterrupted.encoders.items():
        assert_same(found.encoders[name], network)
    assert_same(found.ranker, uninterrupted.ranker)
    assert_same(found.ratings.network, uninterrupted.ratings.network)
    assert_same(found.ratings.refiner, uninterrupted.ratings.refiner)
    assert curve_of(found) == curve_of(uninterrupted)
    assert found.metrics == uninterrupted.metrics


@pytest.mark.parametrize("name", sorted(RETRIEVERS))
def test_a_stage_of_any_network_goes_on(name: str, preparation: Preparation, tmp_path: Path) -> None:
    chosen = RetrieverConfig(model=name, epochs=4, events_per_batch=80, validate_every=1, patience=9)
    interactions = Interactions.of(preparation.split.train, preparation.vocabulary, preparation.window)
    training = RetrieverTraining(config(), chosen, preparation.window, interactions)

    def run(checkpoint: Checkpoint | None, stop: int = 9) -> TrainedStage[UserEncoder]:
        validated: list[UserEncoder] = []

        def validate(network: UserEncoder) -> dict[str, float]:
            validated.append(network)
            if len(validated) == stop:
                raise Interrupted
            return {"NDCG@10": float(network.item_vectors().detach().square().sum())}

        stage = Stage(name, "NDCG@10", Randomness(1, name), checkpoint)
        return training.run(interactions.columns, validate, chosen.epochs, stage)

    wanted = run(None)
    with pytest.raises(Interrupted):
        run(Checkpoint(tmp_path, "digest", every_seconds=0), stop=3)
    # What a stopped process leaves behind in torch must not matter.
    torch.rand(7)
    found = run(Checkpoint(tmp_path, "digest", every_seconds=0))
    assert_same(found.network, wanted.network)
    assert [(each.epoch, each.loss, each.metrics) for each in found.curve] == [
        (each.epoch, each.loss, each.metrics) for each in wanted.curve
    ]


def fitted(folder: Path, losses: list[float], patience: int = 9) -> TrainedStage[nn.Linear]:
    """Fit one number with the given factors as losses, one step an epoch."""
    torch.manual_seed(0)
    chosen = TrainingConfig().retriever.model_copy(update={"patience": patience, "validate_every": 1})
    optimiser = AveragedOptimiser(nn.Linear(1, 1, bias=False), chosen, len(losses))

    def epoch() -> float:
        return optimiser.step(losses[optimiser.step_count] * optimiser.network.weight.square().sum())

    stage = Stage("one number", "NDCG@10", Randomness(1, "x"), Checkpoint(folder, "digest", every_seconds=0))
    return fit(stage, chosen, len(losses), optimiser, epoch, lambda _network: {"NDCG@10": 0.5})


def test_a_loss_that_is_no_number_names_the_step_and_leaves_the_last_good_epoch(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"loss is nan at step 3.*lower learning_rate.*last saved epoch"):
        fitted(tmp_path, [1.0, 1.0, 1.0, float("nan"), 1.0])
    state = Checkpoint(tmp_path, "digest").load("one number")
    assert state is not None
    assert state["optimiser"]["step_count"] == 3
    found = fitted(tmp_path, [9.0, 9.0, 9.0, 1.0, 1.0])
    assert [each.epoch for each in found.curve] == [1, 2, 3, 4, 5]
    assert found.curve[2].loss < found.curve[0].loss < 2.0


def test_patience_goes_on_where_it_was(tmp_path: Path) -> None:
    with pytest.raises(TrainingError):
        fitted(tmp_path, [1.0, 1.0, float("nan"), 1.0, 1.0, 1.0], patience=2)
    # The second epoch was the first of two without a better result.
    assert len(fitted(tmp_path, [1.0] * 6, patience=2).curve) == 3


def test_the_first_and_the_last_epoch_are_saved_however_little_time_has_passed(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path, "digest")
    assert checkpoint.is_due()
    checkpoint.save("another", {})
    assert not checkpoint.is_due()
    optimiser = AveragedOptimiser(nn.Linear(1, 1), TrainingConfig().retriever, 3)
    stage = Stage("one", "NDCG@10", Randomness(1, "x"), checkpoint)
    fit(stage, TrainingConfig().retriever, 3, optimiser, lambda: 1.0, None)
    state = checkpoint.load("one")
    assert state is not None
    assert [CurvePoint(**point).epoch for point in state["curve"]] == [1, 2, 3]


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    Checkpoint(tmp_path / "c", config().digest("data"))
    with pytest.raises(ConfigError, match=r"c is of other data or another config; delete it to start afresh"):
        Checkpoint(tmp_path / "c", config(seed=2).digest("data"))
    with pytest.raises(ConfigError, match="other data"):
        Checkpoint(tmp_path / "c", config().digest("other data"))
    Checkpoint(tmp_path / "c", config(threads=2).digest("data"))


def test_a_removed_checkpoint_leaves_nothing(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "c", "digest")
    checkpoint.save("a stage", {"x": torch.zeros(3)})
    checkpoint.remove()
    assert list(tmp_path.iterdir()) == []


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """Let no file grow beyond `size` bytes, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_named_and_what_was_saved_stays(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "c", "digest")
    checkpoint.save("sasrec, first", {"x": torch.ones(3)})
    before = sorted(path.name for path in (tmp_path / "c").iterdir())
    with (
        files_up_to(100_000),
        pytest.raises(TrainingError, match=r"sasrec%2C%20first\.pt cannot be written .*free some disk"),
    ):
        checkpoint.save("sasrec, first", {"x": torch.zeros(1_000_000)})
    assert sorted(path.name for path in (tmp_path / "c").iterdir()) == before
    state = checkpoint.load("sasrec, first")
    assert state is not None
    assert torch.equal(state["x"], torch.ones(3))
