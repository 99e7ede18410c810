"""Hostile options, bodies and paths: a 4xx problem document that names what is wrong, and a service that goes on."""

from __future__ import annotations

import json
import socket
import uuid
from typing import Any
from urllib.parse import quote

import pytest
from problem_document import check

DEEP = 100_000
LISTS = ("/popular", "/latest", "/trending")
JSON = {"Content-Type": "application/json"}
GOOD: dict[str, dict[str, Any]] = {
    "/recommend/batch": {"queries": [{"user_id": "42"}]},
    "/session/recommend": {"history": []},
    "/rank": {"user_id": "42", "items": ["item 1"]},
    "/predict": {"user_id": "42", "items": ["item 1"]},
    "/rate": {"user_id": "bad", "item_id": "item 1", "rating": 4},
    "/feedback": {"user_id": "bad", "item_id": "item 1", "kind": "view"},
}
WRONG_FILTERS = [
    "year >",
    "= 1990",
    "year >= 1990 and",
    "year >= 1990)",
    "((year >= 1990)",
    "year >= 1990; import os",
    "__import__('os').system('true')",
    "year.__class__ = 1",
    "year >= 1990 or 1 = 1",
    "' or ''='",
    "year >= nan",
    "year >= 1e999",
    "year in ()",
    "year in (1, )",
    'title = "unclosed',
    "year == 1990",
    "not",
    "select * from items",
    "${jndi:ldap://x}",
    "{{7*7}}",
    "year >= 1990 -- comment",
    "year\x00 = 1",
    "nothing = 1",
    "director = null",
    "(" * 900 + "year = 1" + ")" * 900,
    "not " * 400 + "year = 1",
    " and ".join(["year = 1"] * 180),
]


@pytest.mark.parametrize("text", WRONG_FILTERS, ids=range(len(WRONG_FILTERS)))
def test_filters_that_cannot_be_read(steered, text: str) -> None:
    answer = steered.http.get("/recommend/42", params={"filter": text})
    if text.startswith("year = 1 and"):
        assert answer.status_code in (200, 422)
    else:
        check(answer, 422, "filter")
    if answer.status_code == 422:
        check(steered.http.get("/popular", params={"filter": text}), 422, "filter")
        body = {"queries": [{"user_id": "42", "filter": text}]}
        check(steered.http.post("/recommend/batch", json=body), 422, "filter")
        boost = steered.http.get("/recommend/42", params={"boost": f"1 if {text}"[:2_000]})
        check(boost, 422, "boost")


WRONG_BOOSTS = [
    "",
    "1",
    "if year = 1",
    "x if year = 1",
    "11 if year = 1",
    "-10.5 if year = 1",
    "nan if year = 1",
    "1 if",
]


@pytest.mark.parametrize("text", [*WRONG_BOOSTS, "1e400 if year = 1"])
def test_boosts_that_cannot_be_read(steered, text: str) -> None:
    check(steered.http.get("/recommend/42", params={"boost": text}), 422, "boost")


WRONG_OPTIONS: list[tuple[str, Any]] = [
    ("n", 0),
    ("n", 501),
    ("n", "ten"),
    ("n", "1e2"),
    ("n", "٣٣٣٣"),
    ("diversity", 1.01),
    ("diversity", -0.1),
    ("diversity", "nan"),
    ("diversity", "inf"),
    ("exploration", "nan"),
    ("exploration", 2),
    ("match", "some"),
    ("explain", "always"),
    ("exclude_seen", "perhaps"),
    ("model", ""),
    ("model", "x" * 257),
    ("model", "../ranker"),
    ("min_version", -1),
    ("min_version", 2**53 + 1),
    ("min_version", 1.5),
    ("cursor", "x"),
    ("cursor", "A" * 8_001),
    ("filter", "x" * 2_001),
    ("boost", ["1 if year > 1"] * 11),
    ("boost", "x" * 2_001),
    ("categories", ["x"] * 51),
    ("categories", ""),
    ("categories", "x" * 257),
    ("exclude", [str(number) for number in range(1_001)]),
    ("exclude", "a\x00b"),
    ("exclude", "x" * 257),
    ("include", ["x"] * 51),
    ("include", ""),
]


@pytest.mark.parametrize(("name", "value"), WRONG_OPTIONS, ids=range(len(WRONG_OPTIONS)))
def test_options_out_of_bounds(steered, name: str, value: object) -> None:
    check(steered.http.get("/recommend/42", params={name: value}), 422, name)
    listed = [value] if name in ("categories", "exclude", "include", "boost") and isinstance(value, str) else value
    body = {"queries": [{"user_id": "42", name: listed}]}
    check(steered.http.post("/recommend/batch", json=body), 422, name)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none(steered, value: str) -> None:
    for path, body in (
        ("/recommend/batch", {"queries": [{"user_id": "u", "diversity": 7}]}),
        ("/session/recommend", {"history": [{"item_id": "i", "rating": 7}]}),
        ("/feedback", {"user_id": "u", "item_id": "i", "kind": "view", "timestamp": 7}),
    ):
        given = json.dumps(body).replace("7", value)
        check(steered.http.post(path, content=given, headers=JSON), 422)


@pytest.mark.parametrize("path", ["/recommend/42", *LISTS, "/users/42/history"])
def test_unknown_and_repeated_parameters(steered, path: str) -> None:
    check(steered.http.get(path, params={"colour": "red"}), 422, "colour")
    check(steered.http.get(path + "?N=3"), 422, "N")
    # Of a parameter that is no list the last counts, as it does everywhere in the service.
    answer = steered.http.get(path + "?n=3&n=2").raise_for_status().json()
    assert len(answer.get("items", [])) in (0, 2)
    check(steered.http.get(path + "?n=2&n=bad"), 422, "n")


