"""The canonical event frame: user_id, item_id, kind, value, timestamp, row.

user_id, item_id and kind are String, value and timestamp Float64, row UInt64. value is null for an event without a
rating; timestamp is unix seconds; row is the line (Parquet: the record) of the source file, from 1. The order of a
user's events is (timestamp, row).
"""

from collections.abc import Mapping

import polars as pl

from engine.errors import DataError
from training.columns import EVENT_COLUMNS, find_columns
from training.tables import ROW, Table, reading

COLUMNS = ("user_id", "item_id", "kind", "value", "timestamp", "row")
SHOWN_ROWS = 5

# Seconds reach 1e11 in the year 5138, milliseconds reached it in 1973; likewise for the finer units.
UNIT_LIMITS = (1e11, 1e14, 1e17)
ISO_FORMATS = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d")
ISO_FORMAT_WITH_ZONE = "%Y-%m-%d %H:%M:%S%.f%#z"


def canonical_events(table: Table, requested: Mapping[str, str]) -> pl.LazyFrame:
    """Bring a table into the canonical form, lazily, after one streaming pass that checks all of it.

    - kind: the file's own, where it has one; else "rating" if the file holds any rating (so a null value there is a
      *missing rating*, which cleaning decides about), else "view".
    - timestamp: numbers are seconds, milliseconds, microseconds or nanoseconds by the magnitude that most of them have
      (from 1e11, 1e14 and 1e17 on); text is ISO 8601, UTC where it names no zone.

    Raises DataError on missing or ambiguous columns, a file without rows, unreadable bytes, or numbers and times that
    cannot be parsed (with their rows).
    """
    found = find_columns(table.path, table.columns, EVENT_COLUMNS, ("user_id", "item_id"), requested)
    raw = table.frame.select(pl.col(ROW).alias("row"), *(pl.col(c).alias(name) for name, c in found.items()))
    with reading(table):
        types = raw.collect_schema()
    ids = [identifier(name, types[name]) for name in ("user_id", "item_id")]
    value = _number(table, found, types, "value")
    numbers = _number(table, found, types, "timestamp")
    facts = _survey(table, raw, [*ids, value.alias("value"), numbers.alias("timestamp")])
    _require_parsed(table, raw, value.alias("value"), facts)
    timestamp = _timestamp(table, raw, numbers, facts)
    kind = _kind("kind" in found, value, has_values=facts["value"] > 0)
    return raw.select(*ids, kind.alias("kind"), value.alias("value"), timestamp.alias("timestamp"), "row")


def _survey(table: Table, raw: pl.LazyFrame, parsed: list[pl.Expr]) -> dict[str, int]:
    """Count the rows, what is there and what can be parsed; unreadable ids fail here, where the file can be named."""
    numbers = parsed[-1]
    counts = [expression.count() for expression in parsed]
    present = [_filled(raw, name).count().alias(f"{name} present") for name in ("value", "timestamp")]
    units = [(numbers.abs() >= limit).sum().alias(f"from {limit:g}") for limit in UNIT_LIMITS]
    with reading(table):
        query = raw.select(pl.len().alias("rows"), *counts, *present, *units)
        facts: dict[str, int] = query.collect(engine="streaming").row(0, named=True)
    if not facts["rows"]:
        raise DataError(f"{table.path}: there is a header but no events. Was the file written completely?")
    return facts


def _require_parsed(table: Table, raw: pl.LazyFrame, parsed: pl.Expr, facts: Mapping[str, int]) -> None:
    name = parsed.meta.output_name()
    if facts[name] == facts[f"{name} present"]:
        return
    bad = raw.filter(_filled(raw, name).is_not_null() & parsed.is_null())
    with reading(table):
        rows = bad.select("row", name).head(SHOWN_ROWS).collect(engine="streaming").rows()
    listed = ", ".join(f"row {row}: {text!r}" for row, text in rows)
    raise DataError(
        f"{table.path}: {facts[name + ' present'] - facts[name]} values cannot be read as {name}: {listed}. Correct "
        f"them, or leave the field empty where nothing is known, or choose another column by --column {name}=NAME."
    )


