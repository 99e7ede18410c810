"""Item descriptions: a frame of items as JSON by item, each with the folder that its files stand in."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import polars as pl

from engine.events import MAX_ID_BYTES
from training.item_contents import ItemContents
from training.item_frame import FOLDER

NOTHING: tuple[bytes, None] = b"{}", None


@dataclass(frozen=True, slots=True)
class ItemDescriptions:
    """What is known of items by id, encoded, with the folder of the file that says it."""

    rows: dict[str, tuple[bytes, Path | None]]
    media: Path | None = None

    @classmethod
    def of(cls, items: pl.LazyFrame | None, media: Path | None = None) -> Self:
        """Encode canonical items; without any, there are none."""
        frame = pl.DataFrame() if items is None else items.collect(engine="streaming")
        folders: dict[str | None, Path | None] = {None: None}
        rows = {}
        for row in frame.iter_rows(named=True):
            item_id, folder = row.pop("item_id"), row.pop(FOLDER, None)
            rows[item_id] = encoded(row), folders.setdefault(folder, Path(folder or ""))
        return cls(rows, media)

    def newcomers(self, known: Iterable[str]) -> tuple[str, ...]:
        """Return the ids that are not known, sorted; ids that no event may have are left out."""
        return tuple(sorted(each for each in self.rows.keys() - set(known) if len(each.encode()) <= MAX_ID_BYTES))

    def metadata(self, item_ids: Iterable[str]) -> tuple[bytes, ...]:
        """Return the JSON of each item; none at all if no item is described."""
        return tuple(self.rows.get(each, NOTHING)[0] for each in item_ids) if self.rows else ()

    def contents(self, item_ids: Iterable[str], metadata: tuple[bytes, ...]) -> ItemContents:
        """Return the contents of the same items, whose files are read when they are needed."""
        folders = tuple(self.rows.get(each, NOTHING)[1] for each in item_ids) if self.rows else ()
        return ItemContents(metadata, self.media, folders)


def finite(value: Any) -> Any:  # noqa: ANN401 (any JSON)
    """Return metadata with null for numbers that JSON cannot say."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [finite(each) for each in value]
    if isinstance(value, dict):
        return {name: finite(each) for name, each in value.items()}
    return value


def encoded(row: dict[str, Any]) -> bytes:
    """Return a row as JSON, without what it says nothing about."""
    said = {name: finite(value) for name, value in row.items() if value not in (None, "", [])}
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"), default=str, allow_nan=False).encode()
