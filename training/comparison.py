"""Comparison: several configs trained on one split, measured on its test events, in one table and one picture."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from engine.atomic import write_atomically
from engine.bundle import Bundle
from engine.errors import ConfigError, DataError
from engine.query import Query
from engine.recommender import Recommender
from training.baselines import NAMES, baseline_lists
from training.checkpoint import Checkpoint
from training.config import TrainingConfig
from training.dataset import Dataset
from training.evaluation import Catalogue, Evaluation, Examination
from training.interactions import Interactions
from training.pipeline import Pipeline, Say
from training.preparation import Preparation
from training.significance import paired_comparison

TIMED_REQUESTS = 200


@dataclass(frozen=True, slots=True)
class Contender:
    """One row: what was measured, and what it costs. Baselines cost nothing that is worth a number."""

    label: str
    examination: Examination
    validation: float | None = None
    seconds: float | None = None
    parameters: int | None = None
    bytes: int | None = None
    microseconds: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the row ready for JSON."""
        costs = ("validation", "seconds", "parameters", "bytes", "microseconds")
        return {name: getattr(self, name) for name in costs} | self.examination.as_dict()


@dataclass(frozen=True, slots=True)
class Comparison:
    """Rows of one data set; `metric` decides which is best."""

    name: str
    metric: str
    contenders: Sequence[Contender]

    @property
    def best(self) -> Contender:
        """The row that validation would choose; the test events only show how good it is."""
        return max(self.contenders, key=lambda each: -1.0 if each.validation is None else each.validation)

    def p_values(self) -> dict[str, float]:
        """Return for each row how likely chance alone sets it so far from the best (paired over users)."""
        best = self.best.examination.per_user[self.metric]
        return {
            each.label: paired_comparison(best, each.examination.per_user[self.metric]).p_value
            for each in self.contenders
        }

    def save(self, folder: Path) -> None:
        """Write comparison.json and comparison.png."""
        p_values = self.p_values()
        rows = {each.label: each.as_dict() | {"p_value": p_values[each.label]} for each in self.contenders}
        content = {"data": self.name, "metric": self.metric, "best": self.best.label, "rows": rows}
        write_atomically(folder / "comparison.json", json.dumps(content, indent=1).encode())
        write_atomically(folder / "comparison.png", self.picture())

    def picture(self) -> bytes:
        """Draw the metric of each row with its 95 % interval, and what a request costs beside it."""
        from matplotlib.figure import Figure

        rows = sorted(self.contenders, key=lambda each: each.examination.means[self.metric])
        labels = [each.label for each in rows]
        means = [each.examination.means[self.metric] for each in rows]
        intervals = [each.examination.intervals[self.metric] for each in rows]
        figure = Figure(figsize=(10, 1.2 + 0.34 * len(rows)), layout="constrained")
        quality, cost = figure.subplots(1, 2, sharey=True, width_ratios=(2, 1))
        spread = [[mean - low for mean, (low, _) in zip(means, intervals, strict=True)]]
        spread.append([high - mean for mean, (_, high) in zip(means, intervals, strict=True)])
        quality.barh(labels, means, xerr=spread, color="tab:blue", alpha=0.8, ecolor="0.3", capsize=2)
        quality.set_xlabel(f"test {self.metric}, with 95 % intervals")
        cost.barh(labels, [each.microseconds or 0.0 for each in rows], color="tab:orange", alpha=0.8)
        cost.set_xlabel("microseconds a request")
        encoded = io.BytesIO()
        figure.savefig(encoded, format="png", dpi=110)
        return encoded.getvalue()


def compare(dataset: Dataset, configs: Mapping[str, TrainingConfig], folder: Path, say: Say) -> Comparison:
    """Train each config into folder/label, unless that bundle stands already, and measure all on the same test events.

    Raises ConfigError if a bundle there is of another config, DataError if the configs cut the data differently.
    """
    metric, rows = _metric(configs), list[Contender]()
    _check(dataset, configs)
    for label, config in configs.items():
        preparation = Preparation.of(dataset, config)
        say(f"{label}:")
        bundle = _bundle(preparation, config, folder / label, say)
        if not rows:
            rows += _baselines(preparation, config)
        rows.append(_contender(label, bundle, _test(preparation), folder / label, metric))
    return Comparison(dataset.name, metric, rows)


def _check(dataset: Dataset, configs: Mapping[str, TrainingConfig]) -> None:
    if clash := sorted(set(NAMES) & set(configs)):
        raise ConfigError(f"{clash[0]!r} is what a baseline is called; give the config another name")
    first, *_ = configs.values()
    digest = ""
    for label, config in configs.items():
        if (config.cleaning, config.split) == (first.cleaning, first.split):
            continue
        digest = digest or Preparation.of(dataset, first).digest()
        if Preparation.of(dataset, config).digest() != digest:
            raise DataError(f"{label} cleans or splits {dataset.name} differently; give all configs the same rules")


def _metric(configs: Mapping[str, TrainingConfig]) -> str:
    metrics = {config.metric for config in configs.values()}
    if len(metrics) != 1:
        raise ConfigError(f"the configs name different metrics {sorted(metrics)}; one must decide")
    return metrics.pop()


def _bundle(preparation: Preparation, config: TrainingConfig, folder: Path, say: Say) -> Bundle:
    data = preparation.fingerprint()
    if folder.exists():
        opened = Bundle.open(folder)
        if opened.manifest.run_digest != config.digest(data):
            raise ConfigError(
                f"{folder} is a bundle of other data or another config; delete it, or choose another --out"
            )
        say(f"{folder} stands already")
        return opened
    return Pipeline(preparation, config, say).run(
        folder, Checkpoint(folder.with_name(f"{folder.name}.checkpoint"), config.resumable_digest(data))
    )


def _contender(label: str, bundle: Bundle, test: Evaluation, folder: Path, metric: str) -> Contender:
    manifest, recommender = bundle.manifest, bundle.recommender()
    parameters = sum(source.parameters for source in manifest.sources)
    served = manifest.metrics.get("valid reranked" if manifest.ranker else "valid retrieved", {})
    return Contender(
        label,
        test.examine(recommender, Catalogue.of(bundle)),
        validation=served.get(metric),
        seconds=manifest.training_seconds,
        parameters=parameters + (manifest.ranker.parameters if manifest.ranker else 0),
        bytes=sum(path.stat().st_size for path in folder.iterdir()),
        microseconds=_microseconds(recommender, test),
    )


def _baselines(preparation: Preparation, config: TrainingConfig) -> list[Contender]:
    test = _test(preparation)
    interactions = Interactions.of(preparation.split.train, preparation.vocabulary, preparation.window)
    catalogue = Catalogue(preparation.vocabulary, interactions.popularity)
    lists = baseline_lists(preparation, test, config)
    return [Contender(label, test.examine_lists(each, catalogue)) for label, each in lists.items()]


def _test(preparation: Preparation) -> Evaluation:
    test = Evaluation.of(preparation.known, preparation.split.test)
    if not len(test):
        raise DataError(f"{preparation.name} leaves no test events to measure on")
    return test


def _microseconds(recommender: Recommender, test: Evaluation) -> float:
    """Return the median time of one answer of ten items, for one user at a time."""
    took = []
    ask: Callable[[Query], object] = lambda query: recommender.recommend([query])  # noqa: E731
    for history in test.histories[:TIMED_REQUESTS]:
        started = time.perf_counter()
        ask(Query(history))
        took.append(time.perf_counter() - started)
    return round(median(took) * 1e6, 1)
