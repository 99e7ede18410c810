"""The headers of every answer, CORS, and queries with what no route knows."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from problem_document import check
from raw_connection import RawConnection

from app.service import create_app
from app.settings import Settings

ALWAYS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-resource-policy": "same-origin",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
}
SHOP, ATTACKER = "https://shop.example", "https://attacker.example"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/recommend/1", 200),
        ("GET", "/health/live", 200),
        ("GET", "/metrics", 200),
        ("GET", "/nowhere", 404),
        ("GET", "/rate", 405),
        ("POST", "/rate", 422),
        ("GET", "/recommend/%FF", 422),
        ("OPTIONS", "/rate", 405),
    ],
)
def test_every_answer_has_them(service, method: str, path: str, status: int) -> None:
    response = service.http.request(method, path)
    assert response.status_code == status
    assert {name: response.headers.get(name) for name in ALWAYS} == ALWAYS
    assert not {"strict-transport-security", "access-control-allow-origin", "server"} & response.headers.keys()
    assert all(len(response.headers.get_list(name)) == 1 for name in ALWAYS)


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_the_pages_may_load_what_is_theirs(service, path: str) -> None:
    headers = service.http.get(path).headers
    assert headers["x-frame-options"] == "DENY"
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["form-action"] == "'none'"
    assert policy["connect-src"] == "'self'"
    assert "http" not in headers["content-security-policy"]


def test_no_other_page_may_call_unless_it_is_named(service, start, store_url: str) -> None:
    preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}
    assert service.http.options("/rate", headers={"Origin": SHOP, **preflight}).status_code == 405
    named = start(LIVEREC_CORS_ORIGINS=f'["{SHOP}"]', LIVEREC_HSTS_SECONDS="600")
    allowed = named.http.options("/rate", headers={"Origin": SHOP, **preflight})
    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, SHOP)
    assert "X-API-Key" in allowed.headers["access-control-allow-headers"]
    assert allowed.headers["x-frame-options"] == "DENY"
    refused = named.http.options("/rate", headers={"Origin": ATTACKER, **preflight})
    assert (refused.status_code, "access-control-allow-origin" in refused.headers) == (400, False)
    answer = named.http.get("/recommend/1", headers={"Origin": SHOP})
    assert answer.headers["access-control-allow-origin"] == SHOP
    assert "access-control-allow-credentials" not in answer.headers
    assert answer.headers["strict-transport-security"] == "max-age=600"
    assert "access-control-allow-origin" not in named.http.get("/popular", headers={"Origin": ATTACKER}).headers


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/items"),
        ("GET", "/items/item 1"),
        ("GET", "/items/item 1/similar"),
        ("POST", "/items"),
        ("PATCH", "/items/item 1"),
        ("PUT", "/items/item 1/image"),
        ("DELETE", "/items/item 1"),
        ("POST", "/rate"),
        ("POST", "/feedback"),
        ("DELETE", "/rate/u/item 1"),
        ("POST", "/recommend/batch"),
        ("POST", "/session/recommend"),
        ("POST", "/rank"),
        ("POST", "/predict"),
        ("GET", "/recommend/u"),
        ("GET", "/popular"),
        ("GET", "/users/u/history"),
        ("GET", "/users/u/export"),
        ("DELETE", "/users/u"),
        ("GET", "/metrics"),
    ],
)
def test_an_unknown_parameter_is_refused(service, method: str, path: str) -> None:
    check(service.http.request(method, path, params={"limit": "5"}), 422, "limit", "Extra inputs", "'5'")


def test_what_nobody_foresaw_has_them_too() -> None:
    """The app is never started, so that its state lacks what the routes need."""
    app = create_app(Settings())

    async def answer() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as http:
            return await http.get("/popular")

    check(response := asyncio.run(answer()), 500, "X-Request-ID")
    assert {name: response.headers.get(name) for name in ALWAYS} == ALWAYS


def test_what_the_server_refuses_has_them_too(service) -> None:
    with RawConnection(service.port) as raw:
        answer = raw.send(b"this is no HTTP\r\n\r\n").answer()
    answer.check_problem(400)
    assert {name: answer.headers.get(name) for name in ALWAYS} == ALWAYS
