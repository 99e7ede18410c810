"""Fixtures that many tests share: small worlds, a bundle trained on one of them, and a real store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import steered_world
from films import train_on_films
from shared_folder import SharedFolder
from tiny import TINY
from tiny_topics import TINY_TOPICS
from worlds import TopicWorld, markov_chain, topics

from app.embedded_store import EmbeddedStore
from engine.bundle import Bundle
from engine.index import VectorIndex
from engine.item_vectors import ItemVectors
from engine.items import ItemTable
from engine.vocabulary import Vocabulary
from training.config import TrainingConfig
from training.dataset import Dataset
from training.pipeline import Pipeline
from training.preparation import Preparation


def titled(events: pl.DataFrame) -> pl.DataFrame:
    """Return an items table for the items of a world."""
    ids = events["item_id"].unique().sort()
    return pl.DataFrame({"item_id": ids, "title": "the " + ids, "year": pl.Series([1995] * len(ids), dtype=pl.Int32)})


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> SharedFolder:
    """What all the processes of the run use, such as bundles: training one takes some seconds."""
    own = tmp_path_factory.getbasetemp()
    return SharedFolder((own if worker_id == "master" else own.parent) / "shared")


@pytest.fixture(scope="session")
def tiny_config() -> TrainingConfig:
    return TrainingConfig.model_validate(TINY)


@pytest.fixture(scope="session")
def tiny_events() -> pl.DataFrame:
    return markov_chain()


@pytest.fixture(scope="session")
def tiny_preparation(tiny_events: pl.DataFrame, tiny_config: TrainingConfig) -> Preparation:
    dataset = Dataset("ring", {"all": tiny_events.lazy()}, titled(tiny_events).lazy())
    return Preparation.of(dataset, tiny_config)


@pytest.fixture(scope="session")
def tiny_bundle(tiny_preparation: Preparation, tiny_config: TrainingConfig, shared: SharedFolder) -> Path:
    """A bundle that knows the ring: after item i it recommends item i + 1."""
    return shared.made("ring", Pipeline(tiny_preparation, tiny_config, print).run)


@pytest.fixture(scope="session")
def opened(tiny_bundle: Path) -> Bundle:
    return Bundle.open(tiny_bundle)


@pytest.fixture(scope="session")
def topic_config() -> TrainingConfig:
    return TrainingConfig.model_validate(TINY_TOPICS)


@pytest.fixture(scope="session")
def topic_world() -> TopicWorld:
    """Words, categories and pictures tell the topic; of the newcomer "new bare" nothing is known that could be read."""
    world = topics(("words", "categories", "picture"))
    metadata = world.metadata | {"new bare": {"maker": "nobody"}}
    return replace(world, metadata=metadata, newcomers=(*world.newcomers, "new bare"))


@pytest.fixture(scope="session")
def topic_preparation(
    topic_world: TopicWorld, topic_config: TrainingConfig, tmp_path_factory: pytest.TempPathFactory
) -> Preparation:
    return Preparation.of(topic_world.dataset(tmp_path_factory.mktemp("media")), topic_config)


@pytest.fixture(scope="session")
def topic_bundle(topic_preparation: Preparation, topic_config: TrainingConfig, shared: SharedFolder) -> Path:
    """A bundle that reads items and knows newcomers."""
    return shared.made("topics", Pipeline(topic_preparation, topic_config, print).run)


@pytest.fixture(scope="session")
def topic_opened(topic_bundle: Path) -> Bundle:
    return Bundle.open(topic_bundle)


@pytest.fixture(scope="session")
def steered_bundle(shared: SharedFolder) -> Path:
    """A bundle whose items have categories and years, with two sources and a ranker."""
    return shared.made("steered", steered_world.train)


@pytest.fixture(scope="session")
def films_bundle(shared: SharedFolder) -> Path:
    """A bundle that reads films."""
    return shared.made("films", train_on_films)


@pytest.fixture(scope="session")
def store_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real server, as the service starts it for people who have none."""
    with EmbeddedStore(tmp_path_factory.mktemp("s")) as store:
        yield store.url


@pytest.fixture(scope="session")
def items() -> ItemTable:
    """Eight items "0".."7"; item 0 is the most popular."""
    columns = {
        "popularity": np.arange(8, 0, -1).astype(np.float32),
        "staleness": np.arange(8).astype(np.float32),
        "rating_bias": np.linspace(-1, 1, 8).astype(np.float32),
    }
    return ItemTable(Vocabulary(str(item) for item in range(8)), columns)


@pytest.fixture(scope="session")
def vectors() -> ItemVectors:
    """Random vectors of width 4 for the eight items; what is read and what is multiplied differ."""
    random = np.random.default_rng(1)
    inputs = np.vstack((random.normal(size=(8, 4)), np.zeros((1, 4)))).astype(np.float32)
    return ItemVectors(inputs, random.normal(size=(8, 4)).astype(np.float32))


@pytest.fixture(scope="session")
def index(vectors: ItemVectors) -> VectorIndex:
    return VectorIndex.build(vectors.outputs)
