"""fit: epochs with validation and early stopping, the same for both stages."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from torch import nn

from training.config import StageConfig
from training.curve import CurvePoint
from training.optimiser import AveragedOptimiser
from training.progress import Progress

NetworkT = TypeVar("NetworkT", bound=nn.Module)
METRIC = "NDCG@10"


@dataclass(frozen=True, slots=True)
class TrainedStage(Generic[NetworkT]):
    """The network that a stage ends with, and how it learned."""

    network: NetworkT
    curve: list[CurvePoint]


class _Best(Generic[NetworkT]):
    """The best network so far by validation NDCG@10; before any validation, the one that is being trained."""

    def __init__(self, network: NetworkT) -> None:
        self.network = network
        self.score = -1.0
        self.waited = 0

    def note(self, network: NetworkT, metrics: Mapping[str, float]) -> None:
        if metrics[METRIC] > self.score:
            self.network, self.score, self.waited = copy.deepcopy(network), metrics[METRIC], 0
        else:
            self.waited += 1


def fit(
    stage: str,
    config: StageConfig,
    epochs: int,
    optimiser: AveragedOptimiser[NetworkT],
    train_epoch: Callable[[], float],
    validate: Callable[[NetworkT], dict[str, float]] | None,
) -> TrainedStage[NetworkT]:
    """Run at most `epochs`; `train_epoch` returns the mean loss. Without `validate` the last network stays."""
    best, curve = _Best(optimiser.average), list[CurvePoint]()
    started = time.perf_counter()
    with Progress(stage, epochs) as progress:
        for epoch in range(1, epochs + 1):
            loss = train_epoch()
            due = epoch % config.validate_every == 0 or epoch == epochs
            metrics = validate(optimiser.average) if validate is not None and due else {}
            seconds = time.perf_counter() - started
            curve.append(CurvePoint(stage, epoch, seconds, loss, optimiser.learning_rate, metrics))
            progress.advance(loss, metrics)
            if metrics:
                best.note(optimiser.average, metrics)
            if best.waited >= config.patience:
                break
    return TrainedStage(best.network, curve)
