"""A small recommender to whose items others come: what is read and what is multiplied are parts of the content."""

from __future__ import annotations

import numpy as np

from engine.content_source import ContentSource
from engine.events import Event, History
from engine.index import VectorIndex
from engine.item_vectors import ItemVectors
from engine.items import ItemTable
from engine.live_item import LiveItem
from engine.neighbours import NeighbourTable
from engine.query import Query
from engine.recommendation import Recommendation
from engine.recommender import Recommender
from engine.selection import Selection
from engine.vector_source import VectorSource
from engine.vocabulary import Vocabulary
from engine.window import HistoryBatch, HistoryWindow

ITEMS = 12
WIDTH = 4


class MeanEncoder:
    """User vector = mean of the history's vectors."""

    def encode(self, batch: HistoryBatch) -> np.ndarray:
        return (batch.vectors.sum(1) / np.maximum(batch.lengths, 1)[:, None]).astype(np.float32)


class HalvingTower:
    """The first half of the content is what a network reads, the second half what a user vector is multiplied with."""

    def vectors(self, content: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return content[:, :WIDTH], content[:, WIDTH:]


def content_of(seed: int) -> np.ndarray:
    return np.random.default_rng((9, seed)).normal(size=2 * WIDTH).astype(np.float32)


CONTENT = np.stack([content_of(seed) for seed in range(ITEMS)])
POPULARITY = np.arange(ITEMS, 0, -1).astype(np.float32)


def table(neighbours: dict[str, NeighbourTable] | None = None) -> ItemTable:
    """Items "0" to "11", the first of them the most popular, each with its number as metadata."""
    columns = {"popularity": POPULARITY, "staleness": np.zeros(ITEMS, np.float32)}
    metadata = [b'{"number": %d}' % item for item in range(ITEMS)]
    return ItemTable(Vocabulary(map(str, range(ITEMS))), columns, metadata, neighbours or {})


def network_source(depth: int = 6, index: VectorIndex | None = None) -> VectorSource:
    inputs = np.vstack((CONTENT[:, :WIDTH], np.zeros((1, WIDTH), np.float32)))
    outputs = np.ascontiguousarray(CONTENT[:, WIDTH:])
    return VectorSource("mean", ItemVectors(inputs, outputs), MeanEncoder(), index or VectorIndex.build(outputs), depth)


def ring_table() -> NeighbourTable:
    """After item i comes i + 1, and a little of i + 2."""
    indices = np.array([[(item + 1) % ITEMS, (item + 2) % ITEMS] for item in range(ITEMS)] + [[0, 0]], dtype=np.int32)
    weights = np.array([[1.0, 0.5]] * ITEMS + [[0.0, 0.0]], dtype=np.float32)
    return NeighbourTable(indices, weights)


def live_recommender(depth: int = 6) -> Recommender:
    items, source = table({"item_knn": ring_table()}), network_source(depth)
    towers = {"mean": HalvingTower()}
    return Recommender(items, HistoryWindow(), [source], towers=towers, content_vectors=CONTENT)


def content_recommender() -> Recommender:
    return Recommender(table(), HistoryWindow(), [ContentSource("content", CONTENT)], content_vectors=CONTENT)


def live(item_id: str, seed: int | None, **facts: object) -> LiveItem:
    return LiveItem(item_id, content_vector=None if seed is None else content_of(seed), **facts)


def liked(*item_ids: str) -> History:
    return History(tuple(Event("u", item, "rating", 5.0, float(step)) for step, item in enumerate(item_ids)))


def ids(answer: Recommendation) -> list[str]:
    return [item.item_id for item in answer.items]


def ask(recommender: Recommender, history: History, n: int = 40, **wishes: object) -> list[str]:
    if wishes.get("only") is not None:
        wishes["only"] = Selection.of_ids(recommender.items, wishes["only"])
    return ids(recommender.recommend([Query(history, n, **wishes)])[0])