@pytest.mark.parametrize("path", GOOD)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"42",
        b'"text"',
        b"\xff\xfe",
        b'{"user_id": "\xff"}',
        b"[" * DEEP,
        b'{"a":' * DEEP,
        b'{"user_id": ' + b"[" * 5_000 + b"]" * 5_000 + b"}",
        b'{"user_id": "\\ud800"}',
        b"\x00",
        b"{} {}",
    ],
    ids=range(14),
)
def test_bodies_that_say_nothing(steered, path: str, body: bytes) -> None:
    check(steered.http.post(path, content=body, headers=JSON), 422)


@pytest.mark.parametrize("path", GOOD)
@pytest.mark.parametrize("user_id", ["", "x" * 257, "a\0b", "\ud800", 1.5, True, None, [], {}], ids=range(9))
def test_users_that_cannot_be(steered, path: str, user_id: object) -> None:
    good = GOOD[path]
    body = {"queries": [{"user_id": user_id}]} if path == "/recommend/batch" else {**good, "user_id": user_id}
    if path == "/session/recommend" and user_id is None:
        return
    check(steered.http.post(path, content=json.dumps(body), headers=JSON), 422, "user_id")


@pytest.mark.parametrize("path", GOOD)
def test_unknown_members(steered, path: str) -> None:
    check(steered.http.post(path, json={**GOOD[path], "colour": "red"}), 422, "colour")


@pytest.mark.parametrize("path", GOOD)
def test_bodies_that_are_too_large(steered, path: str) -> None:
    check(steered.http.post(path, content=b" " * 1_100_000, headers=JSON), 413, "1048576")


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("/recommend/batch", {"queries": []}),
        ("/recommend/batch", {"queries": [{"user_id": "42"}] * 101}),
        ("/session/recommend", {"history": [{"item_id": "item 1", "rating": 3}] * 1_001}),
        ("/session/recommend", {"history": [{"item_id": "item 1"}]}),
        ("/session/recommend", {"history": [{"item_id": "item 1", "rating": 3, "kind": "view"}]}),
        ("/session/recommend", {"history": [{"item_id": "item 1", "rating": 6}]}),
        ("/session/recommend", {"history": [{"item_id": "item 1", "kind": "undo"}]}),
        ("/session/recommend", {"history": [{"item_id": "item 1", "kind": "rating"}]}),
        ("/session/recommend", {"history": [{"item_id": "item 1", "kind": "unheard of"}]}),
        ("/session/recommend", {"history": [{"item_id": "item 1", "rating": 3, "timestamp": -1}]}),
        ("/rank", {"items": []}),
        ("/rank", {"items": ["item 1"] * 501}),
        ("/rank", {"items": ["a\0"]}),
        ("/rank", {"n": 3}),
    ],
    ids=range(14),
)
def test_bodies_out_of_bounds(steered, path: str, change: dict[str, Any]) -> None:
    check(steered.http.post(path, json=GOOD[path] | change), 422, next(iter(change)))


STRANGE = ["a/b", "..", "../../etc/passwd", "a/history", "a/../b", ".", "//", "/", "a\nb", "a\n", "\n", " ", "a?b#c"]
STRANGE += ["%2F", "%", "🙂", "\u202e", "\ufeff", "batch"]


@pytest.mark.parametrize("user_id", STRANGE, ids=range(len(STRANGE)))
def test_any_id_is_one_id_everywhere(steered, user_id: str) -> None:
    user_id = f"{user_id}{uuid.uuid4().hex}{user_id}"
    quoted = quote(user_id, safe="")
    receipt = steered.http.post("/rate", json={"user_id": user_id, "item_id": user_id, "rating": 4}).json()
    assert receipt["versions"] == {user_id: 1}
    assert receipt["unknown_items"] == [user_id]
    answer = steered.http.get(f"/recommend/{quoted}").json()
    assert (answer["user_id"], answer["history_version"]) == (user_id, 1)
    history = steered.http.get(f"/users/{quoted}/history").json()
    assert (history["user_id"], [event["item_id"] for event in history["events"]]) == (user_id, [user_id])
    undone = steered.http.delete(f"/rate/{quoted}/{quoted}").json()
    assert (undone["removed"], undone["versions"]) == (1, {user_id: 2})
    assert steered.http.delete(f"/users/{quoted}").json()["user_id"] == user_id
    assert steered.http.get(f"/recommend/{quoted}").json()["history_version"] == 0


def sent_raw(port: int, head: bytes) -> bytes:
    """Return how the answer to a request begins that no client would send."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(head)
        answer = b""
        try:
            while b"\r\n" not in answer and (more := connection.recv(4_096)):
                answer += more
        except ConnectionResetError:
            pass
        return answer


@pytest.mark.parametrize(
    "head",
    [
        b"GET /recommend/42?filter=" + b"x" * 1_048_576 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /recommend/\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /recommend/42?n=%ff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /recommend/42?filter=\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"NONSENSE\r\n\r\n",
        b"POST /rate HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET /recommend/42 HTTP/1.1\r\nHost: x\r\nX-Deadline-Ms: \xff\r\n\r\n",
    ],
    ids=range(7),
)
def test_requests_that_no_client_sends(steered, head: bytes) -> None:
    answer = sent_raw(steered.port, head)
    assert answer == b"" or b" 4" in answer[:12], answer
    assert steered.http.get("/health/ready").status_code == 200
