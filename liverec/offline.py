"""Offline: the commands that need the training packages."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl
from rich.console import Console
from rich.table import Table

from app.user_store import UserStore
from archive.manifest import is_archive
from engine.atomic import check_target, write_atomically
from engine.bundle import Bundle
from engine.errors import BundleError, ConfigError, DataError
from engine.recommender import Recommender
from liverec.compressing import compress
from liverec.data_options import DataOptions, named_values
from liverec.tenant_store import TenantStore
from training.baselines import baseline_lists
from training.checkpoint import Checkpoint
from training.cleaning import CleaningRules, clean
from training.config import TrainingConfig
from training.dataset import Dataset
from training.evaluation import Evaluation
from training.interactions import histories_of
from training.item_list import item_list
from training.metrics import ranking_metrics
from training.pipeline import Pipeline
from training.prediction import (
    check_format,
    item_vectors,
    predicted_ratings,
    recommendations,
    user_vectors,
    write_table,
)
from training.preparation import Preparation, joined
from training.report.files import PAGE
from training.selection import Selection
from training.streamed_preparation import streamed

console = Console(stderr=True)
SHOWN = ("NDCG@10", "HR@10", "MRR@10", "NDCG@20", "Recall@20")
Texts = Sequence[str]


def data(options: DataOptions, out: Path | None) -> None:
    """Clean a data set and say what was wrong with it."""
    rules = options.training_config().cleaning
    dataset = options.dataset()
    if dataset.items is not None:
        console.print(f"{dataset.items.collect().height:,} items are described")
    for part, frame in dataset.parts.items():
        cleaned, report = clean(frame, rules)
        console.print(report.table())
        if out is not None:
            write_table(cleaned, out / f"{part}.parquet")
            write_atomically(out / f"cleaning_{part}.json", report.to_json().encode())
    if out is not None:
        console.print(f"cleaned events and reports are in {out}")


def train(
    options: DataOptions, out: Path, *, auto: bool, minutes: float | None, most_loss: float | None = None
) -> None:
    """Train and write a bundle; with `most_loss`, its smallest form within that, the whole one beside it."""
    check_target(out)
    if most_loss is not None:
        whole = out.with_name(f"{out.name}.whole")
        train(options, whole, auto=auto, minutes=minutes)
        if not compress(options, whole, out, most_loss):
            whole.rename(out)
        return
    chosen = options.training_config()
    started = time.perf_counter()
    kept = None if auto else out.with_name(f"{out.name}.events")
    preparation = _prepare(options.dataset(), chosen, kept)
    for report in preparation.reports.values():
        console.print(report.table())
    if minutes is not None and not auto:
        raise ConfigError("--minutes limits the search of --auto; without it there is nothing to stop")
    if auto:
        search = Selection(preparation, chosen, console.print, _kept(out, "search"))
        bundle = search.run(out, None if minutes is None else minutes * 60)
    else:
        bundle = _train(preparation, chosen, out)
    console.print(_metrics_table(f"{preparation.name}, {preparation.split.protocol}", bundle.manifest.metrics))
    if kept is not None and chosen.stream:
        shutil.rmtree(kept)
    console.print(f"bundle {bundle.model_version} is in {out}, after {time.perf_counter() - started:.0f} s")


def _train(preparation: Preparation, config: TrainingConfig, out: Path) -> Bundle:
    checkpoint = Checkpoint(_kept(out, "checkpoint"), config.resumable_digest(preparation.fingerprint()))
    return Pipeline(preparation, config, console.print).run(out, checkpoint)


def _kept(out: Path, kind: str) -> Path:
    folder = out.with_name(f"{out.name}.{kind}")
    if folder.exists():
        console.print(f"going on from {folder}")
    return folder


def evaluate(options: DataOptions, bundle: Path, out: Path | None) -> None:
    """Measure a bundle beside the baselines."""
    opened = Bundle.open(bundle)
    chosen = options.training_config()
    preparation = _prepare(options.dataset(), chosen)
    if preparation.digest() != opened.manifest.data.digest:
        raise DataError(
            f"{bundle} was trained on other events than {options.source} gives with these options; train again"
        )
    test = Evaluation.of(preparation.known, preparation.split.test)
    if not len(test):
        raise DataError(f"{options.source} leaves no test events to measure on")
    recommender, manifest = opened.recommender(), opened.manifest
    lists = baseline_lists(preparation, test, chosen)
    lists[f"{manifest.sources[0].model}, retrieved"] = test.lists(recommender.without_ranker())
    if manifest.ranker is not None:
        lists[f"{manifest.ranker.model}, reranked"] = test.lists(recommender)
    rows = {label: ranking_metrics(each, test.wanted) for label, each in lists.items()}
    console.print(_metrics_table(f"{preparation.name}: {len(test):,} users, full ranking", rows))
    if out is not None:
        write_atomically(out, json.dumps(rows, indent=1).encode())


def report(bundle: Path, out: Path) -> None:
    """Copy the report out of a bundle."""
    if PAGE not in Bundle.open(bundle).manifest.files:
        raise BundleError(f"{bundle} has no {PAGE}; train it with --set report=true")
    write_atomically(out, (bundle / PAGE).read_bytes())
    console.print(f"the report is in {out}")


def recommend(
    histories: Sequence[Path],
    out: Path,
    bundle: Path,
    n: int,
    column: Texts,
    cache: Path,
    *,
    only: Path | None,
    retrieved: bool,
) -> None:
    """Recommend to all users of some event files."""
    check_format(out)
    opened = Bundle.open(bundle)
    recommender = opened.recommender().without_ranker() if retrieved else opened.recommender()
    allowed = None if only is None else _allowed(recommender, only, column)
    known = _histories(opened, histories, column, cache)
    user_ids = known["user_id"].unique(maintain_order=True).to_list()
    _write(recommendations(recommender, known, user_ids, n, allowed), out)


def predict_ratings(
    histories: Sequence[Path], out: Path, bundle: Path, wanted: Path, column: Texts, cache: Path
) -> None:
    """Predict the ratings of pairs of users and items."""
    check_format(out)
    opened = Bundle.open(bundle)
    known = _histories(opened, histories, column, cache)
    pairs = pl.concat(DataOptions(str(wanted), cache, column).dataset().parts.values()).collect()
    _write(predicted_ratings(opened, known, _complete(wanted, pairs)), out)


def _write(table: pl.DataFrame, out: Path) -> None:
    write_table(table, out)
    console.print(f"{len(table):,} rows are in {out}")


def _allowed(recommender: Recommender, path: Path, column: Texts) -> frozenset[str]:
    listed = item_list(path, named_values("--column", column))
    known = frozenset(each for each in listed if each in recommender.items.vocabulary)
    if not known:
        raise DataError(f"{path}: the bundle knows none of these items, for example {listed[0]!r}. Give ids it knows.")
    if unknown := len(listed) - len(known):
        console.print(f"the bundle does not know {unknown:,} of the {len(listed):,} items in {path}")
    return known


def export(histories: Sequence[Path], out: Path, bundle: Path, column: Texts, cache: Path) -> None:
    """Write user and item vectors."""
    opened = Bundle.open(bundle)
    users = user_vectors(opened, _histories(opened, histories, column, cache))
    write_table(users, out / "user_vectors.parquet")
    write_table(item_vectors(opened), out / "item_vectors.parquet")
    console.print(f"{len(users):,} user vectors and {len(opened.items):,} item vectors are in {out}")


def load(options: DataOptions) -> None:
    """Put the histories of a data set into the store, into a tenant's namespace if one is named."""
    if is_archive(Path(options.source)):
        raise ConfigError(
            f"{options.source} is an archive: its events would count twice; use `liverec events export` and `import`"
        )
    source = TenantStore.of(options.tenant)
    events = _cleaned(options.dataset(), options.training_config().cleaning)
    user_ids = events["user_id"].unique().to_list()
    count, forgotten = asyncio.run(_load(source, events, user_ids))
    console.print(f"{count:,} events of {len(user_ids) - forgotten:,} users are in the store")
    if forgotten:
        console.print(f"{forgotten:,} users were forgotten there, and their events left out")


