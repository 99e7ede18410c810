"""Prediction: recommendations, ratings and vectors of many users at once, from a bundle to CSV or Parquet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from engine.atomic import atomic_file
from engine.bundle import Bundle
from engine.errors import ConfigError, DataError
from engine.events import History
from engine.query import Query
from engine.recommender import Recommender
from engine.selection import Selection
from training.interactions import histories_of

FORMATS = (".csv", ".parquet")


def recommendations(
    recommender: Recommender,
    histories: pl.DataFrame,
    user_ids: Sequence[str],
    n: int,
    only: frozenset[str] | None = None,
) -> pl.DataFrame:
    """Return the best n items of each user, of `only` these if given, as user_id, item_id, score; best first."""
    chosen = None if only is None else Selection.of_ids(recommender.items, only)
    queries = [Query(history, n, only=chosen) for history in histories_of(histories, user_ids)]
    answers = recommender.recommend(queries)
    rows = [
        (user_id, item.item_id, item.score)
        for user_id, answer in zip(user_ids, answers, strict=True)
        for item in answer.items
    ]
    return pl.DataFrame(rows, {"user_id": pl.String, "item_id": pl.String, "score": pl.Float64}, orient="row")


def predicted_ratings(bundle: Bundle, histories: pl.DataFrame, pairs: pl.DataFrame) -> pl.DataFrame:
    """Return the pairs (user_id, item_id) with a rating each; raises DataError if the data had no ratings."""
    ratings = bundle.recommender().ratings
    if ratings is None:
        raise DataError(f"the bundle was trained on {bundle.manifest.data.name}, which has no ratings to predict from")
    user_ids = pairs["user_id"].unique(maintain_order=True).to_list()
    by_user = dict(zip(user_ids, histories_of(histories, user_ids), strict=True))
    wanted = pairs.group_by("user_id", maintain_order=True).agg("item_id")
    rows = []
    for user_id, item_ids in wanted.iter_rows():
        predicted = ratings.predict(by_user[user_id], bundle.items.vocabulary.indices_of(item_ids))
        rows += [(user_id, item_id, float(value)) for item_id, value in zip(item_ids, predicted, strict=True)]
    return pl.DataFrame(rows, {"user_id": pl.String, "item_id": pl.String, "rating": pl.Float64}, orient="row")


def user_vectors(bundle: Bundle, histories: pl.DataFrame) -> pl.DataFrame:
    """Return user_id and vector [E] of each user in the histories, as the first source has it."""
    user_ids = histories["user_id"].unique().sort().to_list()
    recommender = bundle.recommender()
    loaded: list[History] = histories_of(histories, user_ids)
    pieces = [recommender.user_vectors(loaded[start : start + 256]) for start in range(0, len(loaded), 256)]
    vectors = np.concatenate(pieces) if pieces else np.empty((0, 1), dtype=np.float32)
    return pl.DataFrame({"user_id": pl.Series(user_ids, dtype=pl.String), "vector": vectors})


def item_vectors(bundle: Bundle) -> pl.DataFrame:
    """Return item_id and vector [E] of each item; user vector times item vector is the retrieval score."""
    first = bundle.manifest.sources[0]
    if first.kind != "network":
        raise ConfigError(f"the first source is {first.model}, which has no vectors; train a network as [retriever]")
    vectors = np.array(bundle.encoded[first.name].vectors.outputs)
    return pl.DataFrame({"item_id": bundle.items.vocabulary.ids(), "vector": vectors})


def check_format(path: Path) -> None:
    """Raise ConfigError unless a table can be written under this name."""
    if path.suffix not in FORMATS:
        raise ConfigError(f"{path}: tables are written as {' or '.join(FORMATS)}; choose a name that ends so")


def write_table(table: pl.DataFrame, path: Path) -> None:
    """Write a table whole or not at all; the format goes by the ending."""
    check_format(path)
    with atomic_file(path) as temporary:
        if path.suffix == ".csv":
            table.write_csv(temporary)
        else:
            table.write_parquet(temporary)
