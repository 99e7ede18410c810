"""What is too large, too deep or too many is refused in a problem document, wherever it stands."""

from __future__ import annotations

import json
from typing import Any

import pytest
from problem_document import check

from app.cursor_text import spelled

GOOD = {"user_id": "sizes", "item_id": "item 1", "rating": 4}
HUGE = 10**400
DEEP = "[" * 5_000 + "]" * 5_000


def encoded(content: object) -> str:
    return spelled(json.dumps(content).encode())


@pytest.mark.parametrize(
    "content", [[HUGE], [1e308, "x"], [float("inf"), "x"], [-1], [0.0, "\ud800"], [0.0, "x" * 600], ["a", "b"], DEEP]
)
def test_places_among_the_items(service, content: object) -> None:
    response = service.http.get("/items", params={"cursor": encoded(content)})
    assert response.status_code in (200, 422), response.text


@pytest.mark.parametrize("content", [[1e308, 0], [1.0, HUGE // 10**260], [-1e308, -5], [0.0, True], [None, 0]])
def test_places_in_a_history(service, content: object) -> None:
    response = service.http.get("/users/sizes/history", params={"cursor": encoded(content)[:200]})
    assert response.status_code in (200, 422), response.text


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/recommend/sizes", {"filter": "x" * 2_001}),
        ("/recommend/sizes", {"boost": ["1 if year > 1"] * 11}),
        ("/recommend/sizes", {"boost": "x" * 2_001}),
        ("/recommend/sizes", {"cursor": "x" * 8_001}),
        ("/recommend/sizes", {"exclude": ["a"] * 1_001}),
        ("/recommend/sizes", {"exclude": "x" * 257}),
        ("/recommend/sizes", {"categories": ["a"] * 51}),
        ("/recommend/sizes", {"include": "x" * 257}),
        ("/recommend/sizes", {"model": "x" * 257}),
        ("/recommend/sizes", {"n": "9" * 5_000}),
        ("/recommend/sizes", {"min_version": "9" * 30}),
        ("/popular", {"filter": "x" * 2_001}),
        ("/popular", {"include": ["a"] * 51}),
        ("/items", {"cursor": "x" * 1_001}),
        ("/items", {"n": "501"}),
        ("/items", {"item_id": "x" * 257}),
        ("/users/sizes/history", {"cursor": "x" * 201}),
        ("/users/sizes/history", {"n": "1001"}),
        ("/items/item 1/similar", {"n": "501"}),
    ],
)
def test_what_a_query_may_not_have(service, path: str, params: dict[str, Any]) -> None:
    check(service.http.get(path, params=params), 422)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/rate", [GOOD] * 1_001),
        ("/rate", {**GOOD, "event_id": "x" * 257}),
        ("/rate", {**GOOD, "recommendation_id": "x" * 300}),
        ("/feedback", {"user_id": "sizes", "item_id": "item 1", "kind": "x" * 65}),
        ("/session/recommend", {"history": [{"item_id": "a", "kind": "view"}] * 1_001}),
        ("/recommend/batch", {"queries": [{"user_id": "a"}] * 101}),
        ("/rank", {"user_id": "a", "items": ["a"] * 501}),
        ("/predict", {"user_id": "a", "items": ["a"] * 1_001}),
    ],
)
def test_what_a_body_may_not_have(service, path: str, body: object) -> None:
    check(service.http.post(path, json=body), 422)


@pytest.mark.parametrize("path", ["/rate", "/feedback", "/items", "/session/recommend", "/recommend/batch", "/rank"])
def test_a_body_that_is_too_deep(service, path: str) -> None:
    for body in (DEEP, '{"a":' * 5_000 + "1" + "}" * 5_000, f'{{"metadata": {{"a": {DEEP}}}}}'):
        check(service.http.post(path, content=body, headers={"Content-Type": "application/json"}), 422)


@pytest.mark.parametrize(
    ("name", "value", "status"), [("Idempotency-Key", "k" * 257, 422), ("X-Deadline-Ms", "9" * 5_000, 422)]
)
def test_headers(service, name: str, value: str, status: int) -> None:
    path = "/rate" if name == "Idempotency-Key" else "/rank"
    body = GOOD if path == "/rate" else {"user_id": "a", "items": ["a"]}
    check(service.http.post(path, json=body, headers={name: value}), status)
