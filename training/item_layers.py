"""Item layers: several files of items, each laid over those before it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import reduce

import polars as pl

TEXTS = pl.List(pl.String)


def laid_over(frames: Iterable[pl.LazyFrame]) -> pl.LazyFrame:
    """Join frames of items: the last one that has an item has all of its row.

    A column whose types differ between the frames becomes one of lists of texts.
    """
    return reduce(_over, frames)


def _over(below: pl.LazyFrame, above: pl.LazyFrame) -> pl.LazyFrame:
    kept = below.join(above.select("item_id"), on="item_id", how="anti")
    schemas = below.collect_schema(), above.collect_schema()
    clashing = [name for name, dtype in schemas[0].items() if schemas[1].get(name, dtype) != dtype]
    columns = [pl.col(name).map_batches(_listed, return_dtype=TEXTS) for name in clashing]
    return pl.concat([kept.with_columns(columns), above.with_columns(columns)], how="diagonal")


def _listed(column: pl.Series) -> pl.Series:
    return pl.Series(column.name, [_texts(value) for value in column.to_list()], dtype=TEXTS)


def _texts(value: object) -> list[str] | None:
    if value is None:
        return None
    if isinstance(value, list):
        return [_text(each) for each in value if each is not None]
    return [part for part in _text(value).split("|") if part] if isinstance(value, str) else [_text(value)]


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
