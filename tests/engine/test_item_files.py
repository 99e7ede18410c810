"""What is mapped is what was written, and no file leads out of another."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mapped_items import files_of, manifest_of, mapped_items

from engine.bundle_layout import (
    FIELD_ENDS,
    FIELD_NUMBERS,
    FIELD_ROWS,
    FIELD_STARTS,
    FIELD_TEXTS,
    FIELDS,
    ID_OFFSETS,
    ID_ORDER,
    ID_ROWS,
    ID_STARTS,
    IDS,
    METADATA,
    METADATA_OFFSETS,
    NEWEST_ORDER,
    POPULAR_ORDER,
)
from engine.errors import BundleError
from engine.field_table import columns_of
from engine.item_files import read_items, write_items
from engine.items import ItemTable
from engine.vocabulary import Vocabulary

DOCUMENTS: list[dict[str, Any]] = [
    {"title": "Heat", "year": 1995, "categories": ["Crime", "Drama"], "is_new": True},
    {"title": "Alien", "year": 1979.5, "categories": ["Horror"]},
    {"title": "", "year": "1995", "categories": [], "\ud800": "\ud801"},
    {},
]
Change = Callable[[np.ndarray], object]


@pytest.fixture
def items() -> ItemTable:
    columns = {"popularity": np.array([1, 5, 1, 0], np.float32), "staleness": np.arange(4, dtype=np.float32)}
    return ItemTable(Vocabulary("dbca"), columns, [json.dumps(each).encode() for each in DOCUMENTS])


def test_all_is_as_it_was(items: ItemTable, tmp_path: Path) -> None:
    mapped = mapped_items(items, tmp_path)
    assert mapped.vocabulary.ids() == items.vocabulary.ids()
    assert [mapped.metadata_of(row) for row in range(4)] == DOCUMENTS
    assert {name: column.tolist() for name, column in mapped.columns.items()} == {
        name: column.tolist() for name, column in items.columns.items()
    }
    assert mapped.prepared is not None
    orders = mapped.prepared.popular, mapped.prepared.newest, mapped.prepared.ids
    assert [order.tolist() for order in orders] == [[1, 0, 2, 3], [0, 2, 1, 3], [3, 1, 2, 0]]
    assert mapped.prepared.fields.keys() == {"title", "year", "categories", "is_new", "\ud800"}
    (tmp_path / "again").mkdir()
    again = mapped_items(mapped, tmp_path / "again")
    for name in (FIELDS, FIELD_ROWS, FIELD_STARTS, FIELD_NUMBERS, FIELD_TEXTS, FIELD_ENDS, METADATA, IDS):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / name).read_bytes()
    assert [again.metadata_of(row) for row in range(4)] == DOCUMENTS


def test_items_that_nobody_described_have_empty_metadata(tmp_path: Path) -> None:
    mapped = mapped_items(ItemTable(Vocabulary("ab"), {"popularity": np.zeros(2, np.float32)}), tmp_path)
    assert [mapped.metadata_of(row) for row in range(2)] == [{}, {}]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        (ID_OFFSETS, lambda numbers: numbers.__setitem__(1, 3)),
        (ID_OFFSETS, lambda numbers: numbers.__setitem__(1, 2**60)),
        (ID_ROWS, lambda numbers: numbers.__setitem__(0, numbers[1])),
        (ID_STARTS, lambda numbers: numbers.__setitem__(1, 5)),
        (ID_ORDER, lambda numbers: numbers.__setitem__(0, 4)),
        (METADATA_OFFSETS, lambda numbers: numbers.__setitem__(1, -1)),
        (METADATA_OFFSETS, lambda numbers: numbers.__setitem__(4, numbers[4] + 1)),
        (NEWEST_ORDER, lambda numbers: numbers.__setitem__(0, -1)),
        (POPULAR_ORDER, lambda numbers: numbers.__setitem__(slice(None), numbers[::-1].copy())),
        (FIELD_ROWS, lambda numbers: numbers.__setitem__(0, 4)),
        (FIELD_ROWS, lambda numbers: numbers.__setitem__(-1, -1)),
        (FIELD_STARTS, lambda numbers: numbers.__setitem__(0, 1)),
        (FIELD_STARTS, lambda numbers: numbers.__setitem__(1, -1)),
        (FIELD_STARTS, lambda numbers: numbers.__setitem__(-1, 2**60)),
        (FIELD_NUMBERS, lambda numbers: numbers.__setitem__(0, np.nan)),
        (FIELD_NUMBERS, lambda numbers: numbers.__setitem__(0, np.inf)),
        (FIELD_ENDS, lambda numbers: numbers.__setitem__(0, -1)),
        (FIELD_ENDS, lambda numbers: numbers.__setitem__(-1, 2**60)),
        (FIELD_TEXTS, lambda numbers: numbers.__setitem__(-1, ord("x"))),
    ],
)
def test_what_leads_astray_is_refused(items: ItemTable, tmp_path: Path, name: str, change: Change) -> None:
    manifest = manifest_of(items)
    write_items(items, manifest, tmp_path)
    numbers = np.load(tmp_path / name)
    change(numbers)
    np.save(tmp_path / name, numbers)
    with pytest.raises(BundleError, match=r"train again|again$"):
        read_items(files_of(tmp_path, manifest))


@pytest.mark.parametrize("key", ["numbers", "number_rows", "truth_rows"])
@pytest.mark.parametrize("step", [1, -1, 2**62])
def test_a_directory_that_does_not_fit_is_refused(items: ItemTable, tmp_path: Path, key: str, step: int) -> None:
    manifest = manifest_of(items)
    write_items(items, manifest, tmp_path)
    directory = json.loads((tmp_path / FIELDS).read_bytes())
    directory[0][key] += step
    (tmp_path / FIELDS).write_text(json.dumps(directory))
    with pytest.raises(BundleError, match=r"field_\w+\.npy|item_fields\.json"):
        read_items(files_of(tmp_path, manifest))


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'[{"name": "a"}]', b"[" * 100_000])
def test_what_is_no_directory_is_refused(items: ItemTable, tmp_path: Path, content: bytes) -> None:
    manifest = manifest_of(items)
    write_items(items, manifest, tmp_path)
    (tmp_path / FIELDS).write_bytes(content)
    with pytest.raises(BundleError, match=r"item_fields\.json"):
        read_items(files_of(tmp_path, manifest))


def test_ids_that_are_others_are_refused(items: ItemTable, tmp_path: Path) -> None:
    manifest = manifest_of(items)
    write_items(items, manifest, tmp_path)
    (tmp_path / IDS).write_bytes((tmp_path / IDS).read_bytes().replace(b"d", b"e"))
    with pytest.raises(BundleError, match=r"item_id_rows\.npy|digest"):
        read_items(files_of(tmp_path, manifest))


def test_columns_of_nothing_are_none() -> None:
    assert columns_of([]) == ({}, 0)
