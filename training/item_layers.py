"""Item layers: several files of items, each laid over those before it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import reduce

import polars as pl

from training.item_frame import FOLDER

TEXTS = pl.List(pl.String)
FILES = ("image", "audio")
BELOW = "__below__"


def laid_over(frames: Iterable[pl.LazyFrame]) -> pl.LazyFrame:
    """Join frames of items: the last one that has an item has all of its row, but for files of which it says nothing.

    Where a row names neither image nor audio, what is null stays as the row below has it; an empty text removes. A
    column whose types differ between the frames becomes one of lists of texts.
    """
    return reduce(_over, frames)


def _over(below: pl.LazyFrame, above: pl.LazyFrame) -> pl.LazyFrame:
    above = _with_files(above, below)
    kept = below.join(above.select("item_id"), on="item_id", how="anti")
    schemas = below.collect_schema(), above.collect_schema()
    clashing = [name for name, dtype in schemas[0].items() if schemas[1].get(name, dtype) != dtype]
    columns = [pl.col(name).map_batches(_listed, return_dtype=TEXTS) for name in clashing]
    return pl.concat([kept.with_columns(columns), above.with_columns(columns)], how="diagonal")


def _with_files(above: pl.LazyFrame, below: pl.LazyFrame) -> pl.LazyFrame:
    given = below.collect_schema().names()
    own = above.collect_schema().names()
    files = [name for name in FILES if name in given and name in own]
    if not files:
        return above
    names_none = pl.all_horizontal(pl.col(name).fill_null("") == "" for name in files)
    # A name means nothing without the folder that it stands in.
    merged = {name: pl.coalesce(name, BELOW + name) for name in files}
    merged |= {name: pl.coalesce(BELOW + name, name) for name in (FOLDER,) if name in given and name in own}
    under = below.select("item_id", *(pl.col(name).alias(BELOW + name) for name in merged))
    joined = above.join(under, on="item_id", how="left", maintain_order="left")
    chosen = [pl.when(names_none).then(each).otherwise(pl.col(name)).alias(name) for name, each in merged.items()]
    return joined.with_columns(chosen).drop(BELOW + name for name in merged)


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
