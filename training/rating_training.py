"""RatingTraining: the network that predicts ratings learns from the rated events."""

from __future__ import annotations

from collections.abc import Callable

from engine.item_vectors import ItemVectors
from engine.items import ItemTable
from engine.ratings import BiasRatings, NetworkRatings
from engine.window import HistoryWindow
from models import UserEncoder
from training.config import TrainingConfig
from training.fit import Stage, TrainedStage
from training.interactions import Interactions
from training.item_statistics import ItemStatistics
from training.preparation import Preparation
from training.rating_evaluation import RatingEvaluation, rated_only
from training.retriever_training import RetrieverTraining
from training.torch_stages import TorchEncoder, item_vectors


class RatingTraining:
    """Trains the rating network of one preparation."""

    def __init__(self, preparation: Preparation, config: TrainingConfig, statistics: ItemStatistics) -> None:
        self._preparation = preparation
        self._config = config
        self._items = ItemTable(preparation.vocabulary, statistics.columns)
        self._biases = bias_ratings(self._items, statistics, preparation.window, config)
        self.window = preparation.window.model_copy(update={"max_length": config.ratings.max_length})

    def run(self, stage: Stage) -> TrainedStage[UserEncoder]:
        """Train on the rated events of train; validate on those of valid."""
        config, vocabulary = self._config, self._preparation.vocabulary
        interactions = Interactions.of(rated_only(self._preparation.split.train), vocabulary, self.window)
        training = RetrieverTraining(config, config.ratings, self.window, interactions, self._preparation.metadata)
        return training.run(interactions.columns, self._validator(), config.ratings.epochs, stage)

    def predictor(self, network: UserEncoder) -> NetworkRatings:
        """Return the predictor that the network gives, behind the engine's contract."""
        vectors: ItemVectors = item_vectors(network)
        encoder = TorchEncoder(network, self._config.device)
        return NetworkRatings(self._items, self.window, vectors, encoder, self._biases)

    def measure_biases(self, evaluation: RatingEvaluation) -> dict[str, float]:
        """Return RMSE and MAE of the biases alone."""
        return evaluation.measure(self._biases)

    def evaluation(self) -> RatingEvaluation:
        """Return the validation ratings."""
        split, config = self._preparation.split, self._config
        return RatingEvaluation.of(
            split.train, split.valid, self._preparation.vocabulary, config.validation_users, config.seed
        )

    def _validator(self) -> Callable[[UserEncoder], dict[str, float]] | None:
        evaluation = self.evaluation()
        if not len(evaluation):
            return None
        return lambda network: evaluation.measure(self.predictor(network))


def bias_ratings(
    items: ItemTable, statistics: ItemStatistics, window: HistoryWindow, config: TrainingConfig
) -> BiasRatings:
    """Return the predictor by biases; the data must have ratings."""
    mean = statistics.rating_mean or 0.0
    return BiasRatings(items, mean, window.rating_scale, config.rating_shrinkage)
