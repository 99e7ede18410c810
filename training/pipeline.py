"""Pipeline: both stages learn from one preparation, and a bundle comes out."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from engine.bundle import Bundle
from engine.items import ItemTable
from engine.recommender import Recommender
from engine.window import HistoryColumns
from models import NCF, UserEncoder
from training.assembly import Assembly, TrainedStages
from training.config import TrainingConfig
from training.curve import CurvePoint
from training.evaluation import Evaluation
from training.interactions import Interactions
from training.item_neighbours import EASE_UP_TO
from training.item_statistics import ItemStatistics
from training.preparation import Preparation
from training.ranker_training import CandidateLists, RankerTraining
from training.retriever_training import RetrieverTraining
from training.torch_stages import TorchEncoder, TorchRanker, item_index, item_table

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class _Lesson:
    """What the ranker learns from: candidate lists, the items they came from, and the retriever that made them."""

    lists: CandidateLists
    items: ItemTable
    encoder: UserEncoder
    curve: list[CurvePoint]


class Pipeline:
    """Trains a retriever and a ranker and writes the bundle. `say` is told what a person should know."""

    def __init__(self, preparation: Preparation, config: TrainingConfig, say: Say) -> None:
        self._say = say
        self._preparation = preparation
        self._config = _within_reach(config, len(preparation.vocabulary), say)
        split = preparation.split
        self._interactions = Interactions.of(split.train, preparation.vocabulary, preparation.window)
        self._evaluation = Evaluation.of(split.train, split.valid, config.validation_users, config.seed)
        self._retriever_training = RetrieverTraining(self._config, preparation.window, preparation.vocabulary)

    def run(self, folder: Path) -> Bundle:
        """Train, export, prove and publish; the folder appears only when all of it is done."""
        torch.manual_seed(self._config.seed)
        torch.set_num_threads(self._config.threads or max((os.cpu_count() or 1) // 2, 1))
        statistics = ItemStatistics.of(self._interactions, self._interactions.columns, self._config)
        stages = self._train(statistics)
        return Assembly(self._preparation, self._config, statistics).bundle(stages).save(folder)

    def _train(self, statistics: ItemStatistics) -> TrainedStages:
        lesson = self._lesson() if self._can_teach() else None
        encoder, curve = self._train_retriever(statistics, lesson)
        recommender = self._recommender(encoder, statistics)
        metrics = {"valid retrieved": self._evaluation.measure(recommender)}
        if lesson is None:
            return TrainedStages(encoder, None, metrics, curve)
        if not len(lesson.lists.right):
            self._say("no held-out item is among its candidates, so the bundle has no ranker")
            return TrainedStages(encoder, None, metrics, curve)
        trained = RankerTraining(self._config).run(lesson.lists, lesson.items, recommender, self._evaluation)
        metrics["valid reranked"] = self._evaluation.measure(self._recommender(encoder, statistics, trained.network))
        ranker: NCF | None = trained.network
        is_better = metrics["valid reranked"]["NDCG@10"] > metrics["valid retrieved"]["NDCG@10"]
        if not is_better and self._config.ranker.keep == "if_better":
            self._say("the ranker does not beat the retriever on validation, so the bundle has none")
            ranker = None
        return TrainedStages(encoder, ranker, metrics, curve + trained.curve)

    def _can_teach(self) -> bool:
        if self._config.ranker.model == "none":
            return False
        longest = int(np.diff(self._interactions.columns.offsets).max())
        if longest < 4 or not len(self._evaluation):
            self._say("histories are too short to hold events out of them, so the bundle has no ranker")
            return False
        return True

    def _lesson(self) -> _Lesson:
        """Train on all but the held-out events, and retrieve candidates where those events came next.

        A retriever is over-confident on what it was trained on; a ranker that learned there would learn to trust it.
        """
        ranker = self._config.ranker
        earlier = self._interactions.without_newest(ranker.held_out)
        first = self._retriever_training.run(earlier, None, ranker.first_epochs, "first retriever")
        statistics = ItemStatistics.of(self._interactions, earlier, self._config)
        recommender = self._recommender(first.network, statistics)
        histories, targets = self._interactions.prefixes(ranker.held_out, ranker.most_lists, self._config.seed)
        lists = RankerTraining(self._config).lists(recommender, histories, targets)
        return _Lesson(lists, recommender.items, first.network, first.curve)

    def _train_retriever(
        self, statistics: ItemStatistics, lesson: _Lesson | None
    ) -> tuple[UserEncoder, list[CurvePoint]]:
        validate = None
        if len(self._evaluation):
            validate = self._retriever_training.validator(self._evaluation, statistics.columns)
        start = lesson.encoder if lesson else None
        columns: HistoryColumns = self._interactions.columns
        trained = self._retriever_training.run(columns, validate, self._config.retriever.epochs, "retriever", start)
        return trained.network, (lesson.curve if lesson else []) + trained.curve

    def _recommender(self, encoder: UserEncoder, statistics: ItemStatistics, ranker: NCF | None = None) -> Recommender:
        config = self._config
        items = item_table(encoder, self._preparation.vocabulary, statistics.columns, statistics.neighbours)
        return Recommender(
            items,
            self._preparation.window,
            TorchEncoder(encoder, config.device),
            item_index(items),
            retriever_name=config.retriever.model,
            depth=config.retriever.depth,
            ranker=TorchRanker(ranker, config.ranker.features, items, config.device) if ranker else None,
        )


def _within_reach(config: TrainingConfig, item_count: int, say: Say) -> TrainingConfig:
    dropped = [name for name in config.ranker.features if name.startswith("ease")]
    if not dropped or item_count <= EASE_UP_TO or config.ranker.model == "none":
        return config
    say(f"{item_count:,} items are too many for EASE (up to {EASE_UP_TO:,}); the ranker goes without {dropped}")
    kept = tuple(name for name in config.ranker.features if name not in dropped)
    return config.model_copy(update={"ranker": config.ranker.model_copy(update={"features": kept})})
