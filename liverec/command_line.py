"""The command line: `liverec --help`."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from engine.errors import ConfigError, LiverecError
from liverec import backup_commands, event_commands
from liverec.bundle_commands import bundle_cli, sign_with
from liverec.compression_command import compress
from liverec.data_arguments import (
    DATA_HELP,
    DEFAULT_BUNDLE,
    DEFAULT_CACHE,
    Archive,
    BundlePath,
    Cache,
    Columns,
    Configs,
    Histories,
    Items,
    Media,
    Minutes,
    Sets,
    Tenant,
    data_options,
)
from liverec.key_commands import keys_cli
from liverec.training_packages import need_training

FAILURE = 2
console = Console(stderr=True)
cli = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Recommendations that count every rating in the very next answer.\n\nTrain a bundle, then serve it.",
)
items_cli = typer.Typer(no_args_is_help=True, help="The items that came while the service ran.")
cli.add_typer(items_cli, name="items")
cli.command("backup")(backup_commands.backup)
cli.command("restore")(backup_commands.restore)
cli.add_typer(event_commands.events_cli, name="events")
cli.command()(event_commands.archive)
cli.command()(compress)
cli.add_typer(keys_cli, name="keys")
cli.add_typer(bundle_cli, name="bundle")


@cli.command()
def data(
    source: Annotated[str, typer.Argument(metavar="DATA", help=DATA_HELP)] = "ml-100k",
    archive: Archive = None,
    tenant: Tenant = "",
    items: Items = None,
    media: Media = None,
    column: Columns = None,
    config: Configs = None,
    setting: Sets = None,
    cache: Cache = DEFAULT_CACHE,
    out: Annotated[Path | None, typer.Option(help="A folder for the cleaned events and the report.")] = None,
) -> None:
    """Read and clean a data set, and report what was wrong with it."""
    _offline().data(data_options(source, cache, column, items, config, setting, media, archive, tenant), out)


@cli.command()
def train(
    source: Annotated[str, typer.Option("--data", help=DATA_HELP)] = "ml-100k",
    out: Annotated[Path, typer.Option(help="The bundle folder to write.")] = DEFAULT_BUNDLE,
    archive: Archive = None,
    tenant: Tenant = "",
    items: Items = None,
    media: Media = None,
    column: Columns = None,
    config: Configs = None,
    setting: Sets = None,
    cache: Cache = DEFAULT_CACHE,
    auto: Annotated[bool, typer.Option("--auto", help="Choose retriever and ranker by validation.")] = False,
    minutes: Minutes = None,
    compress: Annotated[
        float | None, typer.Option(min=0, max=1, help="Then compress it; the share of NDCG@10 that may be lost.")
    ] = None,
    sign: Annotated[Path | None, typer.Option(help="Sign the bundle with this key of `liverec bundle keygen`.")] = None,
) -> None:
    """Train sources and a ranker, and write the bundle that `liverec serve` opens. Stopped, it goes on where it was."""
    options = data_options(source, cache, column, items, config, setting, media, archive, tenant)
    with sign_with(sign, out):
        _offline().train(options, out, auto=auto, minutes=minutes, most_loss=compress)


@cli.command()
def compare(
    config: Configs = None,
    source: Annotated[str, typer.Option("--data", help=DATA_HELP)] = "ml-100k",
    out: Annotated[Path, typer.Option(help="A folder for bundles, table and picture.")] = Path("bundles/comparison"),
    archive: Archive = None,
    tenant: Tenant = "",
    items: Items = None,
    media: Media = None,
    column: Columns = None,
    setting: Sets = None,
    cache: Cache = DEFAULT_CACHE,
) -> None:
    """Train several configs on one split and measure them side by side: quality, intervals, seconds, size, speed."""
    _search().compare(data_options(source, cache, column, items, config, setting, media, archive, tenant), out)


@cli.command()
def tune(
    space: Annotated[Path, typer.Option(help="A TOML of config keys with the values that each may have.")],
    out: Annotated[Path, typer.Option(help="The TOML to write the best config to.")],
    source: Annotated[str, typer.Option("--data", help=DATA_HELP)] = "ml-100k",
    journal: Annotated[Path, typer.Option(help="Where the trials are kept; a search goes on from it.")] = Path(
        "var/tuning.log"
    ),
    trials: Annotated[int, typer.Option(help="How many trials to add at most.")] = 20,
    minutes: Minutes = None,
    archive: Archive = None,
    tenant: Tenant = "",
    items: Items = None,
    media: Media = None,
    column: Columns = None,
    config: Configs = None,
    setting: Sets = None,
    cache: Cache = DEFAULT_CACHE,
) -> None:
    """Search a space of configs with Optuna, by validation only."""
    options = data_options(source, cache, column, items, config, setting, media, archive, tenant)
    _search().tune(options, space, out, journal=journal, trials=trials, minutes=minutes)


@cli.command()
def evaluate(
    source: Annotated[str, typer.Option("--data", help="The data that the bundle was trained on.")] = "ml-100k",
    bundle: BundlePath = DEFAULT_BUNDLE,
    archive: Archive = None,
    tenant: Tenant = "",
    items: Items = None,
    media: Media = None,
    column: Columns = None,
    config: Configs = None,
    setting: Sets = None,
    cache: Cache = DEFAULT_CACHE,
    out: Annotated[Path | None, typer.Option(help="A JSON file for the table.")] = None,
) -> None:
    """Measure a bundle on the test events, beside popularity and EASE."""
    _offline().evaluate(
        data_options(source, cache, column, items, config, setting, media, archive, tenant), bundle, out
    )


@cli.command()
def report(
    bundle: BundlePath = DEFAULT_BUNDLE,
    out: Annotated[Path, typer.Option(help="The HTML file to write.")] = Path("report.html"),
) -> None:
    """Write the report of a bundle's training as one HTML file: curves, quality, groups, examples, map of the items."""
    _offline().report(bundle, out)


