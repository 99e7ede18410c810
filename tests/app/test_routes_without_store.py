"""Every route, with a store that hangs and one that is gone: an answer as the docs say, at once, and never a 500."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator

import httpx
import pytest
from item_client import eventually, new
from pictures import picture
from valkey_server import ValkeyServer

AWAY = "store_unreachable"
EVENT = {"user_id": "42", "item_id": "item 3", "rating": 4, "event_id": "e"}
DEGRADED = {
    "GET /recommend/{user_id}": None,
    "POST /recommend/batch": {"queries": [{"user_id": "42"}]},
    "POST /session/recommend": {"user_id": "42", "history": [{"item_id": "item 3", "rating": 4}]},
    "POST /rank": {"user_id": "42", "items": ["item 3"]},
    "POST /predict": {"user_id": "42", "items": ["item 3"]},
    "GET /popular": None,
    "GET /trending": None,
    "GET /latest": None,
    "GET /items": None,
    "GET /items/{item_id}": None,
}
"""What is answered without the store, and says so."""
REFUSED = {
    "POST /rate": EVENT,
    "POST /feedback": {"user_id": "42", "item_id": "item 3", "kind": "view"},
    "DELETE /rate/{user_id}/{item_id}": None,
    "PATCH /items/{item_id}": {"is_hidden": True},
    "POST /items": new(),
    "DELETE /items/{item_id}": None,
    "GET /users/{user_id}/history": None,
    "GET /users/{user_id}/export": None,
    "DELETE /users/{user_id}": None,
    "GET /health/ready": None,
}
"""What cannot be without the store."""
UNTOUCHED = {"GET /health/live", "GET /metrics", "GET /items/{item_id}/similar"}
"""What needs no store."""
FILES = {"PUT /items/{item_id}/image", "PUT /items/{item_id}/audio"}
"""What is refused for want of a store too; the bundle here reads neither."""
UPLOADS = {"POST /events/bulk"}
"""What is refused too, as long as nothing of it is written."""
SECONDS = 3.0


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    with ValkeyServer(tmp_path_factory.mktemp("store")) as server:
        yield server


@pytest.fixture(scope="module")
def service(start, store: ValkeyServer):
    return start(redis_url=store.url, content="1")


@pytest.fixture(scope="module", params=["hangs", "is gone"])
def away(request: pytest.FixtureRequest, service, store: ValkeyServer) -> Iterator[None]:
    (store.hang if request.param == "hangs" else store.kill)()
    eventually(lambda: is_away(service))
    yield
    (store.go_on if request.param == "hangs" else store.start)()
    eventually(lambda: service.http.get("/health/ready").status_code == 200)


def is_away(service) -> bool:
    return (
        service.http.get("/recommend/42").json()["degraded"] == AWAY
        and "liverec_store_away 1.0" in service.http.get("/metrics").text
    )


def asked(service, route: str, body: object) -> httpx.Response:
    method, path = route.split(" ", 1)
    path = path.replace("{user_id}", "42").replace("{item_id}", "item%203")
    started = time.monotonic()
    answer = service.http.request(method, path, json=body)
    assert time.monotonic() - started < SECONDS
    return answer


def test_no_route_is_forgotten(service) -> None:
    schema = service.http.get("/openapi.json").json()
    routes = {
        f"{method.upper()} {re.sub(':path', '', path)}"
        for path, operations in schema["paths"].items()
        for method in operations
    }
    assert routes == {*DEGRADED, *REFUSED, *UNTOUCHED, *FILES, *UPLOADS}


@pytest.mark.usefixtures("away")
@pytest.mark.parametrize("route", sorted(DEGRADED))
def test_what_can_do_without_says_so(service, route: str) -> None:
    answer = asked(service, route, DEGRADED[route])
    assert answer.status_code == 200
    found = answer.json()
    assert {each["degraded"] for each in found.get("answers", [found])} == {AWAY}


@pytest.mark.usefixtures("away")
@pytest.mark.parametrize("route", sorted(REFUSED))
def test_what_cannot_is_refused_for_now(service, route: str) -> None:
    answer = asked(service, route, REFUSED[route])
    assert (answer.status_code, answer.headers.get("retry-after")) == (503, "1"), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.usefixtures("away")
@pytest.mark.parametrize("route", sorted(UNTOUCHED))
def test_what_needs_no_store_is_as_ever(service, route: str) -> None:
    assert asked(service, route, None).status_code == 200


@pytest.mark.usefixtures("away")
def test_a_file_is_refused_for_now(service) -> None:
    headers = {"Content-Type": "image/png"}
    answer = service.http.put("/items/item%203/image", content=picture(), headers=headers)
    assert (answer.status_code, answer.headers.get("retry-after")) == (503, "1"), answer.text


@pytest.mark.usefixtures("away")
def test_an_upload_is_refused_for_now(service) -> None:
    headers = {"Content-Type": "application/x-ndjson"}
    answer = service.http.post("/events/bulk", content=json.dumps(EVENT | {"timestamp": 1.0}), headers=headers)
    assert (answer.status_code, answer.headers.get("retry-after")) == (503, "1"), answer.text
