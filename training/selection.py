"""Selection: the retriever and the ranker that suit the data, chosen by validation only."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any

from engine.errors import DataError
from training.assembly import TrainedStages
from training.config import TrainingConfig, read_toml
from training.pipeline import Pipeline, Say
from training.preparation import Preparation
from training.retriever_config import RetrieverConfig

RETRIEVERS = ("sasrec", "gru4rec", "multvae", "matrix_factorisation", "simplex")
TABLES = ("item_knn", "ease")
RANKERS = ("ncf", "target_attention")


@dataclass(frozen=True, slots=True)
class Trial:
    """One config that was trained, what validation measured of it, and how long it took."""

    label: str
    config: TrainingConfig
    stages: TrainedStages
    score: float


class Selection:
    """Tries the retrievers of configs/ alone, then rankers and blends on top of the best of them."""

    def __init__(self, preparation: Preparation, base: TrainingConfig, say: Say) -> None:
        if not len(preparation.split.valid):
            raise DataError(f"{preparation.name} has no validation events to choose by; split it, or name a config")
        self._preparation = preparation
        self._base = base
        self._say = say
        self._tried: list[tuple[str, float, float]] = []

    def run(self, seconds: float | None = None) -> Trial:
        """Return the best trial. After `seconds` no further one is begun; the first retriever and ranker always are."""
        ends = time.monotonic() + seconds if seconds is not None else float("inf")
        alone = self._best(self._alone(), ends)
        kept = sorted(alone, key=lambda trial: -trial.score)
        finalists = kept[:1] + self._best(self._ranked(kept), ends)
        best = max(finalists, key=lambda trial: trial.score)
        self._say(f"chosen by validation: {best.label}")
        tried = {"selection.json": json.dumps(self.report(), indent=1).encode()}
        return replace(best, stages=replace(best.stages, attachments=tried))

    def report(self) -> list[dict[str, Any]]:
        """Return what was tried: label, validation score, seconds."""
        return [{"label": label, "score": score, "seconds": round(took, 1)} for label, score, took in self._tried]

    def _best(self, configs: Iterator[tuple[str, TrainingConfig]], ends: float) -> list[Trial]:
        trials: list[Trial] = []
        for label, config in configs:
            if trials and time.monotonic() > ends:
                self._say(f"time is up; {label} is not tried")
                continue
            trials.append(self._try(label, config))
        return trials

    def _try(self, label: str, config: TrainingConfig) -> Trial:
        stages = Pipeline(self._preparation, config, self._say).train()
        measured = stages.metrics.get("valid reranked" if stages.ranker is not None else "valid retrieved", {})
        score = measured[config.metric]
        self._tried.append((label, score, stages.seconds))
        self._say(f"{label}: validation {config.metric} {score:.4f} after {stages.seconds:.0f} s")
        return Trial(label, config, stages, score)

    def _alone(self) -> Iterator[tuple[str, TrainingConfig]]:
        no_ranker = self._base.ranker.model_copy(update={"model": "none"})
        for model in RETRIEVERS:
            update = {"retriever": recipe(model), "sources": (), "ranker": no_ranker}
            yield model, self._base.model_copy(update=update)

    def _ranked(self, retrievers: list[Trial]) -> Iterator[tuple[str, TrainingConfig]]:
        if self._base.ranker.model == "none":
            return
        first, *others = retrievers
        blended = tuple(other.config.retriever for other in others[:1])
        blended += tuple(RetrieverConfig(model=model, depth=100) for model in TABLES)
        for model in RANKERS:
            ranker = self._base.ranker.model_copy(update={"model": model})
            update: dict[str, Any] = {"retriever": first.config.retriever, "ranker": ranker, "sources": ()}
            yield f"{first.label} + {model}", self._base.model_copy(update=update)
        update = {"retriever": first.config.retriever, "ranker": self._base.ranker, "sources": blended}
        names = " + ".join(source.source_name for source in blended)
        yield f"{first.label} + {names} + {self._base.ranker.model}", self._base.model_copy(update=update)


def recipe(model: str) -> RetrieverConfig:
    """Return how configs/ trains a network."""
    section: Mapping[str, Any] = read_toml(files("configs").joinpath(f"{model}.toml"))["retriever"]
    return RetrieverConfig.model_validate(section)
