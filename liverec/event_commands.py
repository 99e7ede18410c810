"""The commands of events: `liverec archive`, and `liverec events --help`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from liverec.training_packages import need_polars

events_cli = typer.Typer(no_args_is_help=True, help="The events that came while the service ran.")
Tenant = Annotated[str, typer.Option(help="Whose events; without it, those of no tenant.")]
ArchiveFolder = Annotated[Path | None, typer.Option("--archive", help="The folder that `liverec archive` writes.")]


def archive(
    out: Annotated[Path, typer.Option(help="The folder of the archive; it is made if it is not there.")],
    every: Annotated[float, typer.Option(min=0, max=86_400, help="Seconds between two rounds.")] = 60.0,
    once: Annotated[bool, typer.Option("--once", help="Archive what is there now, and end.")] = False,
    keep_days: Annotated[
        int | None, typer.Option(min=1, help="Delete events after so many whole days; else LIVEREC_ARCHIVE_DAYS.")
    ] = None,
    tenant: Tenant = "",
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Begin here though the store's events went to another archive.")
    ] = False,
) -> None:
    """Move the events of the store at REDIS_URL into Parquet files, each once, until it is stopped."""
    need_polars()
    from liverec.event_archiving import EventArchiving

    EventArchiving(out, tenant, keep_days, takes_over=take_over).run(every, once=once)


@events_cli.command("export")
def export_events(
    out: Annotated[Path, typer.Option(help="A .parquet, .csv or .jsonl file.")],
    archive: ArchiveFolder = None,
    tenant: Tenant = "",
) -> None:
    """Write all events to one table: those of the archive, and those in the store at REDIS_URL beyond them."""
    need_polars()
    from liverec.event_export import export_events

    export_events(out, archive, tenant)


@events_cli.command("import")
def import_events(
    file: Annotated[Path, typer.Argument(help="A .parquet, .csv or .jsonl file, as export writes it.")],
    archive: ArchiveFolder = None,
    tenant: Tenant = "",
) -> None:
    """Write the events of a table to the store at REDIS_URL. Repeating it counts nothing twice."""
    need_polars()
    from liverec.event_import import import_events

    import_events(file, archive, tenant)


@events_cli.command("verify")
def verify_events(archive: ArchiveFolder = None, tenant: Tenant = "") -> None:
    """Check the archive, and that every history in the store at REDIS_URL is what the events make of it.

    Ends with exit code 1 if anything is wrong.
    """
    need_polars()
    from liverec.event_verification import verify_events

    if not verify_events(archive, tenant):
        raise typer.Exit(1)
