"""Films of two kinds: who likes one western likes them all, and nobody likes westerns and musicals."""

from __future__ import annotations

from pathlib import Path

import polars as pl
from tiny import TINY
from worlds import checkerboard

from training.config import TrainingConfig
from training.dataset import Dataset
from training.pipeline import Pipeline
from training.preparation import Preparation

FILMS = 48
CONTENT = {"model": "hybrid", "width": 4, "epochs": 2, "fields": {"image": True}}


def train_on_films(folder: Path) -> Path:
    """Train a bundle that reads films: "item 0", a western, "item 1", a musical, and so on."""
    events = checkerboard(users=90, items=FILMS)
    ids = events["item_id"].unique().sort()
    number = pl.col("item_id").str.strip_prefix("item ").cast(pl.Int64)
    category = pl.when(number % 2 == 0).then(pl.lit("Western")).otherwise(pl.lit("Musical"))
    films = pl.DataFrame({"item_id": ids}).with_columns(
        title=category + pl.lit(" ") + pl.col("item_id"), categories=pl.concat_list(category), year=pl.lit(1990)
    )
    config = TrainingConfig.model_validate({**TINY, "content": CONTENT, "report": False})
    dataset = Dataset("films", {"all": events.lazy()}, films.lazy())
    Pipeline(Preparation.of(dataset, config), config, print).run(folder)
    return folder
