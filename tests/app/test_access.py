"""Which scope each endpoint needs, said a second time, by hand; and what is open."""

from __future__ import annotations

import asyncio
import socket

import httpx
import pytest
from chaos.access_matrix import operations, url_of
from fastapi import APIRouter
from key_ring import SCOPES, KeyRing, keyed, sent
from problem_document import check

from app.access import DOCUMENTATION, STATIC, ScopeTable
from app.server import Server
from app.service import ROUTERS, create_app
from app.settings import Settings
from app.timed_route import TimedRoute, declared_routes
from engine.errors import ConfigError

EXPECTED = {
    None: {"GET HEAD": ["/health/live", "/health/ready"]},
    "metrics": {"GET": ["/metrics"]},
    "read": {
        "GET": ["/recommend/{user_id:path}"],
        "POST": ["/recommend/batch", "/session/recommend", "/rank", "/predict"],
        "GET HEAD": [
            "/popular",
            "/trending",
            "/latest",
            "/items",
            "/items/{item_id:path}",
            "/items/{item_id:path}/similar",
            "/users/{user_id:path}/history",
        ],
    },
    "write": {
        "POST": ["/rate", "/feedback", "/events/bulk", "/items"],
        "PUT": ["/feedback", "/events/bulk", "/items/{item_id:path}/image", "/items/{item_id:path}/audio"],
        "PATCH": ["/items/{item_id:path}"],
        "DELETE": ["/rate/{ids:path}", "/rate/{user_id:path}/{item_id:path}", "/items/{item_id:path}"],
    },
    "admin": {"GET HEAD": ["/users/{user_id:path}/export"], "DELETE": ["/users/{user_id:path}"]},
}


def test_every_operation_needs_the_scope_that_it_should() -> None:
    expected = {
        (method, path): scope
        for scope, groups in EXPECTED.items()
        for methods, paths in groups.items()
        for method in methods.split()
        for path in paths
    }
    assert {(each.method, each.path): each.needed for each in operations()} == expected


def test_nothing_else_is_in_the_app() -> None:
    """A route that was added to the app, past its routers, would need no key."""
    routes = create_app(Settings()).routes
    routers = [each.original_router for each in routes if hasattr(each, "original_router")]
    assert routers == list(ROUTERS)
    others = {each.path for each in routes if not hasattr(each, "original_router")}
    assert others == {*DOCUMENTATION, STATIC}


def test_a_route_without_a_scope_cannot_be_made() -> None:
    plain, timed = APIRouter(), APIRouter(route_class=TimedRoute)
    with pytest.raises(TypeError, match="TimedRoute says no scope"):
        timed.get("/x")(lambda: None)
    plain.get("/x")(lambda: None)
    with pytest.raises(TypeError, match="a route says no scope"):
        declared_routes([plain])


@pytest.mark.parametrize(
    ("method", "path", "needed"),
    [
        ("GET", "/users/a/history", "read"),
        ("GET", "/users/a/export", "admin"),
        ("GET", "/users/a/export/history", "read"),
        ("GET", "/users/a/history/export", "admin"),
        ("DELETE", "/users/a/history", "admin"),
        ("GET", "/users/a", None),
        ("GET", "/nowhere", None),
        ("GET", "", None),
    ],
)
def test_the_table_knows_what_the_router_knows(method: str, path: str, needed: str | None) -> None:
    assert ScopeTable(declared_routes(ROUTERS)).needed(method, path) == needed


def test_what_passes_by_the_middleware_the_route_refuses() -> None:
    """Here there is none at all."""
    app = create_app(Settings())
    app.state.needs_keys = True

    async def statuses() -> set[int]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as http:
            asked = [each for each in operations() if each.needed is not None]
            return {(await http.request(each.method, url_of(each, "a"))).status_code for each in asked}

    assert asyncio.run(statuses()) == {403}


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    return KeyRing(tmp_path_factory.mktemp("ring") / "keys.toml")


@pytest.fixture(scope="module")
def key(ring: KeyRing) -> str:
    return ring.add("read", name="first")


@pytest.fixture(scope="module")
def guarded(start, ring: KeyRing, key: str):
    return start(**keyed(ring))


