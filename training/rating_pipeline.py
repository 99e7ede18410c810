"""RatingPipeline: the network that predicts ratings, and the refiner that corrects it, learn from one preparation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from models import RankerNetwork, UserEncoder
from training.config import TrainingConfig
from training.curve import CurvePoint
from training.fit import Stage, TrainedStage
from training.interactions import Interactions
from training.item_statistics import ItemStatistics
from training.preparation import Preparation
from training.rating_evaluation import RatingEvaluation, rated_only
from training.rating_training import RatingTraining
from training.ratings_config import BIAS
from training.refiner_training import RatedPairs, RefinerTraining

MakeStage = Callable[[str], Stage]
FEWEST_PAIRS = 100


@dataclass(frozen=True, slots=True)
class TrainedRatings:
    """The networks that predict ratings."""

    network: UserEncoder
    refiner: RankerNetwork | None


@dataclass(frozen=True, slots=True)
class _Lesson:
    """What the refiner learns from, and the network that predicted it."""

    network: UserEncoder
    pairs: RatedPairs


@dataclass(slots=True)
class RatingPipeline:
    """Trains both stages; what validation measured and how they learned is in `metrics` and `curve`."""

    preparation: Preparation
    config: TrainingConfig
    statistics: ItemStatistics
    make_stage: MakeStage
    say: Callable[[str], None]
    metrics: dict[str, dict[str, float]] = field(default_factory=dict)
    curve: list[CurvePoint] = field(default_factory=list)

    def run(self) -> TrainedRatings | None:
        """Return nothing where biases are all that is wanted, or all that there can be."""
        ratings = self.config.ratings
        if self.statistics.rating_mean is None:
            return None
        training = RatingTraining(self.preparation, self.config, self.statistics)
        evaluation = training.evaluation()
        if len(evaluation):
            self.metrics["valid biases"] = training.measure_biases(evaluation)
        if ratings.model == BIAS:
            return None
        lesson = self._lesson() if ratings.refiner.model != "none" else None
        # The final network goes on from the first one, or their vectors would mean different things to the refiner.
        trained = training.run(self.make_stage("ratings"), lesson.network if lesson is not None else None)
        self.curve += trained.curve
        refiner = self._refiner(training, trained.network, lesson.pairs, evaluation) if lesson is not None else None
        if self._is_worse(training, trained.network, evaluation):
            self.say("the rating network does not beat the biases on validation, so the bundle has none")
            return None
        if len(evaluation):
            self.metrics["valid ratings"] = evaluation.measure(training.predictor(trained.network, refiner))
        if self.config.refit:
            trained = self._refitted(lesson.network if lesson is not None else None, trained.epochs)
        return TrainedRatings(trained.network, refiner)

    def _refitted(self, start: UserEncoder | None, epochs: int) -> TrainedStage[UserEncoder]:
        """Train again as long as validation chose, on train and valid."""
        known = rated_only(self.preparation.known)
        training = RatingTraining(self.preparation, self.config, self.statistics, known)
        trained = training.run(self.make_stage("ratings, refit"), start, epochs)
        self.curve += trained.curve
        return trained

    def _is_worse(self, training: RatingTraining, network: UserEncoder, evaluation: RatingEvaluation) -> bool:
        if self.config.ratings.keep == "always" or not len(evaluation):
            return False
        return evaluation.measure(training.predictor(network))["RMSE"] >= self.metrics["valid biases"]["RMSE"]

    def _refiner(
        self, training: RatingTraining, network: UserEncoder, pairs: RatedPairs, evaluation: RatingEvaluation
    ) -> RankerNetwork | None:
        if len(pairs.values) < FEWEST_PAIRS or not len(evaluation):
            self.say("there are too few ratings to teach a refiner, so the bundle has none")
            return None
        without = evaluation.measure(training.predictor(network))
        trained = RefinerTraining(self.config).run(
            pairs,
            lambda refiner: evaluation.measure(training.predictor(network, refiner)),
            self.make_stage("ratings refiner"),
        )
        self.curve += trained.curve
        refined = evaluation.measure(training.predictor(network, trained.network))
        if refined["RMSE"] >= without["RMSE"] and self.config.ratings.refiner.keep == "if_better":
            self.say("the refiner of ratings does not lower the RMSE on validation, so the bundle has none")
            return None
        return trained.network

    def _lesson(self) -> _Lesson | None:
        """Train a first network without some ratings, and predict those: a network is over-confident on what it saw."""
        visible, hidden = self._hidden()
        if not len(hidden) or visible["user_id"].n_unique() < 2:
            return None
        vocabulary, window = self.preparation.vocabulary, self.preparation.window
        interactions = Interactions.of(visible, vocabulary, window)
        counted = self.config.model_copy(update={"ranker": self.config.ranker.model_copy(update={"model": "none"})})
        counted = counted.model_copy(update={"sources": ()})
        statistics = ItemStatistics.of(interactions, interactions.columns, counted)
        training = RatingTraining(self.preparation, self.config, statistics, visible)
        first = training.run(self.make_stage("ratings, first"))
        self.curve += first.curve
        most, seed = self.config.ratings.refiner.most_users, self.config.seed
        evaluation = RatingEvaluation.of(visible, hidden, vocabulary, most, seed)
        pairs = RatedPairs.of(training.predictor(first.network), evaluation, window.rating_scale)
        return _Lesson(first.network, pairs)

    def _hidden(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Split the rated events at random; who has a single one keeps it."""
        rated = rated_only(self.preparation.split.train).sort("user_id", "timestamp", "row")
        noise = np.random.default_rng(self.config.seed).random(len(rated))
        hide = (pl.Series(noise) < self.config.ratings.refiner.hidden_share).alias("hide")
        marked = rated.with_columns(hide)
        mask = marked.select(pl.col("hide") & ~pl.col("hide").all().over("user_id")).to_series()
        return rated.filter(~mask), rated.filter(mask)
