"""Compressing: what `liverec compress` and `liverec train --compress` do."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from engine.atomic import check_target
from engine.bundle import Bundle
from engine.errors import DataError
from liverec.data_options import DataOptions
from training.compression import METRIC, CompressedForm, Compression
from training.evaluation import Evaluation
from training.preparation import Preparation

console = Console(stderr=True)


def compress(options: DataOptions, bundle: Path, out: Path, most_loss: float) -> bool:
    """Write the smallest form of a bundle within the loss; return whether there is one that is smaller than it."""
    check_target(out)
    config = options.training_config()
    with console.status(f"reading {options.source}"):
        preparation = Preparation.of(options.dataset(), config)
    if preparation.digest() != Bundle.open(bundle).manifest.data.digest:
        raise DataError(
            f"{bundle} was trained on other events than {options.source} gives with these options; train again"
        )
    split = preparation.split
    evaluation = Evaluation.of(split.train, split.valid, config.validation_users, config.seed)
    found = list[CompressedForm]()
    with console.status("measuring forms"):
        best = Compression(bundle, evaluation, most_loss).run(found.append)
    console.print(_table(found, None if best is None else best[0], len(evaluation)))
    if best is None:
        console.print(f"nothing smaller keeps within a loss of {most_loss:.2%} of {METRIC}; {bundle} stays as it is")
        return False
    saved = best[1].save(out)
    console.print(f"bundle {saved.model_version} is in {out}: {best[0].form}; it loses {best[0].loss:.2%} of {METRIC}")
    return True


def _table(found: list[CompressedForm], chosen: CompressedForm | None, users: int) -> Table:
    table = Table(title=f"forms, smallest first; {users:,} users of the validation events")
    for column in ("form", METRIC, "loss", "KiB", "ms a query"):
        table.add_column(column, justify="left" if column == "form" else "right")
    for each in sorted(found, key=lambda form: form.bytes):
        numbers = f"{each.quality:.4f}", f"{each.loss:+.2%}", f"{each.bytes / 1024:,.0f}", f"{each.milliseconds:.2f}"
        table.add_row(str(each.form), *numbers, style="bold" if each is chosen else None)
    return table
