"""RetrieverTraining: the first stage learns to predict the next event at every position."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engine.recommender import Recommender
from engine.vocabulary import Vocabulary
from engine.window import HistoryColumns, HistoryWindow, IndexBatch
from models import RETRIEVERS, UserEncoder
from training.config import TrainingConfig
from training.evaluation import Evaluation
from training.fit import TrainedStage, fit
from training.losses import sampled_softmax, softmax
from training.optimiser import AveragedOptimiser
from training.torch_stages import TorchEncoder, item_index, item_table

FULL_SOFTMAX_UP_TO = 20_000

Floats = npt.NDArray[np.float32]
Validate = Callable[[UserEncoder], dict[str, float]]


class RetrieverTraining:
    """Trains one encoder on one set of histories."""

    def __init__(self, config: TrainingConfig, window: HistoryWindow, vocabulary: Vocabulary) -> None:
        self._config = config
        self._window = window
        self._vocabulary = vocabulary
        self._random = np.random.default_rng(config.seed)

    def validator(self, evaluation: Evaluation, columns: dict[str, Floats]) -> Validate:
        """Return a function that measures a network on validation users, through the engine."""

        def measure(network: UserEncoder) -> dict[str, float]:
            items = item_table(network, self._vocabulary, columns)
            encoder = TorchEncoder(network, self._config.device)
            return evaluation.measure(
                Recommender(items, self._window, encoder, item_index(items), retriever_name="training")
            )

        return measure

    def run(
        self,
        columns: HistoryColumns,
        validate: Validate | None,
        epochs: int,
        stage: str,
        start: UserEncoder | None = None,
    ) -> TrainedStage[UserEncoder]:
        """Train for at most `epochs`, from `start` if given; without `validate` all run and the last is kept."""
        config = self._config.retriever
        network = copy.deepcopy(start) if start is not None else self._new_network()
        steps = sum(1 for _ in self._batches(columns))
        share = config.continued_rate if start is not None else 1.0
        optimiser = AveragedOptimiser(network, config, steps * epochs, share)
        return fit(stage, config, epochs, optimiser, lambda: self._epoch(network, optimiser, columns), validate)

    def _new_network(self) -> UserEncoder:
        network = RETRIEVERS[self._config.retriever.model](len(self._vocabulary), **self._config.retriever.network)
        return network.to(self._config.device)

    def _epoch(self, network: UserEncoder, optimiser: AveragedOptimiser[UserEncoder], columns: HistoryColumns) -> float:
        network.train()
        if self._config.retriever.shuffle_ties:
            columns = shuffled_ties(columns, self._random)
        total, positions = 0.0, 0
        for batch in self._batches(columns):
            count = int((batch.lengths - 1).clip(min=0).sum())
            total += optimiser.step(self._loss(network, batch)) * count
            positions += count
        return total / max(positions, 1)

    def _loss(self, network: UserEncoder, batch: IndexBatch) -> Tensor:
        device, config = self._config.device, self._config.retriever
        indices, values, ages, lengths = (
            torch.from_numpy(array).to(device) for array in (batch.indices, batch.values, batch.ages, batch.lengths)
        )
        item_vectors = network.item_vectors()
        vectors = torch.nn.functional.embedding(indices, network.input_vectors())
        # The last event of a row has no successor: it is a target only.
        real = torch.arange(indices.shape[1] - 1, device=device) < (lengths - 1)[:, None]
        with torch.autocast(device.split(":")[0], torch.bfloat16, enabled=self._config.precision == "bfloat16"):
            states = network.states(vectors[:, :-1], values[:, :-1], ages[:, :-1], lengths - 1)[real]
            targets = indices[:, 1:][real]
            full = config.loss == "softmax" or (config.loss == "auto" and len(item_vectors) <= FULL_SOFTMAX_UP_TO)
            if full:
                return softmax(states, item_vectors, targets)
            return sampled_softmax(states, item_vectors, targets, config.negatives)

    def _batches(self, columns: HistoryColumns) -> Iterator[IndexBatch]:
        """Cut rows of like length into batches of about `events_per_batch` events, in random order."""
        rows = self._window.every(columns, self._vocabulary.padding_index, self._random)
        usable = np.flatnonzero(rows.lengths >= 2)
        # A little noise keeps a row from meeting the same batch mates in each epoch.
        order = usable[np.argsort(rows.lengths[usable] + self._random.uniform(-3, 3, len(usable)), kind="stable")]
        cuts = _cuts(rows.lengths[order], self._config.retriever.events_per_batch)
        for piece in self._random.permutation(len(cuts)):
            yield rows.only(order[slice(*cuts[piece])])


def shuffled_ties(columns: HistoryColumns, random: np.random.Generator) -> HistoryColumns:
    """Put events of one user with equal timestamps in a new random order."""
    owner = np.repeat(np.arange(len(columns.offsets) - 1), np.diff(columns.offsets))
    order = np.lexsort((random.random(len(owner)), columns.timestamp, owner))
    return HistoryColumns(columns.item_index[order], columns.value[order], columns.timestamp, columns.offsets)


def _cuts(lengths: npt.NDArray[np.int64], budget: int) -> list[tuple[int, int]]:
    """Return slices of sorted rows such that rows times the longest of them stays within the budget."""
    cuts, start = [], 0
    while start < len(lengths):
        # Lengths rise along the order but for the noise, so the reach found by the running maximum is exact.
        running = np.maximum.accumulate(lengths[start : start + budget])
        fits = running * np.arange(1, len(running) + 1) <= budget
        stop = start + max(int(fits.argmin()) if not fits.all() else len(fits), 1)
        cuts.append((start, stop))
        start = stop
    return cuts
