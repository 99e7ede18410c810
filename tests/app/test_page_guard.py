"""What a page may send: nothing from foreign origins, and nothing that browsers send without asking first."""

from __future__ import annotations

import pytest
from problem_document import check

RATING = b'{"user_id": "u", "item_id": "item 1", "rating": 5}'
ATTACKER, SHOP = "https://attacker.example", "https://shop.example"
JSON = "application/json"


@pytest.fixture(scope="module")
def named(start):
    return start(LIVEREC_CORS_ORIGINS=f'["{SHOP}"]')


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Content-Type": JSON}, 200),
        ({"Content-Type": "Application/JSON; charset=utf-8"}, 200),
        ({"Content-Type": "application/x.rating+json"}, 200),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "text/plain; x=application/json"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": "multipart/form-data; boundary=x"}, 415),
        ({"Content-Type": "application/jsonp"}, 415),
        ({"Sec-Fetch-Site": "cross-site"}, 415),
        ({"Sec-Fetch-Site": "same-site"}, 415),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Content-Type": JSON, "Origin": ATTACKER}, 403),
        ({"Content-Type": JSON, "Origin": "null"}, 403),
        ({"Content-Type": "text/plain", "Origin": ATTACKER}, 403),
        ({"Content-Type": JSON, "Origin": SHOP}, 200),
        ({"Origin": SHOP}, 415),
        ({"Content-Type": JSON, "Origin": f"{SHOP}.attacker.example"}, 403),
        ({"Content-Type": JSON, "Origin": "https://here:1"}, 403),
        ({"Content-Type": JSON, "Origin": "https://here", "Host": "inside", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Content-Type": JSON, "Origin": "https://here", "Host": "here"}, 200),
    ],
)
def test_who_may_rate(named, headers: dict[str, str], status: int) -> None:
    answer = named.http.post("/rate", content=RATING, headers=headers)
    if status == 200:
        assert answer.status_code == 200
    else:
        check(answer, status, "LIVEREC_CORS_ORIGINS" if status == 403 else "application/json")


def test_bodies_without_a_length_are_looked_at_too(named) -> None:
    check(named.http.post("/rate", content=iter([RATING]), headers={"Content-Type": "text/plain"}), 415)


@pytest.mark.parametrize(
    ("method", "path"), [("DELETE", "/rate/u/item%201"), ("DELETE", "/users/u"), ("PUT", "/items/item%201/image")]
)
def test_what_needs_no_body_is_guarded(named, method: str, path: str) -> None:
    check(named.http.request(method, path, headers={"Origin": ATTACKER}), 403, ATTACKER)


def test_reading_is_free(named) -> None:
    assert named.http.get("/popular", headers={"Origin": ATTACKER}).status_code == 200
