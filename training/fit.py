"""fit: epochs with validation, early stopping and checkpoints, the same for every stage."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Generic, TypeVar

from torch import nn

from training.checkpoint import Checkpoint
from training.curve import CurvePoint
from training.optimiser import AveragedOptimiser
from training.progress import Progress
from training.randomness import Randomness
from training.stage_config import StageConfig

NetworkT = TypeVar("NetworkT", bound=nn.Module)
ERRORS = ("RMSE", "MAE")
Watch = Callable[[str, int, Mapping[str, float]], None]


@dataclass(frozen=True, slots=True)
class TrainedStage(Generic[NetworkT]):
    """The network that a stage ends with, after how many epochs it was that, and how it learned."""

    network: NetworkT
    epochs: int
    curve: list[CurvePoint]


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of training: its name, the metric that it is judged by, its draws, and where it is kept."""

    name: str
    metric: str
    randomness: Randomness
    checkpoint: Checkpoint | None = None
    watch: Watch | None = None


class _Best(Generic[NetworkT]):
    """The best network so far by the metric; before any validation, the one that is being trained."""

    def __init__(self, network: NetworkT, metric: str) -> None:
        self.network = network
        self.metric = metric
        self.score = -float("inf")
        self.epoch = 0
        self.waited = 0

    def note(self, network: NetworkT, epoch: int, metrics: Mapping[str, float]) -> None:
        score = -metrics[self.metric] if self.metric in ERRORS else metrics[self.metric]
        if score > self.score:
            self.network, self.score, self.epoch, self.waited = copy.deepcopy(network), score, epoch, 0
        else:
            self.waited += 1

    def state(self) -> dict[str, Any]:
        numbers = {"score": self.score, "epoch": self.epoch, "waited": self.waited}
        return {"network": self.network.state_dict(), **numbers}

    def restore(self, state: dict[str, Any]) -> None:
        if state["score"] > -float("inf"):
            self.network = copy.deepcopy(self.network)
            self.network.load_state_dict(state["network"])
        self.score, self.epoch, self.waited = state["score"], state["epoch"], state["waited"]


def fit(
    stage: Stage,
    config: StageConfig,
    epochs: int,
    optimiser: AveragedOptimiser[NetworkT],
    train_epoch: Callable[[], float],
    validate: Callable[[NetworkT], dict[str, float]] | None,
) -> TrainedStage[NetworkT]:
    """Run at most `epochs`; `train_epoch` returns the mean loss. Without `validate` the last network stays.

    With a checkpoint, a run that was stopped goes on after its last saved epoch and ends where it would have ended.
    """
    best, curve = _Best(optimiser.average, stage.metric), list[CurvePoint]()
    done = _restore(stage, optimiser, best, curve)
    started = time.perf_counter() - (curve[-1].seconds if curve else 0.0)
    with Progress(stage.name, epochs, done, stage.metric) as progress:
        for epoch in range(done + 1, epochs + 1):
            if best.waited >= config.patience:
                break
            loss = train_epoch()
            due = epoch % config.validate_every == 0 or epoch == epochs
            metrics = validate(optimiser.average) if validate is not None and due else {}
            seconds = time.perf_counter() - started
            curve.append(CurvePoint(stage.name, epoch, seconds, loss, optimiser.learning_rate, metrics))
            progress.advance(loss, metrics)
            if metrics:
                best.note(optimiser.average, epoch, metrics)
            if metrics and stage.watch is not None:
                stage.watch(stage.name, epoch, metrics)
            if stage.checkpoint is not None and (epoch == epochs or stage.checkpoint.is_due()):
                _save(stage, stage.checkpoint, optimiser, best, curve)
    return TrainedStage(best.network, best.epoch or epochs, curve)


def _save(
    stage: Stage,
    checkpoint: Checkpoint,
    optimiser: AveragedOptimiser[NetworkT],
    best: _Best[NetworkT],
    curve: list[CurvePoint],
) -> None:
    state = {"optimiser": optimiser.state(), "best": best.state(), "randomness": stage.randomness.state()}
    checkpoint.save(stage.name, state | {"curve": [asdict(point) for point in curve]})


def _restore(
    stage: Stage, optimiser: AveragedOptimiser[NetworkT], best: _Best[NetworkT], curve: list[CurvePoint]
) -> int:
    """Take up a saved state and return how many epochs are done."""
    if stage.checkpoint is None or (state := stage.checkpoint.load(stage.name)) is None:
        return 0
    optimiser.restore(state["optimiser"])
    best.restore(state["best"])
    stage.randomness.restore(state["randomness"])
    curve += [CurvePoint(**point) for point in state["curve"]]
    stage.checkpoint.resumed_seconds += curve[-1].seconds
    return curve[-1].epoch
