"""Large bodies of items at once: what does not fit is turned away, ratings and what comes later are not."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import httpx
from problem_document import check
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from app.access import ScopeTable
from app.body_reading import BodyReading
from app.embedded_store import EmbeddedStore
from app.permits import Permits
from app.service import ROUTERS
from app.settings import Settings
from app.timed_route import declared_routes

ITEM = b'{"item_id": "a", "description": "' + b"x" * 1_500 + b'"}'
BEGIN = b"POST /items HTTP/1.1\r\nHost: here\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"


def test_bodies_under_way_share_a_budget(start, tmp_path: Path) -> None:
    with EmbeddedStore(tmp_path) as store:
        service = start(redis_url=store.url, content="1", LIVEREC_MAX_BODIES_BYTES="2000")
        with socket.create_connection(("127.0.0.1", service.port), timeout=10) as slow:
            slow.sendall(BEGIN % len(ITEM) + ITEM[:1_000])
            for _ in range(20):
                # The service reads what has come, before it is done with these.
                service.http.get("/health/live").raise_for_status()
            refused = service.http.post("/items", content=ITEM)
            check(refused, 429, "LIVEREC_MAX_BODIES_BYTES", "2000")
            assert refused.headers["retry-after"] == "1"
            rating = {"user_id": "u" * 100, "item_id": "item 1", "rating": 5}
            assert service.http.post("/rate", json=[rating] * 20).status_code == 200
            slow.sendall(ITEM[1_000:])
            answer = b"".join(iter(lambda: slow.recv(65_536), b""))
            assert answer.startswith(b"HTTP/1.1 200")
        for _ in range(3):
            assert service.http.post("/items", content=ITEM).status_code == 200
            assert service.http.post("/items", content=ITEM + b" " * 3_000).status_code == 200
        service.stop()


def test_a_request_without_a_body_is_never_refused() -> None:
    async def held() -> list[int]:
        come, go = asyncio.Event(), asyncio.Event()

        async def reading(scope: Scope, receive: Receive, send: Send) -> None:
            if await Request(scope, receive).body() == ITEM:
                come.set()
                await go.wait()
            await PlainTextResponse("read")(scope, receive, send)

        table = ScopeTable(declared_routes(ROUTERS))
        app = BodyReading(reading, Settings(max_bodies_bytes=1_100), Permits(9), table)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as http:
            large = asyncio.create_task(http.post("/items", content=ITEM))
            await come.wait()
            others = [await http.request(*call) for call in (("GET", "/items"), ("DELETE", "/items/a"))]
            refused = await http.post("/items", content=b"{}")
            go.set()
            return [answer.status_code for answer in (await large, *others, refused)]

    assert asyncio.run(held()) == [200, 200, 200, 429]
