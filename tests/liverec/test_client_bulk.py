"""Many events, by both clients."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import liverec.client.bulk
from liverec.client import BadRequest, BulkError, BulkReport, Conflict, Feedback, Rating


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liverec.client.bulk, "EVENTS_AT_ONCE", 3)


@pytest.fixture
def user() -> str:
    return f"user {uuid.uuid4().hex}"


def test_any_number_of_events_is_sent(client: Any, user: str) -> None:
    events = [Rating(user, f"item {number}", 4, timestamp=100.0 + number) for number in range(7)]
    events.append(Feedback(user, "nothing", "view"))
    assert client.bulk(iter(events)) == BulkReport(line=8, accepted=8, unknown_items=1)
    assert client.bulk(events) == BulkReport(line=8, duplicates=8)
    assert len(client.history(user).events) == 8
    assert client.bulk([]) == BulkReport()


def test_files_are_sent(client: Any, user: str, tmp_path: Path) -> None:
    rows = [{"user_id": user, "item_id": f"item {each}", "rating": 4.0, "timestamp": 50.0 + each} for each in range(5)]
    lines = tmp_path / "events.ndjson"
    lines.write_text("\n".join(map(json.dumps, rows)))
    assert client.bulk(lines) == BulkReport(line=5, accepted=5)
    table = tmp_path / "events.parquet"
    pl.DataFrame(rows).write_parquet(table)
    assert client.bulk(table) == BulkReport(line=5, duplicates=5)


def test_a_wrong_line_raises_or_is_skipped(client: Any, user: str, tmp_path: Path) -> None:
    lines = tmp_path / "events.ndjson"
    good = json.dumps({"user_id": user, "item_id": "item 1", "kind": "view", "event_id": "e"})
    lines.write_text("\n".join([good, "", good, "wrong", good]))
    with pytest.raises(BadRequest, match="line 1: body") as caught:
        client.bulk(lines)
    assert caught.value.__notes__ == ["3 lines before these are written"]
    report = client.bulk(lines, on_error="skip")
    assert (report.line, report.duplicates, report.refused) == (5, 3, 1)
    assert [each.line for each in report.errors] == [4]
    assert isinstance(report.errors[0], BulkError)


def test_an_id_of_another_event_is_a_conflict(client: Any, user: str) -> None:
    client.rate(user, "item 1", 4, event_id="e")
    with pytest.raises(Conflict):
        client.bulk([Rating(user, "item 2", 4, event_id="e")])