def test_what_is_open(guarded) -> None:
    paths = ("/docs", "/redoc", "/openapi.json", "/health/live", "/health/ready", "/docs/oauth2-redirect")
    assert {guarded.http.get(path).status_code for path in paths} == {200}
    script = guarded.http.get("/docs").text.split('src="', 1)[1].split('"', 1)[0]
    assert guarded.http.get(script).status_code == 200


@pytest.mark.parametrize(("name", "status"), [("nobody", b"401"), ("first", b"403")])
def test_the_body_of_a_stranger_is_not_read(guarded, key: str, name: str, status: bytes) -> None:
    """It says that a body is to come, and is refused before that comes."""
    shown = key if name == "first" else name
    with socket.create_connection(("127.0.0.1", guarded.port), timeout=10) as connection:
        head = f"POST /rate HTTP/1.1\r\nHost: x\r\nX-API-Key: {shown}\r\nContent-Length: 1000\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(12).split()[1] == status


def test_unknown_paths_need_a_key_too(guarded, key: str) -> None:
    check(guarded.http.get("/nowhere"), 401, "X-API-Key")
    check(guarded.http.get("/nowhere", headers=sent(key)), 404, "/nowhere")
    check(guarded.http.get("/rate", headers=sent(key)), 405, "GET /rate")


def test_metrics_count_by_name(start, tmp_path) -> None:
    ring = KeyRing(tmp_path / "keys.toml")
    shop, monitor = ring.add("read", name="shop"), ring.add("metrics", name="monitor")
    service = start(**keyed(ring))
    assert service.http.get("/popular", headers=sent(shop)).status_code == 200
    check(service.http.post("/rate", headers=sent(shop)), 403, "the scope write")
    check(service.http.get("/popular"), 401)
    lines = service.http.get("/metrics", headers=sent(monitor)).text.splitlines()
    for labels in ('key="",outcome="unauthenticated"', 'key="shop",outcome="forbidden"', 'key="shop",outcome="let in"'):
        assert f"liverec_key_requests_total{{{labels}}} 1.0" in lines


def test_the_schema_says_how_to_show_a_key(service) -> None:
    document = service.http.get("/openapi.json").json()
    assert set(document["components"]["securitySchemes"]) == {"ApiKey", "Bearer"}
    for path, methods in document["paths"].items():
        for operation in methods.values():
            is_open = path.startswith("/health/")
            assert ("security" in operation) is not is_open
            assert ({"401", "403", "429"} <= operation["responses"].keys()) is not is_open


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"LIVEREC_TENANTS": '{"acme": "b"}'}, "LIVEREC_TENANTS is set"),
        ({"LIVEREC_TENANTS": '{"liverec": "b"}'}, "a tenant is named by"),
        ({"LIVEREC_TENANTS": '{"Acme": "b"}'}, "^LIVEREC_TENANTS: .*a tenant is named by"),
        ({"LIVEREC_TENANTS": "acme"}, 'LIVEREC_TENANTS: it must be a JSON object such as {"acme"'),
        ({"LIVEREC_CORS_ORIGINS": '["*"]', "LIVEREC_KEYS": "k"}, "'\\*' lets anybody's page"),
        ({"LIVEREC_CORS_ORIGINS": '["https://a/b"]'}, "^LIVEREC_CORS_ORIGINS: .*an origin is written"),
        ({"LIVEREC_CORS_ORIGINS": "https://a"}, "LIVEREC_CORS_ORIGINS: it must be a JSON list"),
        ({"LIVEREC_FEEDBACK_WEIGHTS": "x"}, "LIVEREC_FEEDBACK_WEIGHTS: it must be a JSON object"),
    ],
)
def test_settings_that_cannot_be(monkeypatch, variables: dict[str, str], words: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=words):
        Settings.read()


@pytest.mark.parametrize(("host", "is_told"), [("0.0.0.0", True), ("::", True), ("127.0.0.1", False), ("::1", False)])
def test_who_lets_all_in_is_told(caplog: pytest.LogCaptureFixture, tmp_path, host: str, is_told: bool) -> None:
    Server(Settings(host=host)).check_keys()
    assert ("all who reach it may do all" in caplog.text) is is_told
    caplog.clear()
    ring = KeyRing(tmp_path / "keys.toml")
    ring.add("read")
    Server(Settings(host=host, keys=ring.path)).check_keys()
    assert not caplog.text


def test_all_scopes_are_tried() -> None:
    assert {scope for scope in EXPECTED if scope} == set(SCOPES)
