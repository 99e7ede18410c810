"""Particulars: what was trained on what, as pairs of a label and a text."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from engine.bundle import Bundle
from engine.manifest import ContentSection, RankerSection, RatingSection, SourceSection
from training.cleaning import CleaningReport
from training.report.grid import MISSING, Column, Grid, Row
from training.report.run import Run

PROTOCOLS = {
    "leave_one_out": "leave one out: each user's last event is the test, the one before it validates",
    "global_time": "global time: the last tenth of all events is the test, the tenth before it validates",
    "given": "given: the parts that the data brings",
}
Particulars = list[tuple[str, str]]


def data_particulars(run: Run) -> Particulars:
    """Return what the networks were trained and measured on."""
    data, split, window = run.manifest.data, run.preparation.split, run.manifest.window
    ratings = run.manifest.ratings
    low, high = window.rating_scale
    return [
        ("Data", data.name),
        ("Split", PROTOCOLS.get(data.protocol, data.protocol)),
        ("Training events", f"{data.events:,} of {data.users:,} users on {data.items:,} items"),
        ("Validation events", _counted(split.valid)),
        ("Test events", _counted(split.test)),
        *_new_items(run.bundle),
        ("Ratings", "none" if ratings is None else f"{low:g} to {high:g}, {ratings.mean:.2f} on average"),
        ("History", f"the newest {window.max_length:,} events of a user are read"),
        ("Digest of the events", data.digest[:12]),
    ]


def training_particulars(run: Run) -> Particulars:
    """Return what was trained, how, and with what."""
    manifest = run.manifest
    first, *others = manifest.sources
    libraries = ", ".join(f"{name} {version}" for name, version in manifest.libraries.items())
    return [
        ("Retriever", _source(first)),
        *[("Further source", _source(each)) for each in others],
        *_indexes(run.bundle),
        ("Ranker", _ranker(manifest.ranker)),
        *_content(manifest.content),
        *[("Rating predictor", each) for each in _rating_predictor(manifest.ratings)],
        *([("Refit", "trained and counted again, on train and valid")] if run.manifest.refit else []),
        ("Seed", str(manifest.seed)),
        ("Precision", manifest.precision),
        ("Training took", duration(manifest.training_seconds)),
        ("Finished", f"{datetime.fromisoformat(manifest.created_at):%Y-%m-%d %H:%M} UTC"),
        ("Version", f"liverec {manifest.liverec_version}, git revision {manifest.git_revision[:12]}"),
        ("Digest of the run", manifest.run_digest[:12]),
        ("Libraries", libraries),
    ]


def _indexes(bundle: Bundle) -> Particulars:
    """Return what an index that is not exact finds."""
    settings = {name: each.index.settings for name, each in bundle.encoded.items() if each.index is not None}
    return [
        (f"Index of {name}", f"{each.kind}, finds {each.recall:.1%} of the best {each.k} (wanted: {each.wanted:.0%})")
        for name, each in settings.items()
        if each.kind != "flat" and each.recall is not None and each.wanted is not None
    ]


def cleaning_grids(reports: dict[str, CleaningReport]) -> list[Grid]:
    """Lay out what cleaning found in each part of the data."""
    names = ("events read", "events kept", "users", "items")
    columns = (*map(Column, names), Column("ratings"))
    counts = Grid("Events before and after cleaning", columns, tuple(map(_counts, reports.items())), "Part")
    found = tuple(
        Row(part, (each.rule, each.action, f"{each.count:,}", ", ".join(f"{row}" for row in each.rows[:5])))
        for part, report in reports.items()
        for each in report.findings
    )
    columns = (Column("rule", is_text=True), Column("action", is_text=True), Column("events"), Column("first rows"))
    return [counts, Grid("What was wrong, and what was done", columns, found, "Part")] if found else [counts]


def duration(seconds: float) -> str:
    """Write a time as people say it."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {left} s"


def _counted(part: pl.DataFrame) -> str:
    return f"{len(part):,} of {part['user_id'].n_unique():,} users" if len(part) else "none"


def _counts(named: tuple[str, CleaningReport]) -> Row:
    part, report = named
    scale = MISSING if report.rating_scale is None else "{:g} to {:g}".format(*report.rating_scale)
    numbers = (report.rows_in, report.rows_out, report.users, report.items)
    return Row(part, (*(f"{number:,}" for number in numbers), scale))


def _source(section: SourceSection) -> str:
    learned = f", {section.parameters:,} parameters" if section.kind == "network" else ""
    return f"{section.model}{learned}, {section.depth} candidates"


def _ranker(section: RankerSection | None) -> str:
    if section is None:
        return "none: the retrieved order is served"
    return f"{section.model}, {section.parameters:,} parameters, {len(section.features)} features of each candidate"


def _new_items(bundle: Bundle) -> Particulars:
    count = 0 if bundle.items_content is None else len(bundle.items_content.newcomers.vocabulary)
    return [("New items", f"{count:,} more are described, which no training event knows")] if count else []


def _content(section: ContentSection | None) -> Particulars:
    if section is None:
        return []
    parts = [name for name, part in section.spec if part]
    ranking = f"NDCG@10 of items that it was taught without {section.score:.4f}"
    return [("Content network", f"reads {', '.join(parts)}, {section.parameters:,} parameters, {ranking}")]


def _rating_predictor(section: RatingSection | None) -> list[str]:
    if section is None:
        return []
    return [f"{section.model}, {section.parameters:,} parameters" if section.parameters else section.model]
