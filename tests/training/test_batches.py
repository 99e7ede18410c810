"""Batches of rows of like length: what an epoch meets, and that bucketing changes no loss."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from engine.vocabulary import Vocabulary
from engine.window import HistoryColumns, HistoryWindow, IndexBatch, offsets_of
from models import RETRIEVERS, UserEncoder
from training.config import TrainingConfig
from training.criterion import Criterion
from training.interactions import Interactions
from training.retriever_training import RetrieverTraining

ITEMS, LONGEST, NEWEST = 300, 40, 7


def interactions(*, tied: bool = False) -> Interactions:
    """Sixty users with 1 to 40 events, no item twice in one history."""
    random = np.random.default_rng(0)
    histories = [random.permutation(ITEMS)[:length] for length in random.integers(1, LONGEST + 1, 60)]
    items = np.concatenate(histories)
    clock = np.zeros(len(items)) if tied else np.arange(len(items), dtype=np.float64)
    offsets = offsets_of(np.array([len(each) for each in histories]))
    columns = HistoryColumns(items, random.random(len(items)).astype(np.float32), clock, offsets)
    ids = tuple(f"user {user}" for user in range(len(histories)))
    return Interactions(Vocabulary(map(str, range(ITEMS))), ids, columns, np.full(len(items), np.nan))


def training(known: Interactions, length: int, **retriever: object) -> RetrieverTraining:
    chosen = {"network": {"width": 8, "dropout": 0.0}, "events_per_batch": 90, **retriever}
    config = TrainingConfig.model_validate({"retriever": chosen, "precision": "float32"})
    return RetrieverTraining(config, config.retriever, HistoryWindow(max_length=length), known)


def rows(batches: list[IndexBatch]) -> list[list[int]]:
    pairs = (zip(batch.indices, batch.lengths, strict=True) for batch in batches)
    return [row[:length].tolist() for batch in pairs for row, length in batch]


def histories(known: Interactions) -> list[list[int]]:
    columns = known.columns
    return [part.tolist() for part in np.split(columns.item_index, columns.offsets[1:-1])]


@pytest.mark.parametrize("length", [NEWEST, LONGEST])
def test_an_epoch_asks_for_every_successor_once(length: int) -> None:
    known = interactions()
    found = rows(list(training(known, length)._batches(known.columns, np.random.default_rng(1))))
    steps = sorted(step for row in found for step in itertools.pairwise(row))
    assert steps == sorted(step for row in histories(known) for step in itertools.pairwise(row))
    assert max(map(len, found)) <= length


def test_or_only_for_the_newest() -> None:
    known = interactions()
    found = rows(list(training(known, NEWEST, histories="newest")._batches(known.columns, np.random.default_rng(1))))
    assert sorted(found) == sorted(row[-NEWEST:] for row in histories(known) if len(row) > 1)


def test_hardly_any_place_of_a_batch_is_empty() -> None:
    known = interactions()
    batches = list(training(known, LONGEST)._batches(known.columns, np.random.default_rng(1)))
    assert len(batches) > 10
    assert sum(batch.lengths.sum() for batch in batches) > 0.8 * sum(batch.indices.size for batch in batches)


def test_events_at_the_same_time_come_in_a_new_order_of_the_same_events() -> None:
    known = interactions(tied=True)
    asked = training(known, LONGEST, shuffle_ties=True)
    first, second = (rows(list(asked._batches(known.columns, np.random.default_rng(seed)))) for seed in (1, 2))
    assert sorted(first) != sorted(second)
    assert sorted(map(sorted, first)) == sorted(map(sorted, second))
    kept = rows(list(training(known, LONGEST, shuffle_ties=False)._batches(known.columns, np.random.default_rng(1))))
    assert sorted(kept) == sorted(row for row in histories(known) if len(row) > 1)


@pytest.mark.parametrize("model", ["sasrec", "gru4rec"])
def test_buckets_have_the_loss_of_one_padded_batch(model: str) -> None:
    known = interactions()
    asked = training(known, LONGEST, model=model)
    torch.manual_seed(0)
    network = RETRIEVERS[model](ITEMS, width=8, dropout=0.0)
    loss = Criterion(asked._config, "softmax", known, "cpu")
    padded = HistoryWindow(max_length=LONGEST).newest(known.columns, ITEMS)
    whole = padded.only(np.flatnonzero(padded.lengths > 1))
    together = asked._loss(network, loss, whole)
    buckets = list(asked._batches(known.columns, np.random.default_rng(1)))
    targets = [int((batch.lengths - 1).sum()) for batch in buckets]
    each = torch.stack([asked._loss(network, loss, batch) for batch in buckets])
    mean = (each * torch.tensor(targets)).sum() / sum(targets)
    torch.testing.assert_close(mean, together, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(*(gradients(network, of) for of in (mean, together)), atol=1e-5, rtol=1e-4)


def gradients(network: UserEncoder, loss: torch.Tensor) -> list[torch.Tensor]:
    return list(torch.autograd.grad(loss, list(network.parameters())))
