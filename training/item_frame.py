"""The canonical item frame: item_id, title, categories, year, description, image, audio, and what else the file has."""

from collections.abc import Mapping

import polars as pl

from engine.errors import DataError
from training.columns import ITEM_COLUMNS, find_columns, plain_name
from training.event_frame import identifier
from training.tables import ROW, Table, reading

NO_CATEGORIES = "(no genres listed)"
YEAR_IN_TITLE = r"\((\d{4})(?:\s*[-–]\s*\d{0,4})?\)\s*$"
SCHEMA = pl.Schema(
    {
        "item_id": pl.String(),
        "title": pl.String(),
        "categories": pl.List(pl.String()),
        "year": pl.Int32(),
        "description": pl.String(),
        "image": pl.String(),
        "audio": pl.String(),
    }
)
FOLDER = "__folder__"
"""The column, of the frame alone, with the folder that image and audio stand in."""


def canonical_items(table: Table, requested: Mapping[str, str], category_separator: str = "|") -> pl.LazyFrame:
    """Bring a table of items into the canonical form, lazily, after one streaming pass over the ids.

    A column that the file lacks is null, except year, which is then read off a title such as "Heat (1995)". Categories
    without an entry are an empty list. Other columns follow as String under their own names. Raises DataError if there
    is no item_id column, no row in a text, an item without an id, or an id that occurs twice.
    """
    requested = _for_items(table, requested)
    found = find_columns(table.path, table.columns, ITEM_COLUMNS, ("item_id",), requested)
    with reading(table):
        types = table.frame.collect_schema()
    canonical = [_canonical(name, found, types, category_separator) for name in ITEM_COLUMNS]
    items = table.frame.select(*canonical, *_extras(table, found))
    _require_unique(table, items)
    return items


def year_of(text: pl.Expr) -> pl.Expr:
    """Read the year off the end of a title, "(1995)" or "(1995-1998)"; null where there is none."""
    return text.str.extract(YEAR_IN_TITLE).cast(pl.Int32)


def split_categories(text: pl.Expr, separator: str) -> pl.Expr:
    """Split a text into its categories; nothing, or MovieLens' "(no genres listed)", is an empty list."""
    filled = text.fill_null("").replace(NO_CATEGORIES, "")
    return filled.str.split(separator).list.filter(pl.element().str.strip_chars() != "")


def _for_items(table: Table, requested: Mapping[str, str]) -> dict[str, str]:
    # item_id may be requested for the events file alone; its name in the items file is then found as usual
    return {
        name: column
        for name, column in requested.items()
        if name in ITEM_COLUMNS and (name != "item_id" or column in table.columns)
    }


def _canonical(name: str, found: Mapping[str, str], types: pl.Schema, category_separator: str) -> pl.Expr:
    if name not in found:
        by_title = name == "year" and "title" in found
        return (year_of(pl.col(found["title"])) if by_title else pl.lit(None, dtype=SCHEMA[name])).alias(name)
    column = pl.col(found[name])
    if name == "item_id":
        return identifier(found[name], types[found[name]]).alias(name)
    if name == "categories":
        listed = isinstance(types[found[name]], pl.List)
        values = (
            column.cast(pl.List(pl.String)).fill_null([]) if listed else split_categories(column, category_separator)
        )
        return values.alias(name)
    if name == "year":
        return column.cast(pl.String).str.extract(r"(\d{4})").cast(pl.Int32).alias(name)
    return column.cast(pl.String).alias(name)


def _extras(table: Table, found: Mapping[str, str]) -> list[pl.Expr]:
    used = {*found.values(), *ITEM_COLUMNS, ROW}
    names = [name for name in table.columns if name not in used and plain_name(name) not in ITEM_COLUMNS]
    types = table.frame.collect_schema()
    # Lists and structs are metadata as they are; everything else is kept as text.
    nested = [pl.col(name) if types[name].is_nested() else pl.col(name).cast(pl.String) for name in names]
    return [column.alias(plain_name(name)) for column, name in zip(nested, names, strict=True)]


def _require_unique(table: Table, items: pl.LazyFrame) -> None:
    ids = pl.col("item_id")
    repeated = items.group_by("item_id").len().filter((pl.col("len") > 1) | ids.is_null() | (ids == ""))
    with reading(table):
        rows = items.select(pl.len()).collect(engine="streaming").item()
        bad = repeated.select("item_id").sort("item_id").head(5).collect(engine="streaming").to_series().to_list()
    # A Parquet file is whole or unreadable; what was exported from an empty store has no row.
    if not rows and table.path.suffix != ".parquet":
        raise DataError(f"{table.path}: there is a header but no items. Was the file written completely?")
    if bad:
        raise DataError(f"{table.path}: these item ids are missing or occur twice: {bad}. Keep one row per item.")
