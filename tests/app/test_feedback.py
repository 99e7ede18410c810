"""Feedback of any kind: what is worth what, under whose names it comes, and what is refused."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Sequence

import httpx
import pytest
from problem_document import check

from app.embedded_store import EmbeddedStore
from app.event_writing import EventWriting
from app.feedback import Feedback, read_time
from app.metrics import Metrics
from app.rating import Rating
from app.settings import Settings
from app.store import Store
from engine.bundle import Bundle
from engine.errors import ConfigError, ConflictError
from engine.events import Event

GOOD = {"user_id": "bad", "item_id": "item 1", "kind": "view"}


def feedback(user_id: str, item: int, kind: str, **more: object) -> dict[str, object]:
    return {"user_id": user_id, "item_id": f"item {item}", "kind": kind, **more}


def history(service, user_id: str) -> list[dict[str, object]]:
    return service.http.get(f"/users/{user_id}/history").json()["events"]


@pytest.fixture
def user_id() -> str:
    return uuid.uuid4().hex


def test_feedback_counts_in_the_very_next_answer(service, user_id: str) -> None:
    receipt = service.http.post("/feedback", json=feedback(user_id, 7, "click")).json()
    assert receipt == {"accepted": 1, "duplicates": 0, "versions": {user_id: 1}, "unknown_items": []}
    answer = service.http.get(f"/recommend/{user_id}", params={"n": 3}).json()
    assert (answer["history_version"], answer["source"]) == (1, "rerank")
    assert "item 8" in {item["item_id"] for item in answer["items"]}


def test_networks_read_no_dislikes_but_their_items_are_seen(service, user_id: str) -> None:
    service.http.post("/feedback", json=feedback(user_id, 7, "dislike")).raise_for_status()
    answer = service.http.get(f"/recommend/{user_id}", params={"n": 24}).json()
    assert answer["source"] == "popular"
    assert "item 7" not in {item["item_id"] for item in answer["items"]}


def test_opinions_replace_each_other_and_views_add_up(service, user_id: str) -> None:
    kinds = ["view", "like", "view", "dislike", "skip"]
    events = [feedback(user_id, 1, kind, timestamp=1_000 + step) for step, kind in enumerate(kinds)]
    service.http.post("/feedback", json=events).raise_for_status()
    assert [each["kind"] for each in history(service, user_id)] == ["skip", "dislike", "view", "view"]
    rating = {"user_id": user_id, "item_id": "item 1", "rating": 2, "timestamp": 2_000}
    service.http.post("/rate", json=rating).raise_for_status()
    newest, *others = history(service, user_id)
    assert (newest["kind"], newest["rating"], newest["timestamp"]) == ("rating", 2.0, 2_000.0)
    assert [each["kind"] for each in others] == ["skip", "view", "view"]


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_gorse_s_names_are_understood(service, user_id: str, method: str) -> None:
    body = {
        "UserId": user_id,
        "ItemId": "item 3",
        "FeedbackType": "purchase",
        "Timestamp": "2024-05-01T10:00:00Z",
        "Comment": "from the shop",
    }
    assert service.http.request(method, "/feedback", json=[body]).json()["accepted"] == 1
    [event] = history(service, user_id)
    assert (event["item_id"], event["kind"], event["timestamp"]) == ("item 3", "purchase", 1_714_557_600.0)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2024-05-01T10:00:00Z", 1_714_557_600.0),
        ("2024-05-01T10:00:00", 1_714_557_600.0),
        ("2024-05-01 12:00:00+02:00", 1_714_557_600.0),
        ("2024-05-01T10:00:00.25Z", 1_714_557_600.25),
        ("2024-05-01", 1_714_521_600.0),
    ],
)
def test_iso_times_are_utc_unless_they_say_otherwise(text: str, seconds: float) -> None:
    assert read_time(text) == seconds


def test_feedback_without_a_time_is_of_now(service, user_id: str) -> None:
    before = time.time()
    service.http.post("/feedback", json=feedback(user_id, 1, "view")).raise_for_status()
    assert before <= history(service, user_id)[0]["timestamp"] <= time.time()


def test_repeated_feedback_counts_once(service, user_id: str) -> None:
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    receipts = [
        service.http.post("/feedback", json=feedback(user_id, 1, "view"), headers=headers).json() for _ in range(2)
    ]
    assert [receipt["duplicates"] for receipt in receipts] == [0, 1]
    other = service.http.post("/feedback", json=feedback(user_id, 1, "click"), headers=headers)
    check(other, 409, headers["Idempotency-Key"])
    assert len(history(service, user_id)) == 1


def test_without_a_store_the_ids_to_repeat_with_are_told(start, tmp_path) -> None:
    with EmbeddedStore(tmp_path) as store:
        service = start(redis_url=store.url)
    body = [feedback("u", 1, "view", event_id="mine"), feedback("u", 2, "view")]
    refused = service.http.post("/feedback", json=body)
    check(refused, 503)
    assert refused.json()["event_ids"][0] == "mine"
    assert len(refused.json()["event_ids"]) == 2
    check(service.http.delete("/rate/u/1?event_id=mine"), 503)
    for path in ("/users/u/history", "/users/u/export"):
        check(service.http.get(path), 503)
    check(service.http.delete("/users/u"), 503)


def test_settings_give_kinds_their_weights(start, user_id: str) -> None:
    service = start(workers=2, LIVEREC_FEEDBACK_WEIGHTS='{"wishlist": 0.8, "click": -1, "ключ": 0}')
    service.http.post("/feedback", json=feedback(user_id, 7, "click")).raise_for_status()
    assert service.http.get(f"/recommend/{user_id}").json()["source"] == "popular"
    service.http.post("/feedback", json=feedback(user_id, 7, "wishlist")).raise_for_status()
    assert service.http.get(f"/recommend/{user_id}").json()["source"] == "rerank"
    check(service.http.post("/feedback", json=feedback(user_id, 7, "buy")), 422, "'buy'", "wishlist", "ключ")


def test_weights_reach_other_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = {"wish list": 0.5, "ключ": -1.0}
    for name, value in Settings(feedback_weights=weights).environment().items():
        monkeypatch.setenv(name, value)
    assert Settings.read().feedback_weights == weights


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("{", "JSON object"),
        ("[1]", "dictionary"),
        ('{"a": 2}', "less than or equal to 1"),
        ('{"a": -1.5}', "greater than or equal to -1"),
        ('{"a": NaN}', "finite"),
        ('{"a": "much"}', "number"),
        ('{"rating": 1}', "'rating'"),
        ('{"undo": 1}', "'undo'"),
        ('{"": 1}', "1 to 64"),
        (json.dumps({"k" * 65: 1}), "1 to 64"),
        ('{"a\\u0000": 1}', "printable"),
    ],
)
def test_impossible_weights(monkeypatch: pytest.MonkeyPatch, value: str, words: str) -> None:
    monkeypatch.setenv("LIVEREC_FEEDBACK_WEIGHTS", value)
    with pytest.raises(ConfigError, match="LIVEREC_FEEDBACK_WEIGHTS") as refused:
        Settings.read()
    assert words in str(refused.value)


def test_who_listens_hears_of_each_new_event_once(opened: Bundle, store_url: str, user_id: str) -> None:
    heard: list[str] = []

    async def listen(events: Sequence[Event]) -> None:
        heard.extend(event.event_id for event in events)

    async def run() -> None:
        store = await Store.connect(store_url, Settings())
        try:
            recommender = opened.recommender()
            recommender.weigh({"view": 1.0})
            writing = EventWriting(store, recommender, Metrics())
            writing.on_written = listen
            drafts = [Feedback(user_id=user_id, item_id="item 1", kind="view", event_id=each) for each in "ab"]
            assert [event.event_id for event in (await writing.write(drafts)).events] == ["a", "b"]
            assert (await writing.write(drafts)).events == ()
            assert heard == []
            mixed = [Rating(user_id=user_id, item_id="item 1", rating=4, event_id=each) for each in "bc"]
            with pytest.raises(ConflictError) as refused:
                await writing.write(mixed)
            assert (refused.value.members["accepted"], refused.value.members["conflicts"]) == (1, ["b"])
        finally:
            await store.close()

    asyncio.run(run())
    # The answer to a conflict is an error, and nothing runs after it.
    assert heard == ["c"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "zap"}, ("'zap'", "view", "LIVEREC_FEEDBACK_WEIGHTS")),
        ({"kind": "z" * 100_000}, ("kind", "no weight")),
        ({"kind": ""}, ("kind", "no weight")),
        ({"kind": "rating"}, ("kind", "POST /rate")),
        ({"kind": "undo"}, ("kind", "DELETE /rate")),
        ({"kind": None}, ("kind", "string")),
        ({"kind": 1}, ("kind", "string")),
        ({"kind": ["view"]}, ("kind", "string")),
        ({"timestamp": 4e10}, ("timestamp", "future")),
        ({"timestamp": "9999-01-01"}, ("timestamp", "future")),
        ({"timestamp": "1969-01-01"}, ("timestamp", "greater than or equal to 0")),
        ({"timestamp": "0001-01-01T00:00:00+14:00"}, ("timestamp", "greater than or equal to 0")),
        ({"timestamp": -1}, ("timestamp", "greater than or equal to 0")),
        ({"timestamp": "yesterday"}, ("timestamp", "ISO 8601")),
        ({"timestamp": ""}, ("timestamp", "ISO 8601")),
        ({"timestamp": "1714557600"}, ("timestamp", "ISO 8601")),
        ({"timestamp": True}, ("timestamp", "number")),
        ({"timestamp": [1]}, ("timestamp", "number")),
        ({"user_id": ""}, ("user_id", "1 to 256")),
        ({"user_id": None}, ("user_id", "string")),
        ({"item_id": "x" * 10_000}, ("item_id", "1 to 256")),
        ({"item_id": "a\0b"}, ("item_id", "NUL")),
        ({"item_id": {"a": 1}}, ("item_id", "string")),
        ({"event_id": "e" * 300}, ("event_id", "1 to 256")),
        ({"recommendation_id": 1.5}, ("recommendation_id", "string")),
        ({"comment": 1}, ("comment", "string")),
        ({"rating": 4}, ("rating", "not permitted")),
        ({"UserId": "two names"}, ("UserId", "not permitted")),
    ],
)
def test_impossible_feedback(service, user_id: str, change: dict[str, object], words: tuple[str, ...]) -> None:
    good = {**GOOD, "user_id": user_id}
    check(service.http.post("/feedback", json=[good, {**good, **change}]), 422, *words)
    assert history(service, user_id) == []


@pytest.mark.parametrize("missing", ["user_id", "item_id", "kind"])
def test_a_missing_field(service, missing: str) -> None:
    body = {name: value for name, value in GOOD.items() if name != missing}
    check(service.http.post("/feedback", json=body), 422, missing, "required")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b"[]",
        b"null",
        b"42",
        b'"text"',
        b"\xff\xfe",
        b"[[]]",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"user_id": "\\ud800", "item_id": "a", "kind": "view"}',
        json.dumps([GOOD] * 1_001).encode(),
        json.dumps({**GOOD, "timestamp": 1}).replace("1}", "NaN}").encode(),
        json.dumps({**GOOD, "timestamp": 1}).replace("1}", "1e999}").encode(),
        json.dumps({**GOOD, "item_id": "x" * 1_000_000}).encode(),
    ],
    ids=range(16),
)
def test_a_body_that_is_no_list_of_feedback(service, body: bytes) -> None:
    check(service.http.post("/feedback", content=body), 422)


def test_a_huge_body(service) -> None:
    check(service.http.post("/feedback", content=b" " * 1_100_000), 413, "1048576")


def test_one_key_for_much_feedback(service) -> None:
    key = {"Idempotency-Key": "k"}
    check(service.http.post("/feedback", json=[GOOD, GOOD], headers=key), 422, "Idempotency-Key", "event_id")
    check(service.http.post("/feedback", json={**GOOD, "event_id": "other"}, headers=key), 422, "'other'")
    check(service.http.get("/feedback"), 405, "GET /feedback")


def test_the_documentation_names_what_is_taken(service) -> None:
    paths = httpx.get(f"{service.http.base_url}/openapi.json").json()["paths"]
    [one, many] = paths["/feedback"]["post"]["requestBody"]["content"]["application/json"]["schema"]["anyOf"]
    assert one["properties"].keys() >= {"user_id", "item_id", "kind", "timestamp", "event_id"}
    assert many["maxItems"] == 1_000
    parameters = paths["/rate/{user_id}/{item_id}"]["delete"]["parameters"]
    names = {each["name"] for each in parameters}
    assert names == {"user_id", "item_id", "timestamp", "event_id", "idempotency-key"}
