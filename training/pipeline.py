"""Pipeline: the sources and the ranker learn from one preparation, and a bundle comes out."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from engine.bundle import Bundle
from engine.errors import ConfigError
from engine.features import source_features
from engine.recommender import Recommender
from engine.window import HistoryColumns
from models import RankerNetwork, UserEncoder
from models.hybrid_encoder import HybridEncoder
from training.assembly import Assembly, TrainedStages
from training.checkpoint import Checkpoint
from training.cold_candidates import ColdCandidates
from training.config import TrainingConfig
from training.content_pipeline import ContentPipeline, LearnedContent
from training.curve import CurvePoint
from training.deep_content import RANKING
from training.evaluation import Evaluation
from training.fit import Stage, TrainedStage, Watch
from training.interactions import Interactions
from training.item_statistics import ItemStatistics
from training.precision import settled
from training.preparation import Preparation
from training.randomness import Randomness
from training.ranker_training import CandidateLists, RankerTraining
from training.rating_pipeline import RatingPipeline, TrainedRatings
from training.ratings_config import BIAS
from training.reach import within_reach
from training.recommenders import Encoders, Recommenders, first_vectors
from training.retriever_config import RetrieverConfig
from training.retriever_training import RetrieverTraining, Validate

Say = Callable[[str], None]
REFIT = ", refit"


@dataclass(frozen=True, slots=True)
class _Lesson:
    """What the ranker learns from: candidate lists, and the networks that made them."""

    lists: CandidateLists
    encoders: Encoders


@dataclass(frozen=True, slots=True)
class Learned:
    """What validation can judge: the counts, each source's network with what it began as, and the ranker."""

    statistics: ItemStatistics
    sources: Mapping[str, TrainedStage[UserEncoder]]
    starts: Encoders
    ranker: RankerNetwork | None
    served: Mapping[str, float]
    """What validation measured of the lists that would be served."""
    content: LearnedContent | None = None

    @property
    def encoders(self) -> Encoders:
        """The network of each source."""
        return {name: each.network for name, each in self.sources.items()}


