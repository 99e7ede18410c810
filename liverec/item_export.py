"""Item export: the items that came while the service ran, as files that the next training reads."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console

from app.item_document import ItemDocument
from app.item_store import ItemStore, Media
from engine.atomic import atomic_folder
from liverec.tenant_store import TenantStore

TABLE = "items.parquet"
FOLDERS = {"image": "images", "audio": "audio"}
ENDINGS = {"image": ".jpg", "audio": ".audio"}
FIRST: Mapping[str, pl.DataType] = {
    "item_id": pl.String(),
    "title": pl.String(),
    "description": pl.String(),
    "categories": pl.List(pl.String()),
    "tags": pl.List(pl.String()),
    "year": pl.Int32(),
    "price": pl.Float64(),
    "image": pl.String(),
    "audio": pl.String(),
}
"""The columns that every file has, in this order."""
Row = dict[str, Any]
console = Console(stderr=True)


def export_items(out: Path, tenant: str = "") -> None:
    """Write items.parquet with the files that it names to a new folder; a tenant's items if one is named."""
    source = TenantStore.of(tenant)
    with atomic_folder(out) as folder:
        rows, parted = asyncio.run(_export(source, folder))
        table_of(rows).write_parquet(folder / TABLE)
    images = sum(bool(row["image"]) for row in rows)
    console.print(
        f"{len(rows):,} items and {images:,} images are in {out}; give {out / TABLE} to liverec train --items"
    )
    if parted:
        some = ", ".join([*map(repr, parted[:5]), *(["…"] if len(parted) > 5 else [])])
        console.print(
            "Items that have one file that came live, and so lose the other, which only an earlier items file names:"
            f" {len(parted):,} ({some}). To keep it, send it with PUT /items/{{item_id}}/image or /audio and export"
            " again",
            markup=False,
        )


def table_of(rows: Sequence[Row]) -> pl.DataFrame:
    """Return a table of items; a further field is a column of lists if all of its values are, else one of texts."""
    further = sorted({name for row in rows for name in row} - FIRST.keys())
    listed = {name: all(isinstance(row.get(name, []), list) for row in rows) for name in further}
    schema = {**FIRST, **{name: pl.List(pl.String()) if listed[name] else pl.String() for name in further}}
    columns = {name: [_cell(row.get(name), type_) for row in rows] for name, type_ in schema.items()}
    return pl.DataFrame(columns, schema, strict=True)


async def _export(source: TenantStore, folder: Path) -> tuple[list[Row], list[str]]:
    """Return the rows, and which items lose a file that only the items file below names."""
    connection = await source.connection()
    try:
        store, rows, parted = ItemStore(connection), dict[str, Row](), set[str]()
        async for documents in store.scan():
            # Of what was only hidden, the items file that described it says more.
            here = [each for each in documents if not each.is_deleted and not each.of_bundle]
            media = await store.media([each.item_id for each in here]) if here else []
            pairs = zip(here, media, strict=True)
            for document, each in pairs:
                row = rows[document.item_id] = _row(document, each, folder)
                # What a scan gives twice has changed meanwhile.
                is_parted = any(row[kind] == "" for kind in document.elsewhere)
                (parted.add if is_parted else parted.discard)(document.item_id)
    finally:
        await connection.close()
    return [rows[item_id] for item_id in sorted(rows)], sorted(parted)


def _row(document: ItemDocument, media: Media, folder: Path) -> Row:
    files = {"image": media.image, "audio": media.audio}
    named = {kind: _written(folder, kind, document.item_id, content) for kind, content in files.items()}
    # Null leaves the files of the items file below as they are; an empty text says that there are none. A row with one
    # file of its own cannot leave the other as it is: both are looked for in one folder.
    for kind in document.elsewhere if not any(named.values()) else ():
        named[kind] = None
    return {**document.metadata, "item_id": document.item_id, **named}


def _written(folder: Path, kind: str, item_id: str, content: bytes | None) -> str | None:
    if content is None:
        return ""
    # An id may hold anything; its hash is a file name everywhere, and the same in every export.
    path = folder / FOLDERS[kind] / f"{hashlib.sha256(item_id.encode()).hexdigest()[:24]}{ENDINGS[kind]}"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return str(path.relative_to(folder))


def _cell(value: object, wanted: pl.DataType) -> object:
    """Return a value as its column takes it; those of a bundle's items may be of other types than live ones."""
    if value is None:
        return None
    if isinstance(wanted, pl.List):
        return [_text(each) for each in value] if isinstance(value, list) else _text(value).split("|")
    if isinstance(wanted, pl.String):
        return "|".join(map(_text, value)) if isinstance(value, list) else _text(value)
    return pl.Series([_text(value)]).cast(wanted, strict=False)[0]


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
