"""Filters over a whole table against one Python predicate an item, while items come, change, hide and go."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import live_world
import numpy as np
import pytest
from filter_world import FIELDS, FILTERS, METADATA, Filter
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from mapped_items import mapped_items

from engine import field_overlay, live_rows
from engine.catalogue import Catalogue
from engine.errors import QueryError
from engine.filter_expression import FilterExpression
from engine.item_fields import ItemFields
from engine.items import ItemTable
from engine.live_item import LiveItem
from engine.vocabulary import Vocabulary

parse = FilterExpression.parse
EVERY_FIELD = dict.fromkeys(FIELDS)


def table(documents: list[dict[str, Any]]) -> ItemTable:
    columns = {"popularity": np.zeros(len(documents), np.float32)}
    return ItemTable(
        Vocabulary(map(str, range(len(documents)))), columns, [json.dumps(each).encode() for each in documents]
    )


def found(fields: ItemFields, text: str) -> list[int]:
    return np.flatnonzero(fields.matches(parse(text))).tolist()


FILMS = [
    {"title": "Heat", "categories": ["Crime", "Drama"], "year": 1995, "added": "2024-01-31", "is_new": True},
    {"title": "The Heat", "categories": ["Comedy"], "year": 2013, "added": "2024-02-01", "is_new": False},
    {"title": "Alien", "categories": "Horror", "year": 1979.5, "added": 20240301, "is_new": 1},
    {"title": None, "categories": [], "year": "1995"},
]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ('categories = "Drama"', [0]),
        ('categories != "Drama"', [1, 2, 3]),
        ('categories in ("Comedy", "Horror", 7)', [1, 2]),
        ('categories contains "Dra"', []),
        ('categories contains "Drama"', [0]),
        ('categories contains "orr"', [2]),
        ('title contains "Heat"', [0, 1]),
        ('title contains "heat"', []),
        ('title contains ""', [0, 1, 2]),
        ("year > 1979", [0, 1, 2]),
        ("year <= 1995 and year >= 1979.5", [0, 2]),
        ("not year > 1979", [3]),
        ("year = 1995", [0]),
        ('year = "1995"', [3]),
        ('added < "2024-02-01"', [0]),
        ("added > 5", [2]),
        ("is_new = true", [0]),
        ("is_new = 1", [2]),
        ("is_new != true", [1, 2, 3]),
        ("title = null", [3]),
        ("categories = null", [3]),
        ("categories != null", [0, 1, 2]),
        ('item_id = "1" or item_id = 2', [1]),
        ('item_id > "1"', [2, 3]),
        ('year >= 1990 and not categories = "Comedy"', [0]),
        ('title = "Alien" or year = 2013 and is_new = true', [2]),
    ],
)
def test_a_filter_finds_films(text: str, rows: list[int], tmp_path: Path) -> None:
    assert found(ItemFields(table(FILMS)), text) == rows
    mapped = ItemFields(mapped_items(table(FILMS), tmp_path))
    assert mapped.is_built
    assert found(mapped, text) == rows


@settings(max_examples=100, deadline=None)
@given(st.lists(METADATA, max_size=12), FILTERS)
def test_mapped_rows_are_as_one_by_one(documents: list[dict[str, Any]], filter_: Filter) -> None:
    text, is_true = filter_
    with TemporaryDirectory() as folder:
        fields = ItemFields(mapped_items(table([*documents, EVERY_FIELD]), Path(folder)))
        assert fields.matches(parse(text)).tolist() == [*map(is_true, [*documents, EVERY_FIELD]), False]


ODD_IDS = st.lists(st.text("ab\n\0é\N{GRINNING FACE}", min_size=1, max_size=6), unique=True, min_size=1, max_size=12)
PARTS = st.text("ab\n\0é\N{GRINNING FACE}", max_size=5)


@settings(deadline=None)
@given(ODD_IDS, PARTS, st.sampled_from(["=", "!=", "<", "<=", ">", ">=", "contains"]))
def test_ids_are_compared_as_other_texts_are(ids: list[str], value: str, operator: str) -> None:
    # The metadata has the same text under another name.
    metadata = [json.dumps({"id": item_id}).encode() for item_id in ids]
    fields = ItemFields(ItemTable(Vocabulary(ids), {"popularity": np.zeros(len(ids), np.float32)}, metadata))
    for text in (value, ids[0], ids[0][1:], f"{ids[0]}\n", f"\n{ids[0]}"):
        assert found(fields, f'item_id {operator} "{text}"') == found(fields, f'id {operator} "{text}"')


@settings(max_examples=300, deadline=None)
@given(st.lists(METADATA, max_size=12), FILTERS)
def test_all_rows_are_as_one_by_one(documents: list[dict[str, Any]], filter_: Filter) -> None:
    # Another item has all fields, so that none is unknown.
    fields = ItemFields(table([*documents, EVERY_FIELD]))
    text, is_true = filter_
    assert fields.matches(parse(text)).tolist() == [*map(is_true, [*documents, EVERY_FIELD]), False]


class LiveFields(RuleBasedStateMachine):
    """The masks, kept or not, are after each change what a table that is read anew says."""

    def __init__(self) -> None:
        super().__init__()
        self.items = live_world.table()
        self.catalogue = Catalogue(self.items, [])
        self.fields = ItemFields(self.items, most_bytes=150)
        self.documents = {str(item): {"number": item} for item in range(live_world.ITEMS)}
        self.put({"every": EVERY_FIELD}, hidden=True)
        self.filters: list[Filter] = []

    @rule(
        items=st.dictionaries(st.sampled_from(["a", "b", "c", "0", "3", "7"]), METADATA, min_size=1, max_size=3),
        hidden=st.booleans(),
    )
    def put(self, items: dict[str, dict[str, Any]], hidden: bool) -> None:
        self.catalogue.put([LiveItem(item_id, metadata, is_hidden=hidden) for item_id, metadata in items.items()])
        self.documents |= items

    @rule(item_id=st.sampled_from(["a", "b", "c", "0", "3", "7"]))
    def remove(self, item_id: str) -> None:
        self.catalogue.remove([item_id])
        self.documents.pop(item_id, None)

    @rule(filter_=FILTERS)
    def ask(self, filter_: Filter) -> None:
        self.filters = [*self.filters[-3:], filter_]

    @invariant()
    def each_mask_is_as_one_by_one(self) -> None:
        for text, is_true in self.filters:
            mask = self.fields.matches(parse(text))
            assert len(mask) == self.items.rows.end
            rows = np.flatnonzero(mask).tolist()
            wanted = [item_id for item_id, document in self.documents.items() if is_true(document)]
            assert rows == sorted(self.items.vocabulary.index_of(item_id) for item_id in wanted)


TestLiveFields = LiveFields.TestCase
TestLiveFields.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)


@pytest.mark.parametrize("kept", [0, 2, 100])
def test_many_changes_settle_and_outlast_the_log(kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_rows, "MOST_CHANGES_KEPT", kept)
    monkeypatch.setattr(field_overlay, "FEW_ROWS", 3)
    items = table(FILMS)
    fields, catalogue, random = ItemFields(items), Catalogue(items, []), np.random.default_rng(1)
    years = {str(row): film["year"] for row, film in enumerate(FILMS)}
    for step in range(60):
        changed = {str(each): int(random.integers(1980, 2000)) for each in random.integers(0, 30, step % 7)}
        catalogue.put([LiveItem(item_id, {"year": year}) for item_id, year in changed.items()])
        years |= changed
        if step % 5 == 4:
            gone = str(random.integers(0, 30))
            catalogue.remove([gone])
            years.pop(gone, None)
        for text, limit in (("year >= 1990", 1990), (f"year >= {1980 + step % 20}", 1980 + step % 20)):
            wanted = [
                items.vocabulary.index_of(each) for each, year in years.items() if year != "1995" and year >= limit
            ]
            assert found(fields, text) == sorted(wanted)


def test_a_mask_stays_as_it_was_given() -> None:
    items = table(FILMS)
    fields, catalogue = ItemFields(items), Catalogue(items, [])
    first = fields.matches(parse("year > 1990"))
    assert fields.matches(parse("(year > 1990)")) is first
    catalogue.put([LiveItem("new", {"year": 2000}), LiveItem("0", {"year": 1900})])
    second = fields.matches(parse("year > 1990"))
    assert (first.tolist(), second.tolist()) == ([True, True, *[False] * 3], [False, True, *[False] * 3, True])
    with pytest.raises(ValueError, match="read-only"):
        second[0] = True


def test_a_field_that_no_item_has_is_named() -> None:
    items = table(FILMS)
    fields, catalogue = ItemFields(items), Catalogue(items, [])
    with pytest.raises(QueryError) as error:
        fields.matches(parse("yaer = 1995 or year = 1995"))
    assert str(error.value) == (
        "filter: no item has a field 'yaer'; there are added, categories, is_new, item_id, title, year"
    )
    catalogue.put([LiveItem("new", {"yaer": 1995})])
    assert found(fields, "yaer = 1995") == [5]
    catalogue.put([LiveItem("many", {f"field {each}": 1 for each in range(30)})])
    with pytest.raises(QueryError, match=r"boost: no item has a field 'no'; there are .* and 17 more"):
        fields.matches(parse("no = 1"), "boost")


def test_it_is_built_once_by_whichever_thread_comes_first() -> None:
    fields = ItemFields(table(FILMS * 500))
    assert not fields.is_built
    threads = [threading.Thread(target=fields.build) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert len(found(fields, "year = 1995")) == 500
    for thread in threads:
        thread.join()
    assert fields.is_built
    built = fields._bundled
    fields.build()
    assert fields._bundled is built


def test_tables_without_metadata_and_without_items() -> None:
    bare = ItemTable(Vocabulary(["a", "b"]), {"popularity": np.zeros(2, np.float32)})
    assert found(ItemFields(bare), 'item_id = "b"') == [1]
    assert found(ItemFields(table([])), 'item_id != "b"') == []


def test_halves_of_surrogates_are_texts() -> None:
    fields = ItemFields(table([{"title": "a\ud800"}, {"title": "b"}]))
    assert found(fields, 'title contains "\ud800"') == [0]
    assert found(fields, 'title = "a\ud800"') == [0]


def test_masks_are_forgotten_when_they_are_too_many() -> None:
    fields = ItemFields(table(FILMS), most_bytes=5 * 3)
    masks = [fields.matches(parse(f"year = {year}")) for year in range(5)]
    assert fields.matches(parse("year = 4")) is masks[4]
    assert fields.matches(parse("year = 2")) is masks[2]
    assert fields.matches(parse("year = 1")) is not masks[1]
    assert fields.matches(parse("year = 3")) is not masks[3]
