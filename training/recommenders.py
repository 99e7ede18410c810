"""Recommenders: networks as they stand in training, put together as the service will once they are exported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from engine.content_source import ContentSource
from engine.item_vectors import ItemVectors
from engine.items import ItemTable
from engine.neighbour_source import NeighbourSource
from engine.popularity_source import PopularitySource
from engine.recommender import Recommender
from engine.source import Source
from engine.vector_source import VectorSource
from models import RankerNetwork, UserEncoder
from training.config import TrainingConfig
from training.content_pipeline import LearnedContent
from training.item_statistics import ItemStatistics
from training.preparation import Preparation
from training.retriever_config import RetrieverConfig
from training.torch_stages import TorchRanker, torch_source

Encoders = Mapping[str, UserEncoder]


@dataclass(frozen=True, slots=True)
class Recommenders:
    """Makes recommenders of one run, whose content network may have learned."""

    preparation: Preparation
    config: TrainingConfig
    content: LearnedContent | None = None

    def of(self, encoders: Encoders, statistics: ItemStatistics) -> Recommender:
        """Return the one of all sources, without a ranker."""
        items = self._items(statistics)
        sources = [self._source(each, encoders, items) for each in self.config.retrievers]
        return Recommender(items, self.preparation.window, sources)

    def of_source(self, config: RetrieverConfig, statistics: ItemStatistics) -> Callable[[UserEncoder], Recommender]:
        """Return what makes the one of a single source from its network."""
        items = self._items(statistics)

        def make(network: UserEncoder) -> Recommender:
            source = torch_source(network, config, self.config.device)
            return Recommender(items, self.preparation.window, [source])

        return make

    def reranked(self, recommender: Recommender, network: RankerNetwork) -> Recommender:
        """Return a recommender with a ranker."""
        features, vectors = self.config.ranker_features, first_vectors(recommender)
        ranker = TorchRanker(network, features, recommender.items, vectors, self.config.device)
        return Recommender(recommender.items, recommender.window, recommender.sources, ranker=ranker)

    def _source(self, config: RetrieverConfig, encoders: Encoders, items: ItemTable) -> Source:
        if config.kind == "popularity":
            return PopularitySource(config.source_name, items, config.depth)
        if config.kind == "content" and self.content is not None:
            return ContentSource(config.source_name, self.content.vectors, depth=config.depth)
        if config.kind == "neighbours":
            return NeighbourSource(config.source_name, items.neighbours[config.model], config.depth)
        return torch_source(encoders[config.source_name], config, self.config.device)

    def _items(self, statistics: ItemStatistics) -> ItemTable:
        return ItemTable(self.preparation.vocabulary, statistics.columns, neighbours=statistics.neighbours)


def first_vectors(recommender: Recommender) -> ItemVectors:
    """Return the item vectors of the first source, which a ranker reads."""
    first = recommender.sources[0]
    assert isinstance(first, VectorSource)  # noqa: S101 (the config has checked it)
    return first.vectors
