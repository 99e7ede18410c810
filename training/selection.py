"""Selection: the retriever and the ranker that suit the data, chosen by validation only."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from engine.bundle import Bundle
from engine.errors import DataError, DivergedError, TrainingError
from models import RANKERS, RETRIEVERS
from training.checkpoint import Checkpoint
from training.config import TrainingConfig, read_toml
from training.pipeline import Learned, Pipeline, Say
from training.preparation import Preparation
from training.retriever_config import RetrieverConfig

TABLES = ("item_knn", "ease")


@dataclass(frozen=True, slots=True)
class Trial:
    """One config that was tried, and the validation metric of the lists that it would serve."""

    label: str
    config: TrainingConfig
    score: float


@dataclass(frozen=True, slots=True)
class _Kept:
    """The best trial so far, with all that is needed to finish it; of the others nothing stays in memory."""

    trial: Trial
    pipeline: Pipeline
    learned: Learned
    checkpoint: Checkpoint | None


class Selection:
    """Tries the retrievers of configs/ alone, then rankers and blends on top of the best of them.

    With a folder, each trial keeps its state in a folder of its own there, and a search that was stopped goes on.
    """

    def __init__(
        self, preparation: Preparation, base: TrainingConfig, say: Say, checkpoints: Path | None = None
    ) -> None:
        if not len(preparation.split.valid):
            raise DataError(f"{preparation.name} has no validation events to choose by; split it, or name a config")
        self._preparation = preparation
        self._base = base
        self._say = say
        self._data = preparation.fingerprint()
        # It is for the whole of the search that a folder must be of this data and this config.
        self._folder = Checkpoint(checkpoints, base.resumable_digest(self._data)) if checkpoints else None
        self._tried: list[dict[str, Any]] = []
        self._kept: _Kept | None = None

    def run(self, folder: Path, seconds: float | None = None) -> Bundle:
        """Train the best config to its end and publish it. After `seconds` only the first trial of a kind is begun.

        Raises TrainingError if no retriever can be trained.
        """
        best = self.best(seconds)
        tried = {"selection.json": json.dumps(self._tried, indent=1).encode()}
        stages = replace(best.pipeline.finish(best.learned, best.checkpoint), attachments=tried)
        bundle = best.pipeline.publish(stages, folder)
        if self._folder is not None:
            self._folder.remove()
        return bundle

    def best(self, seconds: float | None = None) -> _Kept:
        """Return what validation prefers."""
        ends = time.monotonic() + seconds if seconds is not None else float("inf")
        alone = self._trials(self._alone(), ends)
        self._trials(self._ranked(sorted(alone, key=lambda trial: -trial.score)), ends)
        if self._kept is None:
            raise TrainingError("no retriever could be trained; see above why, and lower their learning rates")
        self._say(f"chosen by validation: {self._kept.trial.label}")
        return self._kept

    def report(self) -> list[dict[str, Any]]:
        """Return what was tried: label, validation score, seconds; or the error that ended it."""
        return self._tried

    def _trials(self, configs: Iterator[tuple[str, TrainingConfig]], ends: float) -> list[Trial]:
        trials: list[Trial] = []
        for label, config in configs:
            if trials and time.monotonic() > ends:
                self._say(f"time is up; {label} is not tried")
                continue
            try:
                trials.append(self._try(label, config))
            except DivergedError as error:
                # One that diverges is no candidate; the others are.
                self._tried.append({"label": label, "error": str(error)})
                self._say(f"{label} cannot be trained: {error}")
        return trials

    def _try(self, label: str, config: TrainingConfig) -> Trial:
        checkpoint = self._checkpoint(label, config)
        pipeline = Pipeline(self._preparation, config, self._say)
        learned = pipeline.learn(checkpoint)
        trial = Trial(label, config, learned.served[config.metric])
        seconds = pipeline.seconds + (checkpoint.resumed_seconds if checkpoint is not None else 0.0)
        self._tried.append({"label": label, "score": trial.score, "seconds": round(seconds, 1)})
        self._say(f"{label}: validation {config.metric} {trial.score:.4f} after {seconds:.0f} s")
        if self._kept is None or trial.score > self._kept.trial.score:
            self._kept = _Kept(trial, pipeline, learned, checkpoint)
        return trial

    def _checkpoint(self, label: str, config: TrainingConfig) -> Checkpoint | None:
        if self._folder is None:
            return None
        return Checkpoint(self._folder.folder / label, config.resumable_digest(self._data))

    def _alone(self) -> Iterator[tuple[str, TrainingConfig]]:
        no_ranker = self._base.ranker.model_copy(update={"model": "none"})
        for model in recommended():
            update = {"retriever": recipe(model), "sources": (), "ranker": no_ranker}
            yield model, self._base.model_copy(update=update)

    def _ranked(self, retrievers: list[Trial]) -> Iterator[tuple[str, TrainingConfig]]:
        if self._base.ranker.model == "none" or not retrievers:
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


def recommended() -> tuple[str, ...]:
    """Return the networks that configs/ has a recipe for as retrievers."""
    return tuple(model for model in RETRIEVERS if "retriever" in _recipe(model))


def recipe(model: str) -> RetrieverConfig:
    """Return how configs/ trains a network."""
    return RetrieverConfig.model_validate(_recipe(model)["retriever"])


def _recipe(model: str) -> Mapping[str, Any]:
    return read_toml(files("configs").joinpath(f"{model}.toml"))
