"""Cleaning: which events cannot be trusted, what is done about them, and a report that can be checked by hand."""

import math
import time
from collections.abc import Callable
from typing import Literal, Self

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from rich.table import Table

from engine.errors import DataError
from training.event_frame import COLUMNS

REPORTED_ROWS = 20
ORDER = ("user_id", "timestamp", "row")
PAIR = ("user_id", "item_id")


class CleaningRules(BaseModel):
    """What counts as a bad event and what happens to it."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    rating_scale: tuple[float, float] | None = None
    """Lowest and highest possible rating; others are dropped. None: whatever finite ratings there are."""

    missing_rating: Literal["drop", "user_mean", "item_mean", "implicit"] = "drop"
    """For an event of kind "rating" without a value, where others have one: drop it, fill in the mean of the user's or
    the item's ratings (dropped where there are none), or keep it as a "view". A set without any rating is implicit."""

    conflicting: Literal["last", "first", "mean"] = "last"
    """Which rating stays where a user rated an item more than once; "mean" is their mean at the time of the last."""

    order: Literal["rows", "random"] = "rows"
    """What stands for time in events without timestamps: the order of the rows; or "random", where rows are sorted by
    something that says nothing of time, as their id."""

    max_id_bytes: int = Field(default=256, ge=1)
    """Longest user_id and item_id, in bytes of UTF-8; events with longer ones are dropped."""

    min_user_events: int = Field(default=1, ge=1)
    """Fewest events of a user; others are dropped with their events, repeatedly until all that is left satisfies it."""

    min_item_events: int = Field(default=1, ge=1)
    """Fewest events of an item, likewise."""

    latest_timestamp: float | None = None
    """Unix seconds; later events are dropped. None: the time of cleaning."""

    @model_validator(mode="after")
    def _scale_ascends(self) -> Self:
        low, high = self.rating_scale or (0.0, 1.0)
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError(f"rating_scale ({low}, {high}): two finite numbers, the first below the second")
        return self


class Finding(BaseModel):
    """One rule that applied: how many events, what was done to them ("dropped" or else), and the first 20 rows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rule: str
    action: str
    count: int
    rows: tuple[int, ...]


class CleaningReport(BaseModel):
    """What cleaning found. `rows_in` minus the counts of the dropped gives `rows_out`; `rows` are lines of the source.

    `rating_scale` is the lowest and highest rating that stayed, None without any.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows_in: int
    rows_out: int
    users: int
    items: int
    rating_scale: tuple[float, float] | None
    findings: tuple[Finding, ...]

    def to_json(self) -> str:
        """Write the report as JSON."""
        return self.model_dump_json(indent=2)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote; raises DataError on anything else."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise DataError(
                f"this is no cleaning report ({error.error_count()} errors). Clean the data again."
            ) from error

    def table(self) -> Table:
        """Lay the report out for the terminal."""
        title = f"{self.rows_in:,} events read, {self.rows_out:,} kept: {self.users:,} users, {self.items:,} items"
        if not self.findings:
            return Table(title=f"{title}; nothing had to be cleaned")
        table = Table("rule", "action", "events", "first rows", title=title)
        for finding in self.findings:
            table.add_row(finding.rule, finding.action, f"{finding.count:,}", ", ".join(map(str, finding.rows[:5])))
        return table


class _Ledger:
    """The events that are still in, and what happened to the others."""

    def __init__(self, events: pl.DataFrame) -> None:
        self.events = events
        self.findings: list[Finding] = []

    def note(self, rule: str, action: str, affected: pl.DataFrame) -> None:
        if affected.height:
            rows = affected["row"].sort().head(REPORTED_ROWS).to_list()
            self.findings.append(Finding(rule=rule, action=action, count=affected.height, rows=tuple(rows)))

    def drop(self, rule: str, bad: pl.Expr) -> None:
        # a comparison with null is null, and null means that nothing speaks against the event
        marked = self.events.with_columns(bad.fill_null(value=False).alias("bad"))
        self.note(rule, "dropped", marked.filter("bad"))
        self.events = marked.filter(~pl.col("bad")).drop("bad")

    def change(self, rule: str, action: str, where: pl.Expr, *changes: pl.Expr) -> None:
        self.note(rule, action, self.events.filter(where))
        self.events = self.events.with_columns(
            pl.when(where).then(change).otherwise(change.meta.output_name()) for change in changes
        )


def clean(events: pl.LazyFrame, rules: CleaningRules) -> tuple[pl.DataFrame, CleaningReport]:
    """Apply `STEPS` in their order to a canonical event frame; the result is sorted by (user_id, timestamp, row).

    Clean data come back unchanged, but for their `row` with a random order. Raises DataError if a canonical column is
    missing, or if a random order is asked for events that have a time.
    """
    missing = [name for name in COLUMNS if name not in events.collect_schema()]
    if missing:
        raise DataError(f"the events have no column {', '.join(missing)}. Open them with open_dataset first.")
    read = events.select(COLUMNS).collect(engine="streaming")
    ledger = _Ledger(read.sort("row", maintain_order=True))
    for step in STEPS:
        step(ledger, rules)
    kept = ledger.events.sort(ORDER, maintain_order=True)
    return kept, _report(read.height, kept, ledger.findings)


