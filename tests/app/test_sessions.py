"""Sessions and given items at their edges: times, versions, pages of a history that grows, and slow bodies."""

from __future__ import annotations

import json
import socket
import time
import uuid
from typing import Any

import pytest
from item_client import admirer, new, path, post
from problem_document import check
from steered_world import ITEMS

PATH = "/session/recommend"
KNOWN = {"item_id": "item 3", "rating": 5}


def ask(service, **body: object) -> dict[str, Any]:
    return service.http.post(PATH, json=body).raise_for_status().json()


def ids(answer: dict[str, Any]) -> list[str]:
    return [item["item_id"] for item in answer["items"]]


@pytest.mark.parametrize("timestamp", [1e300, time.time() * 1_000, time.time() + 3_600], ids=range(3))
def test_an_event_of_the_future_is_refused(steered, timestamp: float) -> None:
    for history in ([{**KNOWN, "timestamp": timestamp}], [KNOWN, {**KNOWN, "timestamp": timestamp}]):
        check(steered.http.post(PATH, json={"history": history}), 422, "timestamp", "future")


def test_a_clock_that_is_a_little_fast_is_forgiven(steered) -> None:
    history = [{**KNOWN, "timestamp": time.time() + 60}, {"item_id": "item 9", "rating": 4}]
    assert ask(steered, history=history)["source"] == "rerank"


def test_a_version_is_of_a_user(steered) -> None:
    for version in (0, 1):
        refused = steered.http.post(PATH, json={"history": [KNOWN], "min_version": version})
        check(refused, 422, "min_version", "user_id")
    assert ask(steered, history=[KNOWN], min_version=0, user_id=uuid.uuid4().hex)["history_version"] == 0


def test_without_a_user_there_is_no_version(steered) -> None:
    visitor = ask(steered, history=[KNOWN])
    assert (visitor["user_id"], visitor["history_version"], visitor["degraded"]) == (None, None, None)
    user_id = uuid.uuid4().hex
    event = {"user_id": user_id, **KNOWN}
    steered.http.post("/rate", json=event).raise_for_status()
    assert ask(steered, history=[], user_id=user_id)["history_version"] == 1


@pytest.mark.parametrize("is_named", [False, True])
def test_pages_of_a_history_that_grows_repeat_nothing(steered, is_named: bool) -> None:
    body: dict[str, Any] = {"n": 4, "exclude_seen": False, "diversity": 0.2}
    body |= {"user_id": uuid.uuid4().hex} if is_named else {}
    history, shown, answer = [KNOWN], list[str](), ask(steered, history=[KNOWN], **body)
    while answer["cursor"]:
        shown += ids(answer)
        history = [*history, {"item_id": shown[-1], "rating": 4}]
        answer = ask(steered, history=history, cursor=answer["cursor"], **body)
    shown += ids(answer)
    assert sorted(shown) == sorted(ITEMS)


def test_a_cursor_is_of_one_user_though_the_history_comes_along(steered) -> None:
    cursor = ask(steered, history=[KNOWN], n=4)["cursor"]
    body = {"history": [KNOWN], "n": 4, "cursor": cursor, "user_id": uuid.uuid4().hex}
    check(steered.http.post(PATH, json=body), 422, "cursor", "another user")


def test_given_items_have_no_further_page(steered) -> None:
    for given in (["item 3"], list(ITEMS), ["nothing"]):
        answer = steered.http.post("/rank", json={"user_id": "42", "items": given}).raise_for_status().json()
        assert answer["cursor"] is None


def test_deleted_and_hidden_items_are_unknown_when_ranked(reader) -> None:
    user_id, here, hidden, gone = admirer(reader), new(), new(is_hidden=True), new()
    post(reader, here, hidden, gone)
    reader.http.delete(path(gone["item_id"])).raise_for_status()
    given = [hidden["item_id"], "item 9", "nothing", gone["item_id"], here["item_id"], "nothing"]
    answer = reader.http.post("/rank", json={"user_id": user_id, "items": given}).raise_for_status().json()
    assert answer["unknown_items"] == [hidden["item_id"], "nothing", gone["item_id"]]
    assert set(ids(answer)) == {"item 9", here["item_id"]}
    nobody = {"user_id": "stranger", "items": [hidden["item_id"], gone["item_id"]]}
    answer = reader.http.post("/rank", json=nobody).raise_for_status().json()
    assert (answer["items"], answer["unknown_items"]) == ([], nobody["items"])


def sent_slowly(port: int, path: str, body: bytes, wait: float) -> dict[str, Any]:
    """Send the head of a request, then after a while its body, with 200 ms for the answer."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nX-Deadline-Ms: 200\r\n"
    head += f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(head.encode())
        time.sleep(wait)
        connection.sendall(body)
        with connection.makefile("rb") as file:
            answer = file.read()
    assert answer.startswith(b"HTTP/1.1 200"), answer
    return json.loads(answer.split(b"\r\n\r\n", 1)[1])


@pytest.mark.parametrize("path", [PATH, "/rank", "/recommend/batch"])
def test_a_deadline_counts_from_the_arrival_of_the_head(steered, path: str) -> None:
    body = {
        PATH: {"history": [KNOWN]},
        "/rank": {"user_id": "slow", "items": ["item 5"]},
        "/recommend/batch": {"queries": [{"user_id": "slow"}]},
    }[path]
    answer = sent_slowly(steered.port, path, json.dumps(body).encode(), 0.3)
    for each in answer.get("answers", [answer]):
        assert each["degraded"] == "deadline"
        assert each["items"]
