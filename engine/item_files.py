"""ItemFiles: all that is known of the items as files, mapped and not read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.array_file import write_array
from engine.bundle_folder import BundleFolder
from engine.bundle_layout import (
    COLUMNS,
    ID_OFFSETS,
    ID_ORDER,
    ID_ROWS,
    ID_STARTS,
    IDS,
    METADATA,
    METADATA_OFFSETS,
    MOST_ID_BYTES,
    NEIGHBOUR_WEIGHTS,
    NEIGHBOURS,
    NEWEST_ORDER,
    POPULAR_ORDER,
)
from engine.errors import BundleError
from engine.field_file import read_fields, write_fields
from engine.field_table import columns_of
from engine.id_column import IdColumn
from engine.id_lookup import IdLookup, bucket_count
from engine.item_documents import documents
from engine.items import ItemTable
from engine.manifest import Manifest
from engine.neighbours import NeighbourTable
from engine.newest_order import order_of
from engine.packed_texts import PackedTexts
from engine.popular_order import check_order
from engine.prepared_items import PreparedItems
from engine.row_order import check_rows
from engine.unreadable import named, unreadable
from engine.vocabulary import Vocabulary

Order = npt.NDArray[np.int32]


def write_items(items: ItemTable, manifest: Manifest, folder: Path) -> None:
    """Write all files of the items."""
    vocabulary, names = items.vocabulary, manifest.item_columns
    PackedTexts.write(vocabulary.texts, folder / IDS, folder / ID_OFFSETS)
    # Of items that nobody described there is a line each too.
    PackedTexts.write(items.metadata or [b"{}"] * len(items), folder / METADATA, folder / METADATA_OFFSETS)
    write_array(folder / COLUMNS, (len(names), len(items)), np.float32, (items.columns[name] for name in names))
    prepared = items.prepared or _prepared(items)
    orders = {POPULAR_ORDER: prepared.popular, NEWEST_ORDER: prepared.newest, ID_ORDER: prepared.ids}
    for name, numbers in (orders | {ID_STARTS: vocabulary.lookup.starts, ID_ROWS: vocabulary.lookup.rows}).items():
        write_array(folder / name, numbers.shape, np.int32, [numbers])
    write_fields(prepared.fields, folder)
    for name, table in items.neighbours.items():
        np.save(folder / NEIGHBOURS.format(name), table.indices, allow_pickle=False)
        np.save(folder / NEIGHBOUR_WEIGHTS.format(name), table.weights, allow_pickle=False)


def read_items(files: BundleFolder) -> ItemTable:
    """Map what `write_items` wrote; raises BundleError on anything else."""
    manifest, count = files.manifest, files.manifest.data.items
    rows = files.array(COLUMNS, len(manifest.item_columns), count)
    columns = dict(zip(manifest.item_columns, rows, strict=True))
    vocabulary = _vocabulary(files, count)
    prepared = PreparedItems(
        _order(files, POPULAR_ORDER, count),
        _order(files, NEWEST_ORDER, count),
        _order(files, ID_ORDER, count),
        read_fields(files),
    )
    if not files.is_vouched:
        with named(files.path / POPULAR_ORDER):
            check_order(prepared.popular, columns["popularity"])
    neighbours = {name: _neighbours(files, name, count) for name in manifest.neighbour_tables}
    with unreadable(files.path / METADATA):
        return ItemTable(vocabulary, columns, files.metadata(count), neighbours, prepared)


def _prepared(items: ItemTable) -> PreparedItems:
    fields, _ = columns_of(documents(items.metadata))
    return PreparedItems(items.popular.of_bundle, order_of(items), IdColumn.order_of(items.vocabulary), fields)


def _vocabulary(files: BundleFolder, count: int) -> Vocabulary:
    texts = files.texts(IDS, ID_OFFSETS, count, MOST_ID_BYTES)
    starts = files.numbers(ID_STARTS, bucket_count(count) + 1, np.int32)
    vocabulary = Vocabulary.mapped(texts, IdLookup(texts, starts, files.numbers(ID_ROWS, count, np.int32)))
    if not files.is_vouched:
        with named(files.path / IDS):
            texts.check_encoding()
        with named(files.path / ID_ROWS):
            vocabulary.lookup.check()
        if vocabulary.digest() != files.manifest.vocabulary_digest:
            raise BundleError(f"{files.path / IDS} has another digest than the manifest says; train again")
    return vocabulary


def _order(files: BundleFolder, name: str, count: int) -> Order:
    order: Order = files.numbers(name, count, np.int32)
    if not files.is_vouched:
        with named(files.path / name):
            check_rows(order, count)
    return order


def _neighbours(files: BundleFolder, name: str, count: int) -> NeighbourTable:
    indices = files.array(NEIGHBOURS.format(name), count + 1, dtype=np.int32)
    weights = files.array(NEIGHBOUR_WEIGHTS.format(name), count + 1, indices.shape[1])
    if not files.is_vouched and (indices.min(initial=0) < 0 or indices.max(initial=0) >= len(indices)):
        raise BundleError(f"{files.path / NEIGHBOURS.format(name)} names items that are not there; train again")
    return NeighbourTable(indices, weights)
