"""RetrieverTraining: a source's network learns its objective over all histories."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engine.errors import DataError
from engine.window import HistoryColumns, HistoryWindow, IndexBatch
from models import RETRIEVERS, UserEncoder
from models.hybrid_encoder import HybridEncoder
from models.shared_items import SharedItems
from training.config import TrainingConfig
from training.criterion import Criterion
from training.facts import facts_of
from training.fit import Stage, TrainedStage, fit
from training.interactions import Interactions
from training.item_rows import ItemRows
from training.objectives import OBJECTIVES, Histories
from training.optimiser import AveragedOptimiser
from training.randomness import Randomness
from training.retriever_config import FULL_SOFTMAX_UP_TO, RetrieverConfig

Validate = Callable[[UserEncoder], dict[str, float]]
Indices = npt.NDArray[np.int64]
Cut = tuple[int, int]


class RetrieverTraining:
    """Trains the network of one source."""

    def __init__(
        self,
        training: TrainingConfig,
        config: RetrieverConfig,
        window: HistoryWindow,
        interactions: Interactions,
        metadata: tuple[bytes, ...] = (),
    ) -> None:
        self._training = training
        self._config = config
        self._window = window
        self._interactions = interactions
        self._metadata = metadata

    def run(
        self,
        columns: HistoryColumns,
        validate: Validate | None,
        epochs: int,
        stage: Stage,
        start: UserEncoder | None = None,
        until: int | None = None,
    ) -> TrainedStage[UserEncoder]:
        """Train for at most `epochs`, from `start` if given; without `validate` all run and the last is kept.

        `until` ends it after so many of the epochs over which the learning rate falls.
        """
        network = copy.deepcopy(start) if start is not None else self._new_network()
        loss = self._config.loss_over(len(self._interactions.vocabulary))
        if len(self._interactions.vocabulary) > FULL_SOFTMAX_UP_TO and loss != "softmax":
            network.learn_by_rows()
        # Planning draws cuts of long histories; the stage's own draws are left as they are.
        steps = len(self._plan(columns, np.random.default_rng(0))[2][: self._config.batches])
        if not steps:
            raise DataError(
                f"{self._config.source_name}: no user has two events, so there is nothing to learn; take"
                " retriever.model = 'popularity' and ranker.model = 'none'"
            )
        share = self._config.continued_rate if start is not None else 1.0
        optimiser = AveragedOptimiser(network, self._config, steps * epochs, share)
        criterion = Criterion(self._config, loss, self._interactions, self._training.device)
        return fit(
            stage,
            self._config,
            until or epochs,
            optimiser,
            lambda: self._epoch(network, optimiser, criterion, columns, stage.randomness),
            validate,
        )

    def _new_network(self) -> UserEncoder:
        made = RETRIEVERS[self._config.model]
        given: dict[str, Any] = dict(self._config.network)
        if "facts" in inspect.signature(made).parameters:
            given["facts"] = facts_of(self._interactions, self._metadata)
        return made(len(self._interactions.vocabulary), **given).to(self._training.device)

    def _epoch(
        self,
        network: UserEncoder,
        optimiser: AveragedOptimiser[UserEncoder],
        criterion: Criterion,
        columns: HistoryColumns,
        randomness: Randomness,
    ) -> float:
        network.train()
        total, events = 0.0, 0
        for batch in self._batches(columns, randomness.numpy):
            count = int(batch.lengths.sum())
            total += optimiser.step(self._loss(network, criterion, batch)) * count
            events += count
        return total / max(events, 1)

    def _loss(self, network: UserEncoder, criterion: Criterion, batch: IndexBatch) -> Tensor:
        if isinstance(network, HybridEncoder):
            network.draw()
        device = self._training.device
        # What is kept on disk has shorter numbers than a lookup takes.
        arrays = (batch.indices.astype(np.int64, copy=False), batch.values, batch.ages, batch.lengths)
        histories = Histories(*(torch.from_numpy(array).to(device) for array in arrays))
        inner = network.inner if isinstance(network, HybridEncoder) else network
        objective = self._config.objective if self._config.objective != "auto" else inner.objective
        bfloat16 = self._training.precision == "bfloat16"
        with torch.autocast(device.split(":")[0], torch.bfloat16, enabled=bfloat16):
            examples = OBJECTIVES[objective](network, histories, self._config)
            loss = criterion(examples, ItemRows(network) if _learns_by_rows(network) else network.item_vectors())
            penalty = network.penalty()
        return loss if penalty is None else loss + penalty

    def _batches(self, columns: HistoryColumns, random: np.random.Generator) -> Iterator[IndexBatch]:
        """Yield batches of about `events_per_batch` events, each of rows of like length, in random order."""
        starts, ends, cuts = self._plan(columns, random)
        for piece in random.permutation(len(cuts))[: self._config.batches]:
            rows = slice(*cuts[piece])
            events = columns.runs(starts[rows], ends[rows])
            if self._config.shuffle_ties:
                events = shuffled_ties(events, random)
            yield self._window.newest(events, self._interactions.vocabulary.padding_index)

    def _plan(self, columns: HistoryColumns, random: np.random.Generator) -> tuple[Indices, Indices, list[Cut]]:
        """Return the starts and ends of rows, those of like length side by side, and how they are cut into batches."""
        starts, ends = self._rows(columns.offsets, random)
        usable = np.flatnonzero(ends - starts >= 2)
        # A little noise keeps a row from meeting the same batch mates in each epoch.
        noise = random.uniform(-3, 3, len(usable)).astype(np.float32)
        order = usable[np.argsort((ends - starts)[usable] + noise, kind="stable")]
        starts, ends = starts[order], ends[order]
        return starts, ends, _cuts(ends - starts, self._config.events_per_batch)

    def _rows(self, offsets: Indices, random: np.random.Generator) -> tuple[Indices, Indices]:
        if self._config.histories == "whole":
            return self._window.pieces(offsets, random)
        return np.maximum(offsets[:-1], offsets[1:] - self._window.max_length), offsets[1:]


def _learns_by_rows(network: UserEncoder) -> TypeGuard[SharedItems]:
    return isinstance(network, SharedItems) and network.items.sparse


def shuffled_ties(columns: HistoryColumns, random: np.random.Generator) -> HistoryColumns:
    """Put events of one user with equal timestamps in a new random order."""
    owner = np.repeat(np.arange(len(columns.offsets) - 1), np.diff(columns.offsets))
    order = np.lexsort((random.random(len(owner)), columns.timestamp, owner))
    return HistoryColumns(columns.item_index[order], columns.value[order], columns.timestamp, columns.offsets)


def _cuts(lengths: Indices, budget: int) -> list[Cut]:
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
