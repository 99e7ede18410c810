"""A shop: the ring, whose items are of several years and categories; every third has no year."""

from __future__ import annotations

from pathlib import Path

import polars as pl
from tiny import TINY
from worlds import markov_chain

from engine.items import ItemTable
from training.config import TrainingConfig
from training.dataset import Dataset
from training.pipeline import Pipeline
from training.preparation import Preparation


def train_shop(folder: Path) -> Path:
    """Return the folder of the bundle."""
    events = markov_chain()
    numbers = pl.col("item_id").str.replace("item ", "").cast(pl.Int32)
    items = events.select(pl.col("item_id").unique()).with_columns(
        title=pl.lit("the ") + pl.col("item_id"),
        year=pl.when(numbers % 3 > 0).then(1990 + numbers % 7),
        categories=pl.when(numbers % 2 == 0).then(pl.lit("even|all")).otherwise(pl.lit("odd|all")).str.split("|"),
    )
    config = TrainingConfig.model_validate({**TINY, "retriever": {"model": "popularity"}, "ranker": {"model": "none"}})
    Pipeline(Preparation.of(Dataset("shop", {"all": events.lazy()}, items.lazy()), config), config, print).run(folder)
    return folder


def by_popularity(items: ItemTable) -> list[str]:
    return [items.vocabulary.id_of(row) for row in items.popular.first(items.rows.end).tolist()]


def facts(items: ItemTable) -> dict[str, dict[str, object]]:
    return {items.vocabulary.id_of(row): items.metadata_of(row) for row in range(len(items))}
