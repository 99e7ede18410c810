"""Backup commands: `liverec backup` and `liverec restore`."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer

from liverec.training_packages import need_polars

Tenant = Annotated[str, typer.Option(help="Whose part of the store; that of no tenant by default.")]


def backup(
    out: Annotated[Path, typer.Option(help="A folder, which must not exist.")],
    tenant: Tenant = "",
) -> None:
    """Copy all that the store at REDIS_URL keeps, while it is used: histories, log, event_ids, items."""
    _module().backup(out, tenant)


def restore(
    folder: Annotated[Path, typer.Argument(metavar="BACKUP", help="What `liverec backup` wrote.")],
    archive: Annotated[
        Path | None, typer.Option(help="What `liverec archive` writes: its events since the backup come back too.")
    ] = None,
    without_archive: Annotated[
        bool, typer.Option("--without-archive", help="Give up the archive that the store had.")
    ] = False,
    tenant: Tenant = "",
) -> None:
    """Put a backup into the empty store at REDIS_URL, before a service uses it. Stopped, it goes on when repeated."""
    _module().restore(folder, tenant, archive, is_without=without_archive)


def _module() -> ModuleType:
    need_polars()
    # Serving must not import polars.
    from liverec import backup

    return backup
