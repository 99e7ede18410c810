"""Bodies that come slowly, or that nobody wants: they keep neither requests nor other bodies out."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from chaos.access_matrix import operations, url_of
from key_ring import KeyRing, keyed, sent
from problem_document import check
from raw_connection import RawConnection
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from app.access import ScopeTable
from app.admission import Admission
from app.body_reading import BodyReading
from app.permits import Permits
from app.service import ROUTERS
from app.settings import Settings
from app.timed_route import declared_routes

RATING = {"user_id": "u", "item_id": "item 1", "rating": 5}
TABLE = ScopeTable(declared_routes(ROUTERS))


def begun(path: str, size: int, first: bytes = b"[", key: str = "") -> bytes:
    """Return a request whose body is mostly still to come."""
    shown = f"X-API-Key: {key}\r\n" if key else ""
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\n{shown}Content-Type: application/json\r\nContent-Length: {size}\r\n\r\n"
    return head.encode() + first


@contextmanager
def slow(service, count: int, request: bytes) -> Iterator[list[socket.socket]]:
    """Have so many of them under way; the service has seen all their bytes."""
    with ExitStack() as stack:
        sockets = [
            stack.enter_context(socket.create_connection(("127.0.0.1", service.port), timeout=10)) for _ in range(count)
        ]
        for each in sockets:
            each.sendall(request)
        for _ in range(20):
            # The service reads what has come, before it is done with these.
            service.http.get("/health/live").raise_for_status()
        yield sockets


def let_in(service, method: str, path: str, **more: Any) -> bool:
    """Return whether a request gets through soon; what was answered may be worked on still, and hold its permit."""
    for _ in range(50):
        answer = service.http.request(method, path, **more)
        if answer.status_code == 200:
            return True
        assert answer.status_code == 429, answer.text
        time.sleep(0.05)
    return False


@pytest.fixture(scope="module")
def narrow(start):
    """Two permits, so that eight bodies may be on their way; one worker."""
    return start(LIVEREC_MAX_CONCURRENCY="2")


def test_slow_bodies_hold_no_permits(narrow) -> None:
    with slow(narrow, 6, begun("/rate", 1_000)):
        assert let_in(narrow, "GET", "/popular")
        assert let_in(narrow, "POST", "/rate", json=RATING)


def test_bodies_on_their_way_are_bounded(narrow) -> None:
    with slow(narrow, 8, begun("/rate", 1_000)):
        refused = narrow.http.post("/rate", json=RATING)
        check(refused, 429, "8 bodies are on their way", "LIVEREC_MAX_CONCURRENCY")
        assert refused.headers["retry-after"] == "1"
        assert let_in(narrow, "GET", "/popular")
        assert let_in(narrow, "DELETE", "/rate/u/item%201")
    assert let_in(narrow, "POST", "/rate", json=RATING)


@pytest.mark.parametrize("path", ["/docs", "/health/live", "/metrics", "/static-offline-docs/x", "/nosuch", "/items/a"])
def test_what_no_route_takes_is_answered_before_its_body(narrow, path: str) -> None:
    for _ in range(20):
        with RawConnection(narrow.port) as raw:
            assert raw.send(begun(path, 1_000_000)).answer().status in (404, 405)
    with slow(narrow, 20, begun(path, 1_000_000)):
        assert let_in(narrow, "GET", "/popular")
        assert let_in(narrow, "POST", "/rate", json=RATING)


def test_with_keys_too(start, tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "keys.toml")
    monitor, shop, other = ring.add("metrics"), ring.add("write"), ring.add("write", "read")
    service = start(LIVEREC_MAX_CONCURRENCY="1", **keyed(ring))
    for key, path, status in ((monitor, "/nosuch", 404), (monitor, "/rate", 403), ("", "/docs", 401), ("", "/x", 401)):
        with RawConnection(service.port) as raw:
            assert raw.send(begun(path, 1_000_000, key=key)).answer().status == status
    with slow(service, 2, begun("/rate", 1_000, key=shop)):
        check(service.http.post("/rate", json=RATING, headers=sent(shop)), 429, "2 bodies are on their way")
        assert let_in(service, "POST", "/rate", json=RATING, headers=sent(other))
        assert let_in(service, "GET", "/popular", headers=sent(other))


def test_the_bytes_of_bodies_under_way_are_bounded(start) -> None:
    service = start(LIVEREC_MAX_BODIES_BYTES="100000")
    with slow(service, 30, begun("/rate", 90_000, b"[" * 10_000)) as sockets:
        refused = [each for each in sockets if _is_refused(each)]
        # There is room for ten at most, and for fewer where pieces came one by one.
        assert 20 <= len(refused) < 30
        check(service.http.post("/rate", content=b" " * 50_000), 429, "LIVEREC_MAX_BODIES_BYTES", "100000")
        assert let_in(service, "GET", "/popular")
    assert let_in(service, "POST", "/rate", json=RATING)


def _is_refused(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(12).split()[1] == b"429"
    except BlockingIOError:
        return False


def test_a_permit_is_needed_once_the_body_is_there() -> None:
    async def statuses() -> list[int]:
        permits, go = Permits(1), asyncio.Event()

        async def waiting(scope: Scope, receive: Receive, send: Send) -> None:
            await Request(scope, receive).body()
            await go.wait()
            await PlainTextResponse("read")(scope, receive, send)

        async def late() -> AsyncIterator[bytes]:
            await asyncio.sleep(0.1)
            yield b"{}"

        app = Admission(BodyReading(waiting, Settings(), permits, TABLE), permits, TABLE)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as http:
            answers = [asyncio.create_task(http.post("/rate", content=late())) for _ in range(3)]
            # One has the permit, the others came too late with their bodies.
            while sum(each.done() for each in answers) < 2:
                await asyncio.sleep(0.01)
            go.set()
            done = await asyncio.gather(*answers)
            again = [await http.post("/rate", content=b"{}") for _ in range(3)]
            return sorted(each.status_code for each in [*done, *again])

    assert asyncio.run(statuses()) == [200] * 4 + [429] * 2


def test_the_table_takes_what_the_router_takes() -> None:
    taken = {(each.method, each.path) for each in operations() if TABLE.takes(each.method, url_of(each, "a"))}
    assert taken == {(each.method, each.path) for each in operations() if each.needed is not None}
    for method, path in (("POST", "/rate/"), ("POST", "/rate/x"), ("PUT", "/items/a"), ("POST", "/"), ("POST", "")):
        assert not TABLE.takes(method, path)


@pytest.mark.parametrize(
    ("method", "path", "is_free"),
    [
        ("GET", "/health/live", True),
        ("HEAD", "/health/ready", True),
        ("GET", "/metrics", True),
        ("GET", "/static-offline-docs/a.js", True),
        ("POST", "/health/live", False),
        ("POST", "/metrics", False),
        ("GET", "/metricsX", False),
        ("GET", "/health/x", False),
        ("GET", "/popular", False),
    ],
)
def test_what_needs_no_permit(method: str, path: str, is_free: bool) -> None:
    assert TABLE.is_free(method, path) is is_free
