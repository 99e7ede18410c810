"""The short way gives what the long one gives: the same status, the same headers, the same body."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

import app.service
from app.direct_routes import DIRECT_ROUTES, DirectRoutes
from app.embedded_store import EmbeddedStore
from app.service import create_app
from app.settings import Settings

CHANGING = {"recommendation_id", "took_ms", "cursor"}
JSON = {"Content-Type": "application/json"}
RATING = {"user_id": "u", "item_id": "item 3", "rating": 4, "event_id": "e", "timestamp": 1.0}
Asked = tuple[str, str, dict[str, str], bytes]


def get(path: str, method: str = "GET", **headers: str) -> Asked:
    return method, path, headers, b""


def rate(body: object, path: str = "/rate", **headers: str) -> Asked:
    return "POST", path, {**JSON, **headers}, body if isinstance(body, bytes) else json.dumps(body).encode()


ASKED = [
    get("/recommend/42"),
    get("/recommend/42?n=3"),
    get("/recommend/42?n=0"),
    get("/recommend/42?nn=3"),
    get("/recommend/42?model=nobody"),
    get("/recommend/42?min_version=99"),
    get("/recommend/42?cursor=x"),
    get("/recommend/42", **{"X-Deadline-Ms": "-1"}),
    get("/recommend/42", method="HEAD"),
    get("/recommend/42", method="PUT"),
    get("/recommend/a%2Fb/c"),
    get("/recommend/%C3%A9%0A"),
    get("/recommend/%FF"),
    get("/recommend/"),
    get("/recommend"),
    get("/recommend/" + "x" * 257),
    get("/recommend/%00"),
    rate(RATING),
    rate([RATING, RATING | {"event_id": "f"}]),
    rate(RATING | {"rating": 1}),
    rate(RATING | {"rating": 99, "event_id": "g"}),
    rate(RATING | {"timestamp": 9e9, "event_id": "h"}),
    rate({"user_id": "u"}),
    rate(b"{"),
    rate(b"\xff"),
    rate([]),
    rate(b""),
    rate(RATING, path="/rate?n=1"),
    rate(RATING, path="/rate/"),
    rate(RATING | {"event_id": "i"}, **{"Idempotency-Key": "j"}),
    rate({name: RATING[name] for name in ("user_id", "item_id", "rating")}, **{"Idempotency-Key": "k"}),
]


async def answered(settings: Settings, asked: Sequence[Asked]) -> list[tuple[Any, ...]]:
    served = create_app(settings)
    transport = httpx.ASGITransport(served)
    async with (
        served.router.lifespan_context(served),
        httpx.AsyncClient(transport=transport, base_url="http://service") as http,
    ):
        return [shown(await http.request(*each[:2], headers=each[2], content=each[3])) for each in asked]


def shown(answer: httpx.Response) -> tuple[Any, ...]:
    headers = {name: value for name, value in answer.headers.items() if name not in ("x-request-id", "content-length")}
    try:
        body = answer.json()
    except ValueError:
        body = answer.text
    if isinstance(body, dict):
        body = {name: value for name, value in body.items() if name not in CHANGING}
    return answer.status_code, headers, body


def test_both_ways_give_the_same(tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for ways in (DIRECT_ROUTES, ()):
        monkeypatch.setattr(app.service, "DIRECT_ROUTES", ways)
        with EmbeddedStore(tmp_path / f"{len(ways)}") as store:
            settings = Settings(bundle=tiny_bundle, redis_url=SecretStr(store.url), cache_seconds=0)
            # create_app without settings is for worker processes alone.
            found.append(asyncio.run(answered(settings, ASKED)))
    for asked, short, long in zip(ASKED, *found, strict=True):
        assert short == long, asked
    statuses = [status for status, *_ in found[0]]
    assert {200, 404, 405, 409, 422} <= set(statuses)


@pytest.mark.parametrize(
    ("asked", "is_direct"),
    [
        (("GET", "/recommend/42", b"n=3", []), True),
        (("GET", "/recommend/a/b", b"", []), True),
        (("GET", "/recommend/", b"", []), False),
        (("HEAD", "/recommend/42", b"", []), False),
        (("POST", "/rate", b"", []), True),
        (("POST", "/rate", b"n=1", []), False),
        (("POST", "/rate", b"", [(b"idempotency-key", b"k")]), False),
        (("POST", "/rates", b"", []), False),
        (("GET", "/popular", b"", []), False),
    ],
)
def test_which_way_is_taken(asked: tuple[str, str, bytes, list[tuple[bytes, bytes]]], is_direct: bool) -> None:
    names = ("method", "path", "query_string", "headers")
    scope = {"type": "http", **dict(zip(names, asked, strict=True))}
    routes = DirectRoutes(create_app, DIRECT_ROUTES)  # type: ignore[arg-type]
    assert (routes._handler(scope) is not None) == is_direct