@cli.command()
def recommend(
    histories: Histories,
    out: Annotated[Path, typer.Option(help="A .csv or .parquet file.")],
    bundle: BundlePath = DEFAULT_BUNDLE,
    n: Annotated[int, typer.Option(help="Items for each user, 1..500.")] = 20,
    pairs: Annotated[
        Path | None, typer.Option(help="A table with user_id and item_id: predict these ratings instead of ranking.")
    ] = None,
    retrieved: Annotated[
        bool, typer.Option("--retrieved", help="The first stage's order, without the ranker.")
    ] = False,
    only: Annotated[Path | None, typer.Option(help="A table with item_id: recommend none but these items.")] = None,
    column: Columns = None,
    cache: Cache = DEFAULT_CACHE,
) -> None:
    """Recommend to every user of some event files: user_id, item_id, score (or rating, with --pairs)."""
    if pairs is None:
        _offline().recommend(histories, out, bundle, n, column or [], cache, only=only, retrieved=retrieved)
    elif only is not None:
        raise ConfigError("--only limits a ranking, and --pairs asks for none; give one of the two")
    else:
        _offline().predict_ratings(histories, out, bundle, pairs, column or [], cache)


@cli.command()
def export(
    histories: Histories,
    out: Annotated[Path, typer.Option(help="A folder for user_vectors.parquet and item_vectors.parquet.")],
    bundle: BundlePath = DEFAULT_BUNDLE,
    column: Columns = None,
    cache: Cache = DEFAULT_CACHE,
) -> None:
    """Write the vectors of users and items to Parquet."""
    _offline().export(histories, out, bundle, column or [], cache)


@cli.command()
def load(
    source: Annotated[str, typer.Option("--data", help="Whose histories to load.")] = "ml-100k",
    column: Columns = None,
    config: Configs = None,
    setting: Sets = None,
    cache: Cache = DEFAULT_CACHE,
    tenant: Tenant = "",
) -> None:
    """Put the histories of a data set into the store at REDIS_URL, so that its users are known. Safe to repeat."""
    _offline().load(data_options(source, cache, column, None, config, setting, tenant=tenant))


@items_cli.command("export")
def export_items(
    out: Annotated[Path, typer.Option(help="A folder, which must not exist, for items.parquet and images/.")],
    tenant: Tenant = "",
) -> None:
    """Write the items that came while the service ran, from the store at REDIS_URL, for `liverec train --items`."""
    need_training()
    from liverec.item_export import export_items

    export_items(out, tenant)


@cli.command()
def serve(
    bundle: Annotated[
        Path | None, typer.Option(help="The bundle folder; else LIVEREC_BUNDLE, else bundles/demo.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address; else LIVEREC_HOST, else 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; else LIVEREC_PORT, else 8000.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes; else LIVEREC_WORKERS, else 1.")] = None,
) -> None:
    """Serve a bundle. Without REDIS_URL a private store is started, with its files in var/."""
    # The service takes a second to import, which the other commands do not need.
    from app.server import Server

    Server.of({"bundle": bundle, "host": host, "port": port, "workers": workers}).run()


@cli.command()
def demo(
    port: Annotated[int, typer.Option(help="Port of the service.")] = 8000,
    workers: Annotated[int, typer.Option(help="Processes of the service.")] = 1,
    cache: Cache = DEFAULT_CACHE,
) -> None:
    """Fetch MovieLens 100K, train on it, load its histories and serve: the whole product in one command."""
    need_training()
    from liverec import demonstration

    demonstration.demo(port, workers, cache)


def _offline() -> ModuleType:
    need_training()
    # Serving must not import torch: it costs seconds and hundreds of megabytes.
    from liverec import offline

    return offline


def _search() -> ModuleType:
    need_training()
    from liverec import search

    return search


def main() -> None:
    """Run the command line; what liverec foresees ends with exit code 2 and one message, no traceback."""
    try:
        cli()
    except LiverecError as error:
        # A message may hold brackets, as in liverec[train]; they are not markup.
        console.print(f"[red]liverec:[/red] {escape(str(error))}", soft_wrap=True, highlight=False)
        sys.exit(FAILURE)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        console.print(f"[red]liverec:[/red] {escape(place)}{error.strerror or error}", soft_wrap=True, highlight=False)
        sys.exit(FAILURE)
