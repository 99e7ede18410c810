"""Stores and archives that tests fill."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import opened_store
import polars as pl

from app.archiver import Archiver, Round
from app.settings import Settings
from app.store import Store
from archive.archive import Archive
from archive.archive_snapshot import ArchiveSnapshot
from archive.event_rows import EventRow
from engine.events import Event

T = TypeVar("T")
PARTITIONS = 4
ODD = 'odd/ключ "x",\r\n{p1} \t;|'
SETTINGS = Settings(partitions=PARTITIONS, store_timeout_seconds=20)


def with_store(url: str, work: Callable[[Store], Awaitable[T]], settings: Settings = SETTINGS) -> T:
    return opened_store.with_store(url, work, settings)


async def archive_round(store: Store, folder: Path, keep_days: int | None = None, *, takes_over: bool = False) -> Round:
    with Archive(folder, store.connection.namespace.tenant, PARTITIONS) as archive:
        return await Archiver(store.connection, store.pseudonyms, archive, keep_days, takes_over=takes_over).round()


def archived(folder: Path) -> pl.DataFrame:
    with ArchiveSnapshot(folder) as snapshot:
        return snapshot.scan().sort("user_id", "history_version").collect()


def rated(user_id: str, item_id: str, event_id: str, timestamp: float = 1.0, value: float = 4.0) -> Event:
    return Event(user_id, item_id, "rating", value, timestamp, event_id)


def row(log_id: str, user_id: str = "u", event_id: str = "", version: int = 1, partition: int = 0) -> EventRow:
    event_id = event_id or f"e-{log_id}"
    return EventRow(user_id, "i", "rating", 4.0, 1.5, 1.0, event_id, "", version, partition, log_id)


EVENTS = [
    rated(ODD, "007", "e,1", timestamp=5.25),
    rated("true", "null", "e-2", timestamp=3.5, value=0.1),
    Event("true", ODD, "view", None, 2.0, "e-3", "r-1"),
    Event("true", "null", "undo", None, 4.0, "e-4"),
    Event("1e5", "x", "like", None, 1e9 + 0.123457, "e-5"),
]


def fill(url: str, events: list[Event] = EVENTS) -> None:
    with_store(url, lambda store: store.write(events))
