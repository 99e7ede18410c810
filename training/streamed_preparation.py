"""Streamed preparation: what `Preparation.of` makes of a data set, in memory that does not grow with its events.

Users are put into buckets on disk; each bucket is cleaned and split alone, by the same code as a set in memory, and its
training events appended to mapped files. In memory are the ids, a few numbers for each user and item, and the events of
the users who validate and test.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from engine.errors import ConfigError, DataError
from engine.vocabulary import Vocabulary
from training.cleaning import REPORTED_ROWS, CleaningReport, Finding, clean
from training.config import TrainingConfig
from training.dataset import ALL, Dataset
from training.event_buckets import BATCH, BUCKET, EventBuckets, Names, Records
from training.preparation import Preparation, Stored, check_enough, window_of
from training.split import Split, leave_one_out
from training.stored_events import StoredEvents, StoredEventsWriter

BUCKETS, TRAIN = "buckets", "train"
NEEDS_ALL = "needs all events at once, and they are streamed"


def streamed(
    dataset: Dataset, config: TrainingConfig, folder: Path, *, bucket: int = BUCKET, batch: int = BATCH
) -> Preparation:
    """Prepare a data set with its events in `folder`, which is made anew.

    At most `batch` events of the source, or `bucket` events and one user's, are in memory at once. Raises ConfigError
    for what needs all events at once, DataError for data that must be cleaned as a whole.
    """
    check_streamable(dataset, config)
    events = dataset.parts[ALL]
    _check_complete(dataset.name, events)
    _clear(folder)
    names, sizes = Names.of(events)
    buckets = EventBuckets(folder / BUCKETS, names, sizes, bucket)
    buckets.fill(events, batch)
    return _Streamed(dataset, config, names).preparation(buckets, folder / TRAIN)


def check_streamable(dataset: Dataset, config: TrainingConfig) -> None:
    """Raise ConfigError naming the first setting that streaming has no way for."""
    rules = config.cleaning
    settings = {
        "split = 'global_time'": config.split == "global_time",
        "cleaning.min_item_events above 1": rules.min_item_events > 1,
        "cleaning.missing_rating = 'item_mean'": rules.missing_rating == "item_mean",
        "cleaning.order = 'random'": rules.order == "random",
        "refit = true": config.refit,
        "content.model": config.content.model != "none",
        "ranker.model (set it to 'none')": config.ranker.model != "none",
        "ratings.model (set it to 'bias')": config.ratings.model != "bias",
        f"retriever.model = {config.retriever.model!r}": config.retriever.kind == "neighbours",
        "report (set it to false)": config.report,
        "a negative weight in window.event_weights": min(config.window.event_weights.values(), default=0.0) < 0,
    }
    if wrong := [name for name, asked in settings.items() if asked]:
        raise ConfigError(f"{wrong[0]} {NEEDS_ALL}; change it, or set stream = false")
    if set(dataset.parts) != {ALL}:
        raise ConfigError(f"{dataset.name} brings its own split, which {NEEDS_ALL}; set stream = false")


def _clear(folder: Path) -> None:
    """Delete what an earlier preparation has left; raises ConfigError if there is anything else."""
    if not folder.exists():
        return
    if strange := sorted({each.name for each in folder.iterdir()} - {BUCKETS, TRAIN}):
        raise ConfigError(
            f"{folder} holds {strange[0]}, which is not of streamed events; move it or choose another --out"
        )
    shutil.rmtree(folder)


def _check_complete(name: str, events: pl.LazyFrame) -> None:
    """Raise DataError where what becomes of one event depends on whether others have a rating or a time."""
    missing = (pl.col("kind") == "rating") & pl.col("value").is_null()
    facts = events.select(
        pl.len().alias("events"),
        pl.col("timestamp").count().alias("timed"),
        missing.sum().alias("unrated"),
        (pl.col("kind") == "rating").sum().alias("ratings"),
    )
    count, clocks, unrated, ratings = facts.collect(engine="streaming").row(0)
    if clocks not in (0, count):
        raise DataError(f"{name}: {count - clocks:,} of {count:,} events have no timestamp; leave them out to stream")
    if unrated not in (0, ratings):
        raise DataError(f"{name}: {unrated:,} of {ratings:,} ratings have no value; leave them out to stream")


class _Streamed:
    """Cleans and splits bucket by bucket, and gathers what is known of all of them."""

    def __init__(self, dataset: Dataset, config: TrainingConfig, names: Names) -> None:
        self._dataset, self._config, self._names = dataset, config, names
        self._reports: list[CleaningReport] = []
        self._held: dict[str, list[pl.DataFrame]] = {"valid": [], "test": []}
        self._facts: list[pl.DataFrame] = []
        self._met = np.zeros(len(names.items), dtype=bool)

    def preparation(self, buckets: EventBuckets, folder: Path) -> Preparation:
        config, names = self._config, self._names
        with StoredEventsWriter(folder, names) as writer:
            for records in buckets.drain():
                writer.append(self._train(records))
        if not writer.counts.sum():
            raise DataError(f"{self._dataset.name}: no training event is left")
        events = writer.finished()
        vocabulary = Vocabulary(names.items.gather(events.items))
        check_enough(self._dataset.name, int(events.offsets[-1]), len(events.users), len(vocabulary))
        facts = pl.concat(self._facts)
        window = window_of(facts, config, has_clock=facts["timestamp"].null_count() == 0)
        events.weigh(names, window)
        stored = Stored(events.interactions(names, vocabulary), events.digest())
        split = self._sampled(events)
        reports = {ALL: merged(self._reports, int(self._met.sum()))}
        return Preparation.described(self._dataset, split, vocabulary, window, reports, stored)

    def _train(self, records: Records) -> pl.DataFrame:
        """Clean and split a bucket, and return its training events."""
        cleaned, report = clean(self._names.frame(records).lazy(), self._config.cleaning)
        split = leave_one_out(cleaned)
        self._reports.append(report)
        self._met[self._names.codes("item_id", cleaned["item_id"].unique())] = True
        for name, parts in self._held.items():
            parts.append(self._names.shortened(getattr(split, name)))
        extremes = (pl.concat_list(pl.col(name).min(), pl.col(name).max()) for name in ("value", "timestamp"))
        self._facts.append(split.train.group_by("kind").agg(*extremes).explode("value", "timestamp"))
        return split.train

    def _sampled(self, events: StoredEvents) -> Split:
        """Return all events of the users who validate and test, drawn as `Evaluation` draws them."""
        held = {name: pl.concat(parts) for name, parts in self._held.items()}
        users = held["valid"]["user_id"].unique().cast(pl.String).sort()
        if len(users) > self._config.validation_users:
            random = np.random.default_rng(self._config.seed)
            users = users.gather(np.sort(random.choice(len(users), self._config.validation_users, replace=False)))
        drawn = pl.col("user_id").cast(pl.String).is_in(users.implode())
        chosen = {name: frame.filter(drawn) for name, frame in held.items()}
        strings = [pl.col(name).cast(pl.String) for name in ("user_id", "item_id", "kind")]
        valid, test = (chosen[name].with_columns(strings) for name in ("valid", "test"))
        return Split(events.frame(self._names, self._names.codes("user_id", users)), valid, test, "leave_one_out")


def merged(reports: Sequence[CleaningReport], items: int) -> CleaningReport:
    """Return the report of all buckets together."""
    found: dict[tuple[str, str], list[Finding]] = {}
    for finding in (each for report in reports for each in report.findings):
        found.setdefault((finding.rule, finding.action), []).append(finding)
    scales = [report.rating_scale for report in reports if report.rating_scale]
    return CleaningReport(
        rows_in=sum(report.rows_in for report in reports),
        rows_out=sum(report.rows_out for report in reports),
        users=sum(report.users for report in reports),
        items=items,
        rating_scale=(min(low for low, _ in scales), max(high for _, high in scales)) if scales else None,
        findings=tuple(_together(*key, each) for key, each in found.items()),
    )


def _together(rule: str, action: str, findings: Sequence[Finding]) -> Finding:
    rows = sorted(row for each in findings for row in each.rows)[:REPORTED_ROWS]
    return Finding(rule=rule, action=action, count=sum(each.count for each in findings), rows=tuple(rows))
