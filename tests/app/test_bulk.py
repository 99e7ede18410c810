"""POST /events/bulk: any number of events, read as they come."""

from __future__ import annotations

import io
import json
import socket
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import polars as pl
import psutil
import pytest
from problem_document import check

from app.bulk_lines import MOST_LINE_BYTES
from app.bulk_report import MOST_ERRORS

NDJSON, PARQUET = "application/x-ndjson", "application/vnd.apache.parquet"
MOST_EVENTS, MOST_BYTES = 200_000, 20_000
STALL_SECONDS = 1.0
Reports = list[dict[str, Any]]


def lines(*events: dict[str, object]) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def upload(http: httpx.Client, content: Any, kind: str = NDJSON, **query: str) -> httpx.Response:
    return http.post("/events/bulk", content=content, headers={"Content-Type": kind}, params=query)


def reports(response: httpx.Response) -> Reports:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == NDJSON
    return [json.loads(line) for line in response.text.splitlines()]


def last(response: httpx.Response) -> dict[str, Any]:
    report = reports(response)[-1]
    assert report["done"]
    return report


def refused(response: httpx.Response, status: int) -> dict[str, Any]:
    check(response, status)
    return response.json()


def history(service: Any, user_id: str) -> list[dict[str, Any]]:
    return service.http.get(f"/users/{user_id}/history").json()["events"]


@pytest.fixture
def user_id() -> str:
    return uuid.uuid4().hex


