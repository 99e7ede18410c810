"""RatingTraining: the network that predicts ratings learns from the rated events."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import torch

from engine.item_vectors import ItemVectors
from engine.items import ItemTable
from engine.ratings import BiasRatings, NetworkRatings
from engine.window import HistoryWindow
from models import FoldedItems, RankerNetwork, UserEncoder
from training.config import TrainingConfig
from training.fit import Stage, TrainedStage
from training.interactions import Interactions
from training.item_statistics import ItemStatistics
from training.preparation import Preparation
from training.rating_evaluation import RatingEvaluation, rated_only
from training.refiner_training import TorchRefiner
from training.retriever_training import RetrieverTraining
from training.torch_stages import TorchEncoder, item_vectors

ITEMS_AT_ONCE = 256


class RatingTraining:
    """Trains the rating network of one preparation."""

    def __init__(
        self,
        preparation: Preparation,
        config: TrainingConfig,
        statistics: ItemStatistics,
        visible: pl.DataFrame | None = None,
    ) -> None:
        """Take what to learn from: the rated events of train, or only the `visible` ones, without validation."""
        self._preparation = preparation
        self._rated = rated_only(preparation.split.train) if visible is None else visible
        self._validates = visible is None
        self._config = config
        self._items = ItemTable(preparation.vocabulary, statistics.columns)
        self._biases = bias_ratings(self._items, statistics, preparation.window, config)
        self.window = preparation.window.model_copy(update={"max_length": config.ratings.max_length})

    def run(
        self, stage: Stage, start: UserEncoder | None = None, until: int | None = None
    ) -> TrainedStage[UserEncoder]:
        """Train on the rated events of train, from `start` if given; validate on those of valid.

        `until` ends it after so many of the config's epochs.
        """
        config, vocabulary = self._config, self._preparation.vocabulary
        interactions = Interactions.of(self._rated, vocabulary, self.window)
        if config.ratings.orientation == "item":
            return self._run_over_items(interactions.transposed(), stage, until)
        training = RetrieverTraining(config, config.ratings, self.window, interactions, self._preparation.metadata)
        return training.run(interactions.columns, self._validator(), config.ratings.epochs, stage, start, until)

    def _run_over_items(self, transposed: Interactions, stage: Stage, until: int | None) -> TrainedStage[UserEncoder]:
        longest = max(int(np.diff(transposed.columns.offsets).max()), 2)
        window = self.window.model_copy(update={"max_length": longest})
        training = RetrieverTraining(self._config, self._config.ratings, window, transposed)
        evaluation = self.evaluation()
        validates = self._validates and bool(len(evaluation))

        def validate(network: UserEncoder) -> dict[str, float]:
            return evaluation.measure(self.predictor(self._folded(network, transposed, window)))

        epochs = self._config.ratings.epochs
        trained = training.run(transposed.columns, validate if validates else None, epochs, stage, until=until)
        return TrainedStage(self._folded(trained.network, transposed, window), trained.epochs, trained.curve)

    def _folded(self, network: UserEncoder, transposed: Interactions, window: HistoryWindow) -> FoldedItems:
        """Return the items' codes, with the user to be solved for; `network` has rows of users as its items."""
        encoder, vectors = TorchEncoder(network, self._config.device), item_vectors(network)
        rows = window.newest(transposed.columns, transposed.vocabulary.padding_index)
        pieces = np.array_split(np.arange(len(rows.lengths)), max(len(rows.lengths) // ITEMS_AT_ONCE, 1))
        codes = np.concatenate([encoder.encode(vectors.batch(rows.only(piece))) for piece in pieces])
        mean_row = torch.from_numpy(np.asarray(vectors.outputs).mean(axis=0))
        folded = FoldedItems(torch.from_numpy(codes), mean_row, self._config.ratings.fold_in)
        return folded.to(self._config.device)

    def predictor(self, network: UserEncoder, refiner: RankerNetwork | None = None) -> NetworkRatings:
        """Return the predictor that the networks give, behind the engine's contract."""
        vectors: ItemVectors = item_vectors(network)
        encoder = TorchEncoder(network, self._config.device)
        second = TorchRefiner(refiner, self._config.device) if refiner is not None else None
        return NetworkRatings(self._items, self.window, vectors, encoder, self._biases, second)

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
        if not self._validates or not len(evaluation):
            return None
        return lambda network: evaluation.measure(self.predictor(network))


def bias_ratings(
    items: ItemTable, statistics: ItemStatistics, window: HistoryWindow, config: TrainingConfig
) -> BiasRatings:
    """Return the predictor by biases; the data must have ratings."""
    mean = statistics.rating_mean or 0.0
    return BiasRatings(items, mean, window.rating_scale, config.rating_shrinkage)
