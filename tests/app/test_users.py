"""What is stored of a user: all of it can be seen and taken along."""

from __future__ import annotations

import base64
import uuid
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from problem_document import check

from app.history_cursor import HistoryCursor
from engine.errors import QueryError

ODD = 'forget me/ключ "x" {p1}'


@pytest.fixture
def user_id() -> str:
    return uuid.uuid4().hex


def path(user_id: str, ending: str = "") -> str:
    return f"/users/{quote(user_id, safe='')}{ending}"


def rating(user_id: str, item: int, **more: object) -> dict[str, object]:
    return {"user_id": user_id, "item_id": f"item {item}", "rating": 5, **more}


def test_a_history_comes_newest_first_in_pages(service, user_id: str) -> None:
    # Of all kinds of ties: pages break inside and between them.
    times = [5, 5, 5, 5, 5, 3, 3, 9, 1, 5]
    sent = [rating(user_id, item, timestamp=time, event_id=f"e{item}") for item, time in enumerate(times)]
    service.http.post("/rate", json=sent).raise_for_status()
    wanted = [f"item {item}" for item in (7, 9, 4, 3, 2, 1, 0, 6, 5, 8)]
    for n in (1, 2, 3, 10, 1_000):
        seen, cursor = [], {}
        while True:
            page = service.http.get(path(user_id, "/history"), params={"n": n, **cursor}).json()
            seen += page["events"]
            if page["cursor"] is None:
                break
            assert len(page["events"]) == n
            cursor = {"cursor": page["cursor"]}
        assert [each["item_id"] for each in seen] == wanted
        assert page["history_version"] == 10
    assert seen[0] == {"item_id": "item 7", "kind": "rating", "rating": 5.0, "timestamp": 9.0, "event_id": "e7"}


def test_a_page_goes_on_where_the_last_ended_whatever_comes_and_goes(service, user_id: str) -> None:
    sent = [rating(user_id, item, timestamp=item + 1) for item in range(6)]
    service.http.post("/rate", json=sent).raise_for_status()
    first = service.http.get(path(user_id, "/history"), params={"n": 3}).json()
    service.http.post("/rate", json=rating(user_id, 3, timestamp=100)).raise_for_status()
    rest = service.http.get(path(user_id, "/history"), params={"cursor": first["cursor"]}).json()
    assert [each["item_id"] for each in rest["events"]] == ["item 2", "item 1", "item 0"]


@pytest.mark.parametrize("ending", ["", "/history", "/export", "a/b/c", "ключ", "?x#y", "%2F"])
def test_any_id_has_a_history(service, ending: str) -> None:
    user_id = uuid.uuid4().hex + ending
    service.http.post("/rate", json=rating(user_id, 1)).raise_for_status()
    page = service.http.get(path(user_id, "/history")).json()
    assert (page["user_id"], len(page["events"]), page["degraded"]) == (user_id, 1, None)
    assert service.http.get(path(user_id, "/export")).json()["user_id"] == user_id
    assert service.http.head(path(user_id, "/history")).status_code == 200
    assert service.http.delete(path(user_id)).json()["events"] == 1


def test_of_an_unknown_user_there_is_nothing(service, user_id: str) -> None:
    page = service.http.get(path(user_id, "/history")).json()
    assert page == {"user_id": user_id, "history_version": 0, "events": [], "cursor": None, "degraded": None}
    export = service.http.get(path(user_id, "/export")).json()
    empty = {"events": [], "seen_items": [], "log": [], "exposures": []}
    assert export == {"user_id": user_id, "history_version": 0, **empty}


@given(timestamp=st.floats(allow_nan=False, allow_infinity=False), arrival=st.integers(0, 10**16 - 1))
def test_any_place_survives_its_cursor(timestamp: float, arrival: int) -> None:
    cursor = HistoryCursor(timestamp, arrival)
    assert HistoryCursor.decode(cursor.encode()) == cursor


@given(content=st.text(max_size=20) | st.sampled_from(["[1,2]", "[NaN,1]", "[1.0,true]", "[1e999,1]", "[" * 3_000]))
def test_any_other_cursor_is_refused(content: str) -> None:
    encoded = base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")
    for text in {content, encoded}:
        with pytest.raises(QueryError, match=r"cursor: .* is none"):
            HistoryCursor.decode(text)


@pytest.mark.parametrize(
    ("ending", "words"),
    [
        ("/history?n=0", ("n", "'0'")),
        ("/history?n=1001", ("n", "1000")),
        ("/history?n=ten", ("n", "'ten'")),
        ("/history?cursor=x", ("cursor", "'x'")),
        ("/history?cursor=" + "x" * 500, ("cursor", "200")),
        ("/history?m=1", ("m", "not permitted")),
    ],
)
def test_impossible_pages(service, ending: str, words: tuple[str, ...]) -> None:
    check(service.http.get("/users/42" + ending), 422, *words)


@pytest.mark.parametrize("raw", ["%FF", "a%FEb", "%ED%A0%80"])
@pytest.mark.parametrize("ending", ["/history", "/export", ""])
def test_ids_that_are_no_utf8(service, raw: str, ending: str) -> None:
    check(service.http.request("GET" if ending else "DELETE", f"/users/{raw}{ending}"), 422, "user_id", "UTF-8")


@pytest.mark.parametrize("raw", ["", "x" * 257, "a%00b"])
@pytest.mark.parametrize("ending", ["/history", "/export", ""])
def test_impossible_ids(service, raw: str, ending: str) -> None:
    check(service.http.request("GET" if ending else "DELETE", f"/users/{raw}{ending}"), 422, "user_id")


def test_other_methods_and_paths(service) -> None:
    check(service.http.get("/users/42"), 405, "GET /users/42")
    check(service.http.post("/users/42/history", json={}), 405, "POST /users/42/history")
    check(service.http.get("/users"), 404, "/users")


def test_an_export_holds_all_that_was_sent_and_all_that_counts(start, url: str) -> None:
    service = start(redis_url=url, LIVEREC_EXPLORATION_SHARE="1", LIVEREC_HISTORY_LIMIT="128")
    service.http.post("/rate", json=rating("other", 1)).raise_for_status()
    sent = [rating(ODD, 1, timestamp=1, event_id="a", recommendation_id="r"), rating(ODD, 2, timestamp=2)]
    service.http.post("/rate", json=[*sent, rating(ODD, 1, timestamp=3)]).raise_for_status()
    service.http.delete(f"/rate/{quote(ODD, safe='')}/item%202").raise_for_status()
    export = service.http.get(path(ODD, "/export")).json()
    assert (export["user_id"], export["history_version"]) == (ODD, 4)
    assert [(each["item_id"], each["timestamp"]) for each in export["events"]] == [("item 1", 3.0)]
    assert export["seen_items"] == ["item 1"]
    assert [(each["item_id"], each["kind"], each["history_version"]) for each in export["log"]] == [
        ("item 1", "rating", 1),
        ("item 2", "rating", 2),
        ("item 1", "rating", 3),
        ("item 2", "undo", 4),
    ]
    first = export["log"][0]
    assert (first["event_id"], first["recommendation_id"], first["counted_timestamp"]) == ("a", "r", 1.0)