class Pipeline:
    """Trains sources and a ranker and writes the bundle. `say` is told what a person should know."""

    def __init__(self, preparation: Preparation, config: TrainingConfig, say: Say, watch: Watch | None = None) -> None:
        """Take the data; `watch` is told of each validation and may stop the run by raising."""
        self._say = say
        self._watch = watch
        self._preparation = preparation
        self._digest = config.digest(preparation.fingerprint())
        split = preparation.split
        self._interactions = preparation.interactions()
        # Without events in valid there is nothing more to learn from.
        config = config.model_copy(update={"refit": config.refit and bool(len(split.valid))})
        self._known = self._interactions
        if config.refit:
            # Made before anything is trained, for what is wrong with the events of valid.
            self._known = Interactions.of(preparation.known, preparation.vocabulary, preparation.window)
        config = settled(config, say)
        self.config = within_reach(config, len(preparation.vocabulary), len(self._known.user_ids), say)
        for each in self.config.networks:
            each.loss_over(len(preparation.vocabulary))
        _check_ratings(config, self._interactions, preparation.name)
        self._evaluation = Evaluation.of(split.train, split.valid, config.validation_users, config.seed)
        self.seconds = 0.0
        self._curve: list[CurvePoint] = []
        self._metrics: dict[str, dict[str, float]] = {}
        self._recommenders = Recommenders(preparation, self.config)

    def run(self, folder: Path, checkpoint: Checkpoint | None = None) -> Bundle:
        """Train, export, prove and publish; the folder appears only when all of it is done."""
        stages = self.train(checkpoint)
        bundle = self.publish(stages, folder)
        if checkpoint is not None:
            checkpoint.remove()
        return bundle

    def publish(self, stages: TrainedStages, folder: Path) -> Bundle:
        """Export trained stages, prove them, and write the bundle."""
        return Assembly(self._preparation, self.config, stages, self._say).bundle().save(folder)

    def train(self, checkpoint: Checkpoint | None = None) -> TrainedStages:
        """Train all stages; what validation measured of them is in the metrics."""
        return self.finish(self.learn(checkpoint), checkpoint)

    def learn(self, checkpoint: Checkpoint | None = None) -> Learned:
        """Train what makes the lists: the sources and the ranker."""
        torch.set_num_threads(self.config.threads or max((os.cpu_count() or 1) // 2, 1))
        started = time.perf_counter()
        statistics = ItemStatistics.of(self._interactions, self._interactions.columns, self.config)
        content = self._learn_content(checkpoint)
        self._recommenders = replace(self._recommenders, content=content)
        lesson = self._lesson(checkpoint) if self._can_teach() else None
        starts = lesson.encoders if lesson is not None else {}
        sources = self._train_sources(statistics, starts, checkpoint)
        recommender = self._recommenders.of({name: each.network for name, each in sources.items()}, statistics)
        served = self._metrics["valid retrieved"] = self._evaluation.measure(recommender.without_ranker())
        ranker = self._train_ranker(lesson, recommender, checkpoint) if lesson is not None else None
        if ranker is not None:
            served = self._metrics["valid reranked"]
        self.seconds += time.perf_counter() - started
        return Learned(statistics, sources, starts, ranker, served, content)

    def finish(self, learned: Learned, checkpoint: Checkpoint | None = None) -> TrainedStages:
        """Train what predicts ratings, and refit if the config says so."""
        started = time.perf_counter()
        ratings = self._train_ratings(learned.statistics, checkpoint)
        encoders, statistics = learned.encoders, learned.statistics
        if self.config.refit:
            encoders, statistics = self._refitted(learned, checkpoint)
        seconds = self.seconds + time.perf_counter() - started
        seconds += checkpoint.resumed_seconds if checkpoint is not None else 0.0
        return TrainedStages(
            statistics,
            encoders,
            learned.ranker,
            ratings,
            self._metrics,
            self._curve,
            seconds,
            self._digest,
            self.config.refit,
            learned.content,
        )

    def _learn_content(self, checkpoint: Checkpoint | None) -> LearnedContent | None:
        if self.config.content.model == "none":
            return None

        def make_stage(name: str) -> Stage:
            return self._stage(f"content {name}", checkpoint, RANKING)

        learned = ContentPipeline(self._preparation, self.config, make_stage, self._say).run(self._interactions)
        self._curve += learned.trained.curve
        self._metrics["rehearsed items"] = {RANKING: learned.trained.score}
        return learned

    def _can_teach(self) -> bool:
        if self.config.ranker.model == "none":
            return False
        longest = int(np.diff(self._interactions.columns.offsets).max())
        if longest < 4 or not len(self._evaluation):
            self._say("histories are too short to hold events out of them, so the bundle has no ranker")
            return False
        return True

    def _lesson(self, checkpoint: Checkpoint | None) -> _Lesson:
        """Train on all but the held-out events, and find candidates where those events came next.

        A source is over-confident on what it was trained on; a ranker that learned there would learn to trust it.
        """
        ranker = self.config.ranker
        earlier = self._interactions.without_newest(ranker.held_out)
        encoders = {}
        for each in self.config.networks:
            stage = self._stage(f"{each.source_name}, first", checkpoint)
            trained = self._training(each).run(earlier, None, each.first_epochs, stage)
            encoders[each.source_name] = trained.network
            self._curve += trained.curve
        statistics = ItemStatistics.of(self._interactions, earlier, self.config)
        recommender = self._recommenders.of(encoders, statistics)
        histories, targets = self._interactions.prefixes(ranker.held_out, ranker.most_lists, self.config.seed)
        lists = RankerTraining(self.config).lists(recommender, first_vectors(recommender), histories, targets)
        return _Lesson(lists, encoders)

    def _cold(self, lesson: _Lesson) -> ColdCandidates | None:
        """Return what some candidates of the lesson look like if nobody has met them."""
        content = self._recommenders.content
        if content is None or not self.config.content.cold_share:
            return None
        _, vectors = content.unmet(lesson.encoders[self.config.retriever.source_name])
        by_content = [each.source_name for each in self.config.sources if each.kind == "content"]
        kept = [feature for name in by_content for feature in source_features(name)]
        return ColdCandidates(vectors, self.config.ranker_features, self.config.content.cold_share, kept)

    def _train_sources(
        self, statistics: ItemStatistics, starts: Encoders, checkpoint: Checkpoint | None
    ) -> dict[str, TrainedStage[UserEncoder]]:
        chosen = {}
        for each in self.config.networks:
            start = self._start(starts.get(each.source_name))
            columns: HistoryColumns = self._interactions.columns
            validate = self._validator(each, statistics) if len(self._evaluation) else None
            stage = self._stage(each.source_name, checkpoint)
            trained = self._training(each).run(columns, validate, each.epochs, stage, start)
            self._curve += trained.curve
            chosen[each.source_name] = replace(trained, network=_plain(trained.network))
        return chosen

    def _start(self, first: UserEncoder | None) -> UserEncoder | None:
        """Return what a network goes on from; with content, it meets some items by that alone."""
        content = self._recommenders.content
        if first is None or content is None or not self.config.content.id_dropout:
            return first
        return content.hybrid(first, self.config.content.id_dropout).to(self.config.device)

    def _refitted(self, learned: Learned, checkpoint: Checkpoint | None) -> tuple[Encoders, ItemStatistics]:
        """Train the networks again, each as long as validation chose, and count again: on train and valid.

        Each starts where the chosen one did, so that the ranker finds the vectors that it knows.
        """
        known, encoders = self._known, {}
        for each in self.config.networks:
            start = self._start(learned.starts.get(each.source_name))
            stage = self._stage(f"{each.source_name}{REFIT}", checkpoint)
            training, epochs = self._training(each, known), learned.sources[each.source_name].epochs
            trained = training.run(known.columns, None, each.epochs, stage, start, epochs)
            encoders[each.source_name] = _plain(trained.network)
            self._curve += trained.curve
        return encoders, ItemStatistics.of(known, known.columns, self.config)

    def _train_ranker(
        self, lesson: _Lesson, recommender: Recommender, checkpoint: Checkpoint | None
    ) -> RankerNetwork | None:
        if not len(lesson.lists.right):
            self._say("no held-out item is among its candidates, so the bundle has no ranker")
            return None
        config, vectors = self.config, first_vectors(recommender)
        stage = self._stage("ranker", checkpoint)
        training = RankerTraining(config, self._cold(lesson))
        trained = training.run(lesson.lists, recommender, vectors, self._evaluation, stage)
        self._curve += trained.curve
        reranked = self._recommenders.reranked(recommender, trained.network)
        self._metrics["valid reranked"] = self._evaluation.measure(reranked)
        better = self._metrics["valid reranked"][config.metric] > self._metrics["valid retrieved"][config.metric]
        if not better and config.ranker.keep == "if_better":
            self._say("the ranker does not beat the retriever on validation, so the bundle has none")
            return None
        return trained.network

    def recommender(self, learned: Learned) -> Recommender:
        """Return what validation measured."""
        recommender = self._recommenders.of(learned.encoders, learned.statistics)
        return recommender if learned.ranker is None else self._recommenders.reranked(recommender, learned.ranker)

    def _train_ratings(self, statistics: ItemStatistics, checkpoint: Checkpoint | None) -> TrainedRatings | None:
        def make_stage(name: str) -> Stage:
            return self._stage(name, checkpoint, "RMSE")

        pipeline = RatingPipeline(self._preparation, self.config, statistics, make_stage, self._say)
        trained = pipeline.run()
        self._metrics |= pipeline.metrics
        self._curve += pipeline.curve
        return trained

    def _stage(self, name: str, checkpoint: Checkpoint | None, metric: str = "") -> Stage:
        # Trained again, a network begins with the very draws of the one that was chosen.
        randomness = Randomness(self.config.seed, name.removesuffix(REFIT))
        return Stage(name, metric or self.config.metric, randomness, checkpoint, self._watch)

    def _training(self, config: RetrieverConfig, known: Interactions | None = None) -> RetrieverTraining:
        interactions, preparation = known or self._interactions, self._preparation
        return RetrieverTraining(self.config, config, preparation.window, interactions, preparation.metadata)

    def _validator(self, config: RetrieverConfig, statistics: ItemStatistics) -> Validate:
        made = self._recommenders.of_source(config, statistics)
        return lambda network: self._evaluation.measure(made(network))


def _plain(network: UserEncoder) -> UserEncoder:
    """Return a network without what stands round it in training."""
    return network.inner if isinstance(network, HybridEncoder) else network


def _check_ratings(config: TrainingConfig, interactions: Interactions, name: str) -> None:
    if "ratings" in config.model_fields_set and config.ratings.model != BIAS and not interactions.has_ratings:
        raise ConfigError(f"ratings.model = {config.ratings.model!r}: {name} has no ratings to learn from")