def _timestamp(table: Table, raw: pl.LazyFrame, numbers: pl.Expr, facts: Mapping[str, int]) -> pl.Expr:
    if raw.collect_schema().get("timestamp", pl.Null()).is_temporal():
        return _moment(raw)
    # dates are slow to parse, so they are tried only where numbers failed
    if facts["timestamp"] < facts["timestamp present"]:
        with reading(table):
            dates = raw.select(_iso_seconds().count()).collect(engine="streaming").item()
        if dates > facts["timestamp"]:
            _require_parsed(table, raw, _iso_seconds(), {**facts, "timestamp": dates})
            return _iso_seconds()
    _require_parsed(table, raw, numbers.alias("timestamp"), facts)
    steps = sum(facts[f"from {limit:g}"] * 2 > facts["timestamp"] for limit in UNIT_LIMITS)
    return _divided(numbers, 1000.0**steps) if steps else numbers


def _moment(raw: pl.LazyFrame) -> pl.Expr:
    zone = getattr(raw.collect_schema()["timestamp"], "time_zone", None)
    return _divided(pl.col("timestamp").cast(pl.Datetime("us", zone)).dt.epoch("us"), 1e6)


def _iso_seconds() -> pl.Expr:
    text = _text("timestamp").str.replace("T", " ", literal=True).str.replace(r"Z$", "+00:00")
    local = [text.str.to_datetime(f, strict=False, time_unit="us").dt.replace_time_zone("UTC") for f in ISO_FORMATS]
    zoned = text.str.to_datetime(ISO_FORMAT_WITH_ZONE, strict=False, time_unit="us")
    return _divided(pl.coalesce(*local, zoned).dt.epoch("us"), 1e6)


def _divided(units: pl.Expr, per_second: float) -> pl.Expr:
    # polars multiplies by the reciprocal, which is often off by the last bit; whole microseconds come out exact
    return (units / per_second).round(6)


def _number(table: Table, found: Mapping[str, str], types: pl.Schema, name: str) -> pl.Expr:
    if name not in found or (name == "timestamp" and types[name].is_temporal()):
        return pl.lit(None, dtype=pl.Float64)
    if types[name] == pl.String:
        return _text(name).cast(pl.Float64, strict=False)
    if types[name].is_numeric() or types[name] in (pl.Boolean, pl.Null):
        return pl.col(name).cast(pl.Float64)
    raise DataError(
        f"{table.path}: column {found[name]!r} has type {types[name]}, which is no {name}. Save it as numbers."
    )


def identifier(name: str, dtype: pl.DataType) -> pl.Expr:
    """Read a column of ids as String."""
    column = pl.col(name)
    if dtype.is_float():
        # a column of whole numbers with gaps is often stored as floats; the id is 7, not 7.0
        filled = column.fill_nan(None)
        whole = filled.cast(pl.Int64, strict=False)
        return pl.when(whole == filled).then(whole.cast(pl.String)).otherwise(filled.cast(pl.String)).alias(name)
    return column.cast(pl.String)


def _kind(given: bool, value: pl.Expr, *, has_values: bool) -> pl.Expr:
    if not given:
        return pl.lit("rating" if has_values else "view")
    rated = pl.when(value.is_not_null()).then(pl.lit("rating")).otherwise(pl.lit("view"))
    named = pl.col("kind").cast(pl.String)
    return pl.coalesce(pl.when(named != "").then(named), rated)


def _filled(raw: pl.LazyFrame, name: str) -> pl.Expr:
    dtype = raw.collect_schema().get(name)
    if dtype is None:
        return pl.lit(None)
    return _text(name) if dtype == pl.String else pl.col(name)


def _text(name: str) -> pl.Expr:
    # replace("", None) would say the same, but does not stream
    stripped = pl.col(name).str.strip_chars()
    return pl.when(stripped != "").then(stripped)
