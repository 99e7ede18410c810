"""Search: the commands that look for the best config; they need the training packages."""

from __future__ import annotations

from pathlib import Path

import tomli_w
from rich.console import Console
from rich.table import Table

from engine.atomic import check_target, write_atomically
from engine.errors import ConfigError
from liverec.data_options import DataOptions
from training.comparison import Comparison, Contender
from training.comparison import compare as run_comparison
from training.config import load_config
from training.tuning import Tuning, load_space

console = Console(stderr=True)


def compare(options: DataOptions, out: Path) -> None:
    """Train each config on one split and show them side by side."""
    labels = [path.stem for path in options.config]
    if len(set(labels)) < len(labels) or not labels:
        raise ConfigError(f"--config: name at least one file, each with a name of its own (got {labels})")
    configs = {path.stem: load_config([path], options.overrides()) for path in options.config}
    comparison = run_comparison(options.dataset(), configs, out, console.print)
    comparison.save(out)
    console.print(_table(comparison))
    console.print(f"comparison.json, comparison.png and the bundles are in {out}")


def tune(options: DataOptions, space: Path, out: Path, *, journal: Path, trials: int, minutes: float | None) -> None:
    """Search a space of configs by validation, and write the best one as TOML."""
    check_target(out)
    tuning = Tuning(options.dataset(), list(options.config), options.overrides(), load_space(space))
    study = tuning.run(journal, trials, None if minutes is None else minutes * 60, console.print)
    best = tuning.best_config(study).model_dump(mode="json", exclude_defaults=True)
    write_atomically(out, tomli_w.dumps(best).encode())
    console.print(
        f"best of {len(study.trials)} trials: {study.best_value:.4f} with {study.best_params}; it is in {out}"
    )


def _table(comparison: Comparison) -> Table:
    p_values, metric = comparison.p_values(), comparison.metric
    table = Table(title=f"{comparison.name}, test, {comparison.contenders[0].examination.users:,} users")
    table.add_column("")
    for name in (metric, "95 %", "p", "HR@10", "Coverage@10", "train s", "parameters", "MB", "us/request"):
        table.add_column(name, justify="right")
    for each in sorted(comparison.contenders, key=lambda row: -row.examination.means[metric]):
        table.add_row(each.label, *_cells(each, metric, p_values[each.label]))
    return table


def _cells(row: Contender, metric: str, p_value: float) -> list[str]:
    low, high = row.examination.intervals[metric]
    cells = [
        f"{row.examination.means[metric]:.4f}",
        f"{low:.4f}-{high:.4f}",
        f"{p_value:.3f}",
        f"{row.examination.means['HR@10']:.4f}",
        f"{row.examination.beyond_accuracy['Coverage@10']:.3f}",
    ]
    costs = (row.seconds, row.parameters, row.bytes and row.bytes / 1e6, row.microseconds)
    return cells + ["-" if cost is None else f"{cost:,.0f}" for cost in costs]
