"""Training learns from what happened online as the store counts it, beside the offline data."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from recorded import row

from archive.archive import Archive
from archive.event_rows import EventRow, table_of
from engine.errors import DataError
from training.cleaning import CleaningRules, clean
from training.dataset import Dataset, open_dataset
from training.recorded_dataset import added, alone

Offline = list[tuple[str, str, str, float | None, float | None]]
SCHEMA = {"user_id": pl.String, "item_id": pl.String, "kind": pl.String, "value": pl.Float64, "timestamp": pl.Float64}
OFFLINE: Offline = [
    ("a", "1", "rating", 1.0, 10.0),
    ("a", "2", "rating", 2.0, 10.0),
    ("a", "3", "like", None, 10.0),
    ("b", "1", "rating", 3.0, 10.0),
    ("b", "1", "like", None, 11.0),
]


def offline(events: Offline) -> pl.LazyFrame:
    frame = pl.DataFrame(events, schema=SCHEMA, orient="row").with_row_index("row", offset=1)
    return frame.with_columns(pl.col("row").cast(pl.UInt64)).select(*SCHEMA, "row").lazy()


def online(user: str, item: str, kind: str, value: float | None, timestamp: float, version: int = 1) -> EventRow:
    return row(f"{version}-0", user_id=user, version=version)._replace(
        item_id=item, kind=kind, value=value, timestamp=timestamp
    )


def merged(rows: list[EventRow], events: Offline = OFFLINE) -> list[tuple[object, ...]]:
    dataset = added(Dataset("d", {"all": offline(events)}, None), table_of(rows).lazy())
    cleaned, _ = clean(dataset.parts["all"], CleaningRules())
    return cleaned.select(list(SCHEMA)).sort("user_id", "item_id", "timestamp", "kind").rows()


def test_newer_opinions_replace_and_undoing_removes_wherever_they_came_from() -> None:
    rows = [
        online("a", "1", "like", None, 20.0),
        online("a", "2", "undo", None, 20.0),
        online("a", "3", "rating", 5.0, 9.0),
        online("a", "3", "view", None, 9.0),
        online("c", "1", "rating", 1.0, 5.0, version=1),
        online("c", "1", "rating", 2.0, 5.0, version=2),
    ]
    assert merged(rows) == [
        ("a", "1", "like", None, 20.0),
        ("a", "3", "view", None, 9.0),
        ("a", "3", "like", None, 10.0),
        ("b", "1", "rating", 3.0, 10.0),
        ("b", "1", "like", None, 11.0),
        ("c", "1", "rating", 2.0, 5.0),
    ]


def test_what_is_offline_too_counts_once() -> None:
    rows = [online("a", "1", "rating", 1.0, 10.0), online("a", "1", "view", None, 10.0)]
    assert merged(rows) == merged(rows[1:])
    assert merged([], OFFLINE) == merged([online("a", "1", "rating", 1.0, 10.0)], OFFLINE)


def test_of_a_given_split_train_gets_them_but_what_the_test_asks() -> None:
    parts = {"train": offline(OFFLINE), "test": offline([("a", "9", "rating", 4.0, 30.0)])}
    rows = [online("a", "9", "rating", 4.0, 30.0), online("a", "8", "rating", 4.0, 30.0)]
    dataset = added(Dataset("d", parts, None), table_of(rows).lazy())
    train, test = (dataset.parts[name].collect() for name in ("train", "test"))
    assert train.filter(timestamp=30.0)["item_id"].to_list() == ["8"]
    assert train["row"].is_unique().all()
    assert test.height == 1


def test_the_forgotten_are_left_out_of_the_files() -> None:
    dataset = added(Dataset("d", {"all": offline(OFFLINE)}, None), table_of([]).lazy(), without={"a"})
    assert dataset.parts["all"].collect()["user_id"].unique().to_list() == ["b"]


def test_data_without_a_clock_is_refused() -> None:
    dataset = Dataset("d", {"all": offline([("a", "1", "rating", 1.0, None)])}, None)
    with pytest.raises(DataError, match="d has no timestamps"):
        added(dataset, table_of([]).lazy())


def test_an_archive_is_a_data_set(tmp_path: Path) -> None:
    with Archive(tmp_path / "a", "", 4) as archive:
        rows = [online("a", "1", "rating", float(version), 5.0, version) for version in (1, 2, 3)]
        archive.append([*rows, online("a", "2", "rating", 1.0, 5.0, 4), online("a", "2", "undo", None, 6.0, 5)])
    dataset = open_dataset(tmp_path / "a", cache=tmp_path)
    assert dataset.parts["all"].collect().drop("row").rows() == [("a", "1", "rating", 3.0, 5.0)]
    with pytest.raises(DataError, match="no events yet"):
        alone("x", table_of([]).lazy())
