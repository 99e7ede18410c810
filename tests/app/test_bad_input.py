"""Bad requests: a 4xx problem document that names the field, the value and the bound; nothing is written."""

from __future__ import annotations

import json
import uuid

import pytest
from problem_document import check

GOOD = {"user_id": "bad", "item_id": "item 1", "rating": 4}


@pytest.mark.parametrize("n", ["0", "501", "-1", "ten", "1.5", ""])
def test_n_out_of_bounds(service, n: str) -> None:
    check(service.http.get("/recommend/42", params={"n": n}), 422, "n", repr(n))


@pytest.mark.parametrize("path", ["/recommend/", "/recommend/" + "x" * 257, "/recommend/" + "%F0%9F%99%82" * 65])
def test_impossible_user_ids(service, path: str) -> None:
    check(service.http.get(path), 422, "user_id", "1 to 256 bytes")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rating": 6}, ("6", "scale 1..5", "item 1")),
        ({"rating": 0.5}, ("0.5", "scale 1..5")),
        ({"rating": "4"}, ("rating", "number")),
        ({"rating": True}, ("rating", "number")),
        ({"rating": None}, ("rating", "number")),
        ({"timestamp": 4e10}, ("timestamp", "future")),
        ({"timestamp": -1}, ("timestamp", "greater than or equal to 0")),
        ({"timestamp": "now"}, ("timestamp", "number")),
        ({"user_id": ""}, ("user_id", "1 to 256")),
        ({"user_id": "x" * 10_000}, ("user_id", "1 to 256")),
        ({"item_id": "a\0b"}, ("item_id", "NUL")),
        ({"item_id": ["item 1"]}, ("item_id", "string")),
        ({"item_id": 1.0}, ("item_id", "string")),
        ({"item_id": False}, ("item_id", "string")),
        ({"event_id": "e" * 300}, ("event_id", "1 to 256")),
        ({"stars": 4}, ("stars", "not permitted")),
    ],
)
def test_an_impossible_rating(service, change: dict[str, object], words: tuple[str, ...]) -> None:
    user_id = uuid.uuid4().hex
    good = {**GOOD, "user_id": user_id}
    check(service.http.post("/rate", json=[good, {**good, **change}]), 422, *words)
    assert service.http.get(f"/recommend/{user_id}").json()["history_version"] == 0


@pytest.mark.parametrize("missing", ["user_id", "item_id", "rating"])
def test_a_missing_field(service, missing: str) -> None:
    check(service.http.post("/rate", json={k: v for k, v in GOOD.items() if k != missing}), 422, missing, "required")


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
        json.dumps(GOOD).encode() + b"," + json.dumps(GOOD).encode(),
        b"[" * 100_000,
        b'{"user_id": "\\ud800", "item_id": "a", "rating": 4}',
        json.dumps([GOOD] * 1_001).encode(),
        json.dumps(GOOD).replace("4", "NaN").encode(),
        json.dumps(GOOD).replace("4", "1e999").encode(),
    ],
    ids=range(15),
)
def test_a_body_that_is_no_list_of_ratings(service, body: bytes) -> None:
    check(service.http.post("/rate", content=body), 422)


def test_a_huge_body(service) -> None:
    check(service.http.post("/rate", content=b" " * 1_100_000), 413, "1048576")

    def pieces():
        for _ in range(1_100):
            yield b" " * 1_000

    check(service.http.post("/rate", content=pieces()), 413, "1048576")


def test_one_key_for_many_ratings(service) -> None:
    key = {"Idempotency-Key": "k"}
    check(service.http.post("/rate", json=[GOOD, GOOD], headers=key), 422, "Idempotency-Key", "event_id")
    check(service.http.post("/rate", json={**GOOD, "event_id": "other"}, headers=key), 422, "'other'")


@pytest.mark.parametrize("raw", ["%FF", "a%FEb", "%ED%A0%80"])
def test_ids_that_are_no_utf8(service, raw: str) -> None:
    check(service.http.get(f"/recommend/{raw}"), 422, "user_id", "UTF-8")


def test_health_answers_head(service) -> None:
    assert service.http.head("/health/live").status_code == service.http.head("/health/ready").status_code == 200


def test_unknown_paths_and_methods(service) -> None:
    check(service.http.get("/nowhere"), 404, "/nowhere")
    check(service.http.get("/recommend"), 404, "/recommend")
    check(service.http.get("/rate"), 405, "GET /rate")


@pytest.mark.parametrize(("given", "kept"), [("abc-1", True), ("x" * 200, False), ("bad id", False), ("", False)])
def test_request_ids_come_back(service, given: str, kept: bool) -> None:
    response = service.http.get("/health/live", headers={"X-Request-ID": given})
    assert (response.headers["x-request-id"] == given) is kept
    assert response.headers["x-request-id"]


def test_the_documentation_needs_no_network(service) -> None:
    page = service.http.get("/docs").text
    assert "swagger" in page
    assert "https://" not in page.replace("https://fastapi.tiangolo.com", "")
