"""Opinions that are changed, undone and late: whatever the order of arrival, the history is the same."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar
from urllib.parse import quote

import opened_store
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problem_document import check
from redis import Redis

from app.keys import Keys
from app.settings import Settings
from app.store import Outcome, Store, UserState
from engine.events import Event, History

T = TypeVar("T")
LIMIT = 10
KINDS = ("rating", "rating", "like", "dislike", "undo", "undo", "view", "click")
Sent = list[tuple[str, str, int]]
SENT = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(KINDS), st.integers(0, 6)), max_size=14)


def with_store(url: str, work: Callable[[Store], Awaitable[T]], limit: int = 1_000) -> T:
    return opened_store.with_store(url, work, Settings(history_limit=limit))


def event(user_id: str, item_id: str, kind: str, timestamp: float) -> Event:
    value = timestamp % 5 + 1 if kind == "rating" else None
    return Event(user_id, item_id, kind, value, float(timestamp), uuid.uuid4().hex)


@pytest.fixture
def user_id() -> str:
    return uuid.uuid4().hex


def after(url: str, events: Sequence[Event], limit: int = 1_000) -> UserState:
    async def work(store: Store) -> UserState:
        for start in range(0, len(events), 4):
            await store.write(events[start : start + 4])
        return await store.read(events[0].user_id, "f")

    return with_store(url, work, limit)


@settings(max_examples=150, deadline=None)
@given(sent=SENT.filter(len))
def test_any_order_of_arrival_gives_the_specified_history(store_url: str, sent: Sent) -> None:
    user_id = uuid.uuid4().hex
    events = [event(user_id, *each) for each in sent]
    state = after(store_url, events)
    assert state.history == History.of(events)
    assert (state.seen, state.version) == (frozenset(), len(events))


@settings(max_examples=100, deadline=None)
@given(sent=SENT.filter(len), order=st.randoms(use_true_random=False))
def test_what_arrives_late_counts_as_if_it_had_been_sent_in_time(store_url: str, sent: Sent, order) -> None:
    user_id = uuid.uuid4().hex
    # Times of their own: at equal ones the order of arrival is meant to matter.
    events = [event(user_id, item, kind, step) for step, (item, kind, _) in enumerate(sent)]
    shuffled = events.copy()
    order.shuffle(shuffled)
    assert after(store_url, shuffled).history == History.of(events)


@settings(max_examples=100, deadline=None)
@given(
    sent=st.lists(
        st.tuples(st.sampled_from("abcdefghijklmnop"), st.sampled_from(KINDS), st.integers(0, 40)),
        min_size=LIMIT,
        max_size=40,
    )
)
def test_what_is_trimmed_counts_as_seen_and_what_is_undone_does_not(store_url: str, sent: Sent) -> None:
    user_id = uuid.uuid4().hex
    events = [event(user_id, *each) for each in sent]
    state, whole = after(store_url, events, LIMIT), History.of(events)
    assert len(state.history.events) <= LIMIT
    assert set(state.history.events) <= set(whole.events)
    assert state.history.seen() | state.seen == whole.seen()


def test_undoing_tells_whether_there_was_something_to_undo(store_url: str, user_id: str) -> None:
    async def work(store: Store) -> list[int]:
        steps = [
            ("rating", 4),
            ("like", 5),
            ("undo", 3),
            ("undo", 7),
            ("undo", 8),
            ("rating", 6),
            ("like", 9),
            ("undo", 9),
        ]
        return [(await store.write([event(user_id, "a", *step)]))[0].removed for step in steps]

    assert with_store(store_url, work) == [0, 0, 0, 1, 0, 0, 0, 1]


def test_an_undo_is_logged_counts_the_version_up_and_voids_cached_answers(store_url: str, user_id: str) -> None:
    async def work(store: Store) -> None:
        await store.write([event(user_id, "a", "rating", 1)])
        await store.keep(user_id, 1, "f", b"answer")
        taken_back = event(user_id, "a", "undo", 2)
        first, again = (await store.write([taken_back]))[0], (await store.write([taken_back]))[0]
        assert (first.outcome, first.version, first.removed) == (Outcome.WRITTEN, 2, 1)
        assert (again.outcome, again.version, again.removed) == (Outcome.DUPLICATE, 2, 1)
        assert (await store.read(user_id, "f")).cached is None

    with_store(store_url, work)
    with Redis.from_url(store_url) as redis:
        log = redis.xrange(Keys.of(user_id, 64).log)
    assert sum(user_id.encode() in entry[b"event"] and b'"undo"' in entry[b"event"] for _, entry in log) == 1


def test_an_event_id_of_a_rating_cannot_be_used_to_undo(store_url: str, user_id: str) -> None:
    rated = event(user_id, "a", "rating", 1)
    undo = Event(user_id, "a", "undo", None, 2.0, rated.event_id)
    written = with_store(store_url, lambda store: store.write([rated, undo]))
    assert written[1].outcome is Outcome.CONFLICT


def test_what_this_host_timed_is_never_older_than_what_was_undone(store_url: str, user_id: str) -> None:
    async def work(store: Store) -> list[str]:
        await store.write([event(user_id, "a", "rating", 100), event(user_id, "a", "undo", 101)])
        again = event(user_id, "a", "like", 98)
        await store.write([again], timed_here={again.event_id})
        undo = event(user_id, "a", "undo", 97)
        assert (await store.write([undo], timed_here={undo.event_id}))[0].removed == 1
        last = event(user_id, "a", "dislike", 96)
        await store.write([last], timed_here={last.event_id})
        return [each.kind for each in (await store.read(user_id, "f")).history.events]

    assert with_store(store_url, work) == ["dislike"]


def test_loading_brings_back_nothing_that_was_undone_or_changed(store_url: str, user_id: str) -> None:
    offline = History(tuple(event(user_id, item, "rating", 1 + step) for step, item in enumerate("abcd")))

    async def work(store: Store) -> None:
        await store.write([event(user_id, "d", "undo", 50)])
        await store.load([offline])
        assert [each.item_id for each in (await store.read(user_id, "f")).history.events] == list("abc")
        await store.write([event(user_id, "a", "undo", 60), event(user_id, "b", "dislike", 61)])
        before = await store.read(user_id, "f")
        await store.load([offline])
        assert await store.read(user_id, "f") == before
        assert [(each.item_id, each.kind) for each in before.history.events] == [("c", "rating"), ("b", "dislike")]

    with_store(store_url, work)


def rated(user_id: str, item: str = "item 5", **more: object) -> dict[str, object]:
    return {"user_id": user_id, "item_id": item, "rating": 5, **more}


def undo_path(user_id: str, item_id: str) -> str:
    return f"/rate/{quote(user_id, safe='')}/{quote(item_id, safe='')}"


@pytest.mark.parametrize("ending", ["", "/a/b", "ключ", "?x=1#y", "%2F", " +&"])
def test_an_undone_item_can_be_recommended_in_the_very_next_answer(service, ending: str) -> None:
    user_id = uuid.uuid4().hex + ending
    path = f"/recommend/{quote(user_id, safe='')}"
    service.http.post("/rate", json=[rated(user_id, "item 4"), rated(user_id, "item 5")]).raise_for_status()
    assert "item 5" not in {item["item_id"] for item in service.http.get(path, params={"n": 30}).json()["items"]}
    receipt = service.http.delete(undo_path(user_id, "item 5")).json()
    assert receipt == {
        "accepted": 1,
        "duplicates": 0,
        "versions": {user_id: 3},
        "unknown_items": [],
        "removed": 1,
    }
    answer = service.http.get(path, params={"n": 30}).json()
    assert answer["history_version"] == 3
    assert "item 5" in {item["item_id"] for item in answer["items"]}


def test_undoing_what_was_never_rated_is_no_error(service) -> None:
    user_id = uuid.uuid4().hex
    receipt = service.http.delete(undo_path(user_id, "an/unknown item"))
    assert receipt.status_code == 200
    assert (receipt.json()["removed"], receipt.json()["unknown_items"]) == (0, ["an/unknown item"])


def test_an_item_that_was_viewed_too_stays_seen(service) -> None:
    user_id = uuid.uuid4().hex
    service.http.post("/feedback", json={"user_id": user_id, "item_id": "item 5", "kind": "view"})
    service.http.post("/rate", json=rated(user_id)).raise_for_status()
    assert service.http.delete(undo_path(user_id, "item 5")).json()["removed"] == 1
    items = service.http.get(f"/recommend/{user_id}", params={"n": 30}).json()["items"]
    assert "item 5" not in {item["item_id"] for item in items}


@pytest.mark.parametrize("by_header", [True, False])
def test_a_repeated_undo_answers_what_the_first_did(service, by_header: bool) -> None:
    user_id, event_id = uuid.uuid4().hex, uuid.uuid4().hex
    service.http.post("/rate", json=rated(user_id)).raise_for_status()
    given = {"headers": {"Idempotency-Key": event_id}} if by_header else {"params": {"event_id": event_id}}
    first = service.http.delete(undo_path(user_id, "item 5"), **given).json()
    service.http.post("/rate", json=rated(user_id)).raise_for_status()
    again = service.http.delete(undo_path(user_id, "item 5"), **given).json()
    assert (first["accepted"], first["removed"]) == (1, 1)
    assert again == {**first, "accepted": 0, "duplicates": 1}
    other = service.http.delete(undo_path(user_id, "item 6"), **given)
    check(other, 409, event_id)
    check(service.http.post("/rate", json=rated(user_id, event_id=event_id)), 409, event_id)


def test_an_undo_of_the_past_leaves_a_newer_rating(service) -> None:
    user_id = uuid.uuid4().hex
    service.http.post("/rate", json=rated(user_id, timestamp=2_000)).raise_for_status()
    assert service.http.delete(undo_path(user_id, "item 5"), params={"timestamp": 1_999}).json()["removed"] == 0
    assert service.http.delete(undo_path(user_id, "item 5"), params={"timestamp": 2_000}).json()["removed"] == 1
    service.http.post("/rate", json=rated(user_id, timestamp=1_000)).raise_for_status()
    assert service.http.get(f"/users/{user_id}/history").json()["events"] == []


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/rate/a", ("1 segments", "%2F")),
        ("/rate/a/b/c", ("3 segments", "%2F")),
        ("/rate/", ("1 segments", "%2F")),
        ("/rate/a/", ("item_id", "1 to 256")),
        ("/rate//b", ("user_id", "1 to 256")),
        ("/rate/" + "x" * 257 + "/b", ("user_id", "1 to 256")),
        ("/rate/a/" + "%F0%9F%99%82" * 65, ("item_id", "1 to 256")),
        ("/rate/%FF/b", ("user_id", "UTF-8")),
        ("/rate/a/%ED%A0%80", ("item_id", "UTF-8")),
        ("/rate/a/b%00c", ("item_id", "NUL")),
        ("/rate/a/b?timestamp=soon", ("timestamp", "number")),
        ("/rate/a/b?timestamp=-1", ("timestamp", "greater than or equal to 0")),
        ("/rate/a/b?timestamp=nan", ("timestamp", "finite")),
        ("/rate/a/b?timestamp=4e10", ("timestamp", "future")),
        ("/rate/a/b?event_id=" + "e" * 257, ("event_id", "1 to 256")),
        ("/rate/a/b?eventid=e", ("eventid", "not permitted")),
    ],
)
def test_an_impossible_undo(service, path: str, words: tuple[str, ...]) -> None:
    check(service.http.delete(path), 422, *words)


def test_two_names_for_one_undo(service) -> None:
    key = {"Idempotency-Key": "k"}
    check(service.http.delete("/rate/a/b?event_id=other", headers=key), 422, "Idempotency-Key", "'other'")
    check(service.http.delete("/rate"), 405, "DELETE /rate")
