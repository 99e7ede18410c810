"""A ring of items with something to steer by: colours, sizes and years; and two sources below a ranker."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
from tiny import TINY
from worlds import markov_chain

from training.config import TrainingConfig
from training.dataset import Dataset
from training.pipeline import Pipeline
from training.preparation import Preparation

COUNT = 30
COLOURS = ("red", "green", "blue")
FIRST_YEAR = 1980
CONFIG: dict[str, Any] = {
    **TINY,
    "window": {"max_length": 12, "event_weights": {"view": 0.5}},
    "report": False,
    "sources": [{"model": "item_knn", "depth": 20}],
}


def number_of(item_id: str) -> int:
    return int(item_id.split()[1])


def metadata_of(item_id: str) -> dict[str, Any]:
    """Return colour and size, by which categories are asked for, and a year of its own."""
    number = number_of(item_id)
    size = "small" if number < COUNT // 2 else "large"
    return {"title": f"the {item_id}", "year": FIRST_YEAR + number, "categories": [COLOURS[number % 3], size]}


def named(count: int) -> tuple[str, ...]:
    return tuple(f"item {number}" for number in range(count))


ITEMS = named(COUNT)


def of_category(category: str, items: Sequence[str] = ITEMS) -> set[str]:
    return {item_id for item_id in items if category in metadata_of(item_id)["categories"]}


def train(folder: Path, items: Sequence[str] = ITEMS) -> Path:
    """Train a bundle that knows the ring and its metadata; takes some seconds."""
    rows = [{"item_id": item_id, **metadata_of(item_id)} for item_id in items]
    users = 80 * max(len(items) // COUNT, 1)
    events = markov_chain(users=users, items=len(items))
    dataset = Dataset("steered", {"all": events.lazy()}, pl.from_dicts(rows).lazy())
    config = TrainingConfig.model_validate(CONFIG)
    Pipeline(Preparation.of(dataset, config), config, print).run(folder)
    return folder
