"""`liverec compress`: a smaller bundle that answers nearly as well."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from liverec.data_arguments import (
    DATA_HELP,
    DEFAULT_CACHE,
    Archive,
    Cache,
    Columns,
    Configs,
    Items,
    Media,
    Sets,
    Tenant,
    data_options,
)
from liverec.training_packages import need_training

NOTHING_SMALLER = 1
MostLoss = Annotated[float, typer.Option(min=0, max=1, help="The share of NDCG@10 that may be lost.")]


def compress(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="The bundle folder.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The bundle folder to write.")],
    source: Annotated[str, typer.Option("--data", help=DATA_HELP)] = "ml-100k",
    most_loss: MostLoss = 0.003,
    archive: Archive = None,
    tenant: Tenant = "",
    items: Items = None,
    media: Media = None,
    column: Columns = None,
    config: Configs = None,
    setting: Sets = None,
    cache: Cache = DEFAULT_CACHE,
) -> None:
    """Try vectors of fewer bytes, networks of whole numbers and shorter tables of neighbours, on validation events.

    The smallest form within the loss is written, without the report. Ends with exit code 1 if nothing smaller is.
    """
    need_training()
    from liverec.compressing import compress

    options = data_options(source, cache, column, items, config, setting, media, archive, tenant)
    if not compress(options, bundle, out, most_loss):
        raise typer.Exit(NOTHING_SMALLER)
