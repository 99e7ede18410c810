"""Event verification: what `liverec events verify` prints."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from app.history_check import HistoryCheck
from app.settings import Settings
from archive.archive_check import ArchiveCheck
from archive.archive_snapshot import ArchiveSnapshot
from archive.finding import Finding
from engine.errors import ConfigError
from liverec.tenant_store import TenantStore

console = Console(stderr=True)


def verify_events(archive: Path | None, tenant: str) -> bool:
    """Check an archive, and the store at REDIS_URL against it; print what was found and return whether all is well."""
    findings = [*(() if archive is None else _of_archive(archive))]
    if TenantStore.is_set():
        # A damaged archive can tell nothing of histories.
        if not any(finding.wrong for finding in findings[:1]):
            findings += asyncio.run(_of_histories(archive, tenant))
    elif archive is None:
        raise ConfigError("there is nothing to look at; set REDIS_URL, or give --archive, or both")
    else:
        console.print("REDIS_URL is not set, so the histories in the store were not looked at")
    _print(findings)
    return not any(finding.wrong for finding in findings)


def _of_archive(folder: Path) -> list[Finding]:
    with ArchiveSnapshot(folder) as snapshot:
        return ArchiveCheck(snapshot, Settings.read().dedupe_seconds).findings()


async def _of_histories(archive: Path | None, tenant: str) -> list[Finding]:
    store = await TenantStore.of(tenant).connect()
    try:
        return await HistoryCheck(store, archive, tenant).findings()
    finally:
        await store.close()


def _print(findings: Sequence[Finding]) -> None:
    table = Table("check", "looked at", "wrong")
    for finding in findings:
        table.add_row(finding.check, f"{finding.looked_at:,}", f"{finding.wrong:,}")
    console.print(table)
    for finding in findings:
        for example in finding.examples:
            console.print(f"{finding.check}: {example}", markup=False, soft_wrap=True, highlight=False)