async def _load(source: TenantStore, events: pl.DataFrame, user_ids: Sequence[str]) -> tuple[int, int]:
    store = await source.connect()
    try:
        return await store.load(histories_of(events, user_ids)), await UserStore(store).count_forgotten(user_ids)
    finally:
        await store.close()


def _prepare(dataset: Dataset, config: TrainingConfig, kept: Path | None = None) -> Preparation:
    """Prepare a data set; a stream of events is kept in the folder `kept`."""
    with console.status(f"reading {dataset.name}"):
        if config.stream and kept is not None:
            return streamed(dataset, config, kept)
        return Preparation.of(dataset, config)


def _cleaned(dataset: Dataset, rules: CleaningRules) -> pl.DataFrame:
    return joined([clean(frame, rules)[0] for frame in dataset.parts.values()])


def _histories(bundle: Bundle, paths: Sequence[Path], column: Texts, cache: Path) -> pl.DataFrame:
    # The bundle's own rules; but a history is not too short to be answered.
    rules = bundle.manifest.data.cleaning | {"min_user_events": 1, "min_item_events": 1}
    events = [_cleaned(DataOptions(str(path), cache, column).dataset(), CleaningRules(**rules)) for path in paths]
    return joined(events)


def _metrics_table(title: str, rows: Mapping[str, Mapping[str, float]]) -> Table:
    table = Table(title=title)
    table.add_column("")
    for name in SHOWN:
        table.add_column(name, justify="right")
    for label, metrics in rows.items():
        table.add_row(label, *(f"{metrics[name]:.4f}" if name in metrics else "-" for name in SHOWN))
    return table


def _complete(path: Path, pairs: pl.DataFrame) -> pl.DataFrame:
    empty = pairs.filter(pl.any_horizontal(pl.col("user_id", "item_id").fill_null("") == ""))
    if len(empty):
        raise DataError(f"{path}, row {empty['row'][0]}: user_id or item_id is empty; every pair needs both")
    return pairs