@pytest.fixture(scope="module")
def bounded(start: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One worker with small bounds."""
    bounds = {"MAX_UPLOADS": "1", "MAX_UPLOAD_EVENTS": str(MOST_EVENTS), "MAX_UPLOAD_BYTES": str(MOST_BYTES)}
    bounds |= {"BODY_SECONDS": str(STALL_SECONDS), "VAR": str(tmp_path_factory.mktemp("b"))}
    return start(**{f"LIVEREC_{name}": value for name, value in bounds.items()})


def test_what_an_upload_says_counts_in_the_next_answer(service: Any, user_id: str) -> None:
    events = [
        {"user_id": user_id, "item_id": "item 1", "rating": 4, "event_id": "a", "timestamp": 100},
        {"user_id": user_id, "item_id": "item 2", "kind": "view", "event_id": "b", "timestamp": 101},
        {"user_id": user_id, "item_id": "nothing", "rating": 5, "event_id": "c"},
    ]
    assert last(upload(service.http, b"\n\r\n" + lines(*events) + b"\n")) == {
        "line": 5,
        "accepted": 3,
        "duplicates": 0,
        "refused": 0,
        "unknown_items": 1,
        "errors": [],
        "done": True,
    }
    assert [(each["item_id"], each["kind"]) for each in history(service, user_id)[1:]] == [
        ("item 2", "view"),
        ("item 1", "rating"),
    ]
    again = last(upload(service.http, lines(*events).rstrip()))
    assert (again["accepted"], again["duplicates"], again["line"]) == (0, 3, 3)
    assert service.http.get(f"/recommend/{user_id}").json()["history_version"] == 3


def test_events_without_an_id_count_once_too(service: Any, user_id: str) -> None:
    event = {"user_id": user_id, "item_id": "item 1", "rating": 4, "timestamp": "2026-07-01T12:00:00Z"}
    content = lines(event, event, {**event, "timestamp": "2026-07-01T12:00:01Z"})
    assert last(upload(service.http, content))["accepted"] == 2
    assert last(service.http.put("/events/bulk", content=content, headers={"Content-Type": NDJSON}))["accepted"] == 0


def test_a_rating_and_an_upload_share_event_ids(service: Any, user_id: str) -> None:
    event = {"user_id": user_id, "item_id": "item 1", "rating": 4, "event_id": "same"}
    service.http.post("/rate", json=event).raise_for_status()
    assert last(upload(service.http, lines(event)))["duplicates"] == 1
    response = upload(service.http, lines({**event, "rating": 5}, {**event, "event_id": "next"}))
    problem = refused(response, 409)
    assert "line 1" in problem["detail"]
    assert "'same'" in problem["detail"]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (b"{", "EOF"),
        (b"[]", "object"),
        (b"\xff", "body"),
        (b'{"user_id": "u", "item_id": "i"}', "either a rating or a kind"),
        (b'{"user_id": "u", "item_id": "i", "rating": 4, "kind": "view"}', "either a rating or a kind"),
        (b'{"user_id": "u", "item_id": "i", "rating": 4}', "event_id"),
        (b'{"user_id": "u", "item_id": "i", "rating": 4, "event_id": "' + b"x" * 257 + b'"}', "256 bytes"),
        (b'{"user_id": "", "item_id": "i", "rating": 4, "event_id": "e"}', "256 bytes"),
        (b'{"user_id": "u", "item_id": "i", "rating": 6, "event_id": "e"}', "scale"),
        (b'{"user_id": "u", "item_id": "i", "rating": NaN, "event_id": "e"}', "finite"),
        (b'{"user_id": "u", "item_id": "i", "kind": "undo", "event_id": "e"}', "DELETE /rate"),
        (b'{"user_id": "u", "item_id": "i", "kind": "stare", "event_id": "e"}', "no weight"),
        (b'{"user_id": "u", "item_id": "i", "rating": 4, "timestamp": 4e9}', "future"),
        (b'{"user_id": "u", "item_id": "i", "rating": 4, "event_id": "e", "more": 1}', "Extra"),
        (b'{"user_id": "u", "item_id": "i", "rating": 4, "event_id": "e"} {}', "trailing"),
        (b"x" * (MOST_LINE_BYTES + 70_000), "longer than"),
    ],
)
def test_a_wrong_line_is_named_and_those_before_it_are_written(
    service: Any, user_id: str, line: bytes, what: str
) -> None:
    good = {"user_id": user_id, "item_id": "item 1", "rating": 4, "event_id": "good"}
    problem = refused(upload(service.http, lines(good) + line + b"\n" + lines({**good, "event_id": "later"})), 422)
    assert problem["detail"].startswith("line 2: ")
    assert what in problem["detail"]
    assert (problem["line"], problem["accepted"]) == (1, 1)
    assert [each["event_id"] for each in history(service, user_id)] == ["good"]


def test_wrong_lines_can_be_skipped(service: Any, user_id: str) -> None:
    good = {"user_id": user_id, "item_id": "item 1", "kind": "view", "event_id": "good"}
    content = b"x\n" * (MOST_ERRORS + 20) + lines(good)
    report = last(upload(service.http, content, on_error="skip"))
    assert (report["refused"], report["accepted"], report["line"]) == (MOST_ERRORS + 20, 1, MOST_ERRORS + 21)
    assert [each["line"] for each in report["errors"]] == list(range(1, MOST_ERRORS + 1))


def test_an_upload_must_say_what_it_is(service: Any) -> None:
    for kind in ("application/json", "text/plain", ""):
        check(upload(service.http, b"{}", kind), 415)
    check(upload(service.http, b"", on_error="ignore"), 422)
    check(upload(service.http, b"", oops="1"), 422)
    assert last(upload(service.http, b""))["line"] == 0


def parquet(frame: pl.DataFrame) -> bytes:
    file = io.BytesIO()
    frame.write_parquet(file)
    return file.getvalue()


def test_parquet_is_read_row_by_row(service: Any, user_id: str) -> None:
    times = [datetime(2026, 1, 1, 0, 0, each, tzinfo=UTC) for each in range(3)]
    columns = {"user_id": [user_id] * 3, "item_id": [1, 2, 3], "rating": [1.0, None, 3.0], "timestamp": times}
    frame = pl.DataFrame({**columns, "kind": [None, "view", None]})
    assert last(upload(service.http, parquet(frame), PARQUET))["accepted"] == 3
    assert [(each["item_id"], each["timestamp"]) for each in history(service, user_id)] == [
        (str(number), 1_767_225_599.0 + number) for number in (3, 2, 1)
    ]
    assert last(upload(service.http, parquet(frame), PARQUET))["duplicates"] == 3
    wrong = refused(upload(service.http, parquet(frame.with_columns(more=1)), PARQUET), 422)
    assert wrong["detail"].startswith("line 1: more: Extra")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" * 100, b"x" * 100])
def test_what_is_no_parquet_is_refused(service: Any, content: bytes) -> None:
    assert "no Parquet" in refused(upload(service.http, content, PARQUET), 422)["detail"]


def test_a_file_that_is_too_large_is_refused(bounded: Any) -> None:
    assert "LIVEREC_MAX_UPLOAD_BYTES" in refused(upload(bounded.http, b"x" * (MOST_BYTES + 1), PARQUET), 413)["detail"]


def test_no_more_events_than_allowed(start: Any, tmp_path: Any, user_id: str) -> None:
    small = start(LIVEREC_VAR=str(tmp_path), LIVEREC_MAX_UPLOAD_EVENTS="2")
    event = {"user_id": user_id, "item_id": "item 1", "kind": "view"}
    events = [{**event, "event_id": str(number)} for number in range(3)]
    problem = refused(upload(small.http, lines(*events), on_error="skip"), 422)
    assert "LIVEREC_MAX_UPLOAD_EVENTS" in problem["detail"]
    assert problem["accepted"] == problem["line"] == 2


def test_a_long_upload_takes_no_memory_and_others_are_served(bounded: Any, user_id: str) -> None:
    process = psutil.Process(bounded.process.pid)
    before, most, slowest = process.memory_info().rss, 0, 0.0
    good = {"user_id": user_id, "item_id": "item 1", "kind": "view"}

    def body() -> Iterator[bytes]:
        nonlocal most, slowest
        for number in range(100):
            yield lines(*({**good, "event_id": f"{number} {each}"} for each in range(20))) + b"{}\n" * 1_000
            most = max(most, process.memory_info().rss)
            began = time.monotonic()
            assert bounded.http.get(f"/recommend/{user_id}").status_code == 200
            slowest = max(slowest, time.monotonic() - began)

    with httpx.Client(base_url=bounded.http.base_url, timeout=60) as http:
        report = last(upload(http, body(), on_error="skip"))
    assert (report["accepted"], report["refused"]) == (2_000, 100_000)
    assert most - before < 2**25
    assert slowest < 2


class Upload:
    """A connection on which the body of an upload is on its way."""

    def __init__(self, port: int, *pieces: bytes) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        head = "POST /events/bulk HTTP/1.1", "Host: x", f"Content-Type: {NDJSON}", "Transfer-Encoding: chunked"
        self.socket.sendall("\r\n".join([*head, "", ""]).encode())
        for piece in pieces:
            self.send(piece)

    def send(self, piece: bytes) -> None:
        self.socket.sendall(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")

    def read(self) -> bytes:
        """Return what comes until the server closes the connection."""
        received = b""
        while piece := self.socket.recv(65_536):
            received += piece
        return received

    def close(self) -> None:
        self.socket.close()


def test_there_is_a_bound_on_uploads_under_way(bounded: Any, user_id: str) -> None:
    event = {"user_id": user_id, "item_id": "item 1", "kind": "view", "event_id": "e"}
    begun = [Upload(bounded.port, lines(event))]

    def is_taken() -> bool:
        try:
            begun[-1].send(b"\n")
        except OSError:
            # One of another test was under way, or this machine was so slow that it counted as stalled.
            begun.append(Upload(bounded.port, lines(event)))
        return upload(bounded.http, b"").status_code == 429

    try:
        _until(is_taken)
        problem = refused(upload(bounded.http, lines(event)), 429)
        assert "LIVEREC_MAX_UPLOADS" in problem["detail"]
    finally:
        for each in begun:
            each.close()
    _until(lambda: upload(bounded.http, lines(event)).status_code == 200)


def test_who_trickles_is_written_in_between_and_who_stalls_is_cut_off(bounded: Any, user_id: str) -> None:
    event = {"user_id": user_id, "item_id": "item 1", "kind": "view"}
    trickle = Upload(bounded.port)
    try:
        for number in range(5):
            trickle.send(lines({**event, "event_id": str(number)}))
            time.sleep(STALL_SECONDS / 2)
        assert len(history(bounded, user_id)) >= 3
        trickle.send(b'{"user_id": "half')
        answer = trickle.read()
    finally:
        trickle.close()
    assert b"200 OK" in answer
    assert b'"done":true' not in answer
    _until(lambda: upload(bounded.http, b"").status_code == 200)


def test_who_sends_nothing_gets_408(bounded: Any) -> None:
    silent = Upload(bounded.port, b"{")
    try:
        assert b" 408 " in silent.read()
    finally:
        silent.close()


def _until(is_so: Any) -> None:
    ends = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < ends
        time.sleep(0.02)