def _report(rows_in: int, kept: pl.DataFrame, findings: list[Finding]) -> CleaningReport:
    ratings = kept.filter(_is_rating())["value"]
    low, high = ratings.min(), ratings.max()
    return CleaningReport(
        rows_in=rows_in,
        rows_out=kept.height,
        users=kept["user_id"].n_unique(),
        items=kept["item_id"].n_unique(),
        rating_scale=(low, high) if isinstance(low, float) and isinstance(high, float) else None,
        findings=tuple(findings),
    )


def _is_rating() -> pl.Expr:
    return pl.col("kind") == "rating"


def _ids(ledger: _Ledger, rules: CleaningRules) -> None:
    for name in PAIR:
        ledger.drop(f"{name} is missing", pl.col(name).is_null() | (pl.col(name) == ""))
        ledger.drop(
            f"{name} is longer than {rules.max_id_bytes} bytes", pl.col(name).str.len_bytes() > rules.max_id_bytes
        )


def _values(ledger: _Ledger, rules: CleaningRules) -> None:
    ledger.drop("value is not finite", ~pl.col("value").is_finite())
    if rules.rating_scale:
        low, high = rules.rating_scale
        outside = _is_rating() & ~pl.col("value").is_between(low, high)
        ledger.drop(f"rating is outside {low:g} to {high:g}", outside)


def _timestamps(ledger: _Ledger, rules: CleaningRules) -> None:
    latest = time.time() if rules.latest_timestamp is None else rules.latest_timestamp
    timestamp = pl.col("timestamp")
    ledger.drop("timestamp is not finite", ~timestamp.is_finite())
    ledger.drop("timestamp is negative", timestamp < 0)
    ledger.drop("timestamp is in the future", timestamp > latest)


def _partly_missing_timestamps(ledger: _Ledger, _: CleaningRules) -> None:
    if ledger.events["timestamp"].count():
        ledger.drop("timestamp is missing", pl.col("timestamp").is_null())


def _missing_ratings(ledger: _Ledger, rules: CleaningRules) -> None:
    rule, missing = "rating is missing", _is_rating() & pl.col("value").is_null()
    if rules.missing_rating == "implicit" or not ledger.events.filter(_is_rating())["value"].count():
        ledger.change(rule, "kept as view", missing, pl.lit("view").alias("kind"))
    elif rules.missing_rating != "drop":
        group = "user_id" if rules.missing_rating == "user_mean" else "item_id"
        mean = pl.col("value").filter(_is_rating()).mean().over(group).alias("value")
        ledger.change(rule, f"filled with {rules.missing_rating}", missing & mean.is_not_null(), mean)
    ledger.drop(rule, missing)


def _exact_duplicates(ledger: _Ledger, _: CleaningRules) -> None:
    same = pl.struct("user_id", "item_id", "kind", "value", "timestamp")
    ledger.drop("the same event again", ~same.is_first_distinct())


def _conflicting(ledger: _Ledger, rules: CleaningRules) -> None:
    ordered = ledger.events.sort("timestamp", "row", maintain_order=True)
    position = pl.int_range(pl.len()).over(*PAIR, "kind")
    stays = position == (0 if rules.conflicting == "first" else pl.len().over(*PAIR, "kind") - 1)
    if rules.conflicting == "mean":
        mean = pl.col("value").mean().over(*PAIR, "kind")
        ordered = ordered.with_columns(pl.when(_is_rating()).then(mean).otherwise("value").alias("value"))
    ledger.events = ordered
    ledger.drop(f"another rating of the same item ({rules.conflicting} counts)", _is_rating() & ~stays)


def _too_few_events(ledger: _Ledger, rules: CleaningRules) -> None:
    users, items = (pl.len().over(name) for name in PAIR)
    enough = (users >= rules.min_user_events) & (items >= rules.min_item_events)
    before = ledger.events.with_row_index("index")
    kept = before.filter(enough)
    # dropping a user can leave an item with too few events, and the other way round
    while (fewer := kept.filter(enough)).height < kept.height:
        kept = fewer
    rule = f"fewer than {rules.min_user_events} events of the user or {rules.min_item_events} of the item"
    ledger.note(rule, "dropped", before.join(kept, on="index", how="anti"))
    ledger.events = kept.drop("index")


def _order(ledger: _Ledger, rules: CleaningRules) -> None:
    if rules.order == "rows":
        return
    if ledger.events["timestamp"].count():
        raise DataError("cleaning.order = 'random' is for events without timestamps, and these have some; leave it out")
    rows = ledger.events.sort("row")["row"]
    shuffled = rows.gather(np.random.default_rng(0).permutation(len(rows)))
    ledger.events = ledger.events.sort("row").with_columns(shuffled.alias("row"))


STEPS: tuple[Callable[[_Ledger, CleaningRules], None], ...] = (
    _ids,
    _values,
    _timestamps,
    _partly_missing_timestamps,
    _missing_ratings,
    _exact_duplicates,
    _conflicting,
    _too_few_events,
    _order,
)
