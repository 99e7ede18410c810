"""Tenants of one service: the same users, items and event_ids, and nobody sees anything of anybody else."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import polars as pl
import pytest
from key_ring import SCOPES, KeyRing, keyed, sent
from problem_document import check
from redis import Redis

from app.embedded_store import EmbeddedStore
from app.settings import Settings
from engine.errors import ConfigError
from liverec.item_export import export_items

ALL = SCOPES[:3]
NAMES = ("", "acme", "umbrella")


class Tenant:
    """One tenant's way of asking."""

    def __init__(self, service, key: str) -> None:
        # A connection of its own each time, so that both workers get their turn.
        never_kept = httpx.Limits(max_keepalive_connections=0)
        self.http = httpx.Client(base_url=service.http.base_url, headers=sent(key), timeout=20, limits=never_kept)

    def ask(self, method: str, path: str, **more: object) -> httpx.Response:
        return self.http.request(method, path, **more)

    def get(self, path: str, **params: object):
        return self.ask("GET", path, params=params).raise_for_status().json()

    def rate(self, user_id: str, item_id: str, **more: object) -> dict:
        body = {"user_id": user_id, "item_id": item_id, "rating": 5, **more}
        return self.ask("POST", "/rate", json=body).raise_for_status().json()


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    return KeyRing(tmp_path_factory.mktemp("ring") / "keys.toml")


@pytest.fixture(scope="module")
def keys(ring: KeyRing) -> list[str]:
    return [ring.add(*ALL, tenant=name) for name in NAMES]


@pytest.fixture(scope="module")
def monitors(ring: KeyRing) -> tuple[str, str]:
    return ring.add("metrics", tenant="acme"), ring.add("metrics")


@pytest.fixture(scope="module")
def boot(
    start,
    ring: KeyRing,
    keys: list[str],
    monitors: tuple[str, str],
    url_of_tenants: str,
    steered_bundle: Path,
    tiny_bundle: Path,
):
    """Starts a service with two workers and three tenants; umbrella has another bundle than the others."""
    bundles = {"acme": str(steered_bundle), "umbrella": str(tiny_bundle)}

    def one(var: Path):
        more = keyed(ring) | {"LIVEREC_TENANTS": json.dumps(bundles), "LIVEREC_VAR": str(var)}
        return start(workers=2, redis_url=url_of_tenants, bundle=steered_bundle, **more)

    return one


@pytest.fixture(scope="module")
def tenants(boot, keys: list[str], tmp_path_factory: pytest.TempPathFactory) -> list[Tenant]:
    service = boot(tmp_path_factory.mktemp("v"))
    return [Tenant(service, key) for key in keys]


@pytest.fixture(scope="module")
def readers(start, ring: KeyRing, keys: list[str], url_of_readers: str, topic_bundle: Path, tmp_path_factory):
    """Two workers whose bundles, all the same one, read items."""
    settings = keyed(ring, NAMES[1:], topic_bundle) | {"LIVEREC_VAR": str(tmp_path_factory.mktemp("v"))}
    service = start(workers=2, redis_url=url_of_readers, bundle=topic_bundle, **settings)
    return [Tenant(service, key) for key in keys]


@pytest.fixture(scope="module")
def url_of_tenants(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with EmbeddedStore(tmp_path_factory.mktemp("t")) as store:
        yield store.url


@pytest.fixture(scope="module")
def url_of_readers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with EmbeddedStore(tmp_path_factory.mktemp("r")) as store:
        yield store.url


@pytest.fixture
def name() -> str:
    return uuid.uuid4().hex


def test_histories_and_versions_are_apart(tenants: list[Tenant], name: str) -> None:
    a, b = tenants[1:]
    assert a.rate(name, "item 3")["versions"] == {name: 1}
    for other in (tenants[0], b):
        assert other.get(f"/recommend/{name}")["history_version"] == 0
        assert other.get(f"/recommend/{name}")["source"] == "popular"
        assert other.get(f"/users/{name}/history")["events"] == []
        assert other.get(f"/users/{name}/export") | {"user_id": ""} == {
            "user_id": "", "history_version": 0, "events": [], "seen_items": [], "log": [], "exposures": []
        }  # fmt: skip
        refused = other.ask("GET", f"/recommend/{name}", params={"min_version": 1})
        check(refused, 409, "has changed 0 times")
    assert a.get(f"/recommend/{name}", min_version=1)["history_version"] == 1


def test_event_ids_are_apart(tenants: list[Tenant], name: str) -> None:
    for number, each in enumerate(tenants):
        receipt = each.rate(name, f"item {number}", event_id="same")
        assert (receipt["accepted"], receipt["duplicates"]) == (1, 0)
        assert each.rate(name, f"item {number}", event_id="same")["duplicates"] == 1
        body = {"user_id": name, "item_id": "item 9", "rating": 1}
        answer = each.ask("POST", "/rate", json=body, headers={"Idempotency-Key": "key"}).json()
        assert (answer["accepted"], answer["versions"]) == (1, {name: 2})


def test_cached_answers_are_apart(tenants: list[Tenant], name: str) -> None:
    for each in tenants:
        each.rate(name, "item 1")
    answers = []
    for each in tenants:
        eventually(lambda each=each: each.ask("GET", f"/recommend/{name}").headers["x-cache"] == "hit")
        answers.append(each.get(f"/recommend/{name}"))
    assert len({answer["recommendation_id"] for answer in answers}) == 3
    assert answers[1]["model_version"] != answers[2]["model_version"]


def test_cursors_of_another_tenant_are_refused(tenants: list[Tenant], name: str) -> None:
    a, b = tenants[:2]
    cursor = a.get(f"/recommend/{name}", n=3)["cursor"]
    assert a.get(f"/recommend/{name}", n=3, cursor=cursor)["items"]
    check(b.ask("GET", f"/recommend/{name}", params={"n": 3, "cursor": cursor}), 422, "cursor")


def test_a_place_in_another_history_shows_nothing_of_it(tenants: list[Tenant], name: str) -> None:
    a, b = tenants[1:]
    for number in range(3):
        a.rate(name, f"item {number}")
    cursor = a.get(f"/users/{name}/history", n=1)["cursor"]
    assert b.get(f"/users/{name}/history", cursor=cursor)["events"] == []


def test_who_is_forgotten_here_stays_there(tenants: list[Tenant], name: str) -> None:
    a, b = tenants[1:]
    for each in (a, b):
        each.rate(name, "item 4")
    assert a.ask("DELETE", f"/users/{name}").json()["events"] == 1
    assert a.get(f"/users/{name}/export")["log"] == []
    assert len(b.get(f"/users/{name}/export")["log"]) == 1
    assert b.ask("DELETE", f"/rate/{name}/item 4").json()["removed"] == 1


def test_items_are_apart(readers: list[Tenant], name: str, url_of_readers: str, tmp_path: Path) -> None:
    a, b = readers[:2]
    known = [item["item_id"] for item in a.get("/items", n=3)["items"]]
    item = {"item_id": name, "title": f"secret {name}", "categories": [name]}
    a.ask("POST", "/items", json=item).raise_for_status()
    a.ask("PATCH", f"/items/{known[0]}", json={"title": name}).raise_for_status()
    a.ask("DELETE", f"/items/{known[1]}").raise_for_status()
    eventually(lambda: all(name in a.ask("GET", "/latest").text for _ in range(8)))
    assert a.get(f"/items/{name}")["item_id"] == name
    for other in readers[1:]:
        for _ in range(4):
            check(other.ask("GET", f"/items/{name}"), 404, "unknown")
            check(other.ask("GET", "/items", params={"item_id": name}), 404, "unknown")
            check(other.ask("GET", f"/items/{name}/similar"), 404)
            seen = [other.ask("GET", path).text for path in ("/latest?n=100", "/popular?n=100", "/items?n=500")]
            assert not any(name in text for text in seen)
            assert other.ask("GET", f"/items/{known[1]}").status_code == 200
        check(other.ask("PATCH", f"/items/{name}", json={"title": "mine"}), 404)
        check(other.ask("DELETE", f"/items/{name}"), 404)
    body = {"user_id": name, "items": [name, known[2]]}
    assert b.ask("POST", "/rank", json=body).json()["unknown_items"] == [name]
    exported = {}
    for each in NAMES:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("REDIS_URL", url_of_readers)
            export_items(tmp_path / f"out {each}", each)
        exported[each] = pl.read_parquet(tmp_path / f"out {each}" / "items.parquet")["item_id"].to_list()
    assert [name in exported[each] for each in NAMES] == [True, False, False]


def test_trends_are_apart(tenants: list[Tenant], name: str) -> None:
    def trending(each: Tenant) -> set[str]:
        return {item["item_id"] for item in each.get("/trending", n=50)["items"] if item["score"] > 0}

    a, b = tenants[1:]
    a.rate(name, "item 20")
    eventually(lambda: "item 20" in trending(a))
    time.sleep(1.2)
    assert "item 20" not in trending(b) | trending(tenants[0])


def test_metrics_are_not_for_tenants(tenants: list[Tenant], monitors: tuple[str, str]) -> None:
    mine, of_all = monitors
    check(tenants[0].ask("GET", "/metrics", headers=sent(mine)), 403, "belongs to no tenant")
    shown = tenants[0].ask("GET", "/metrics", headers=sent(of_all)).text
    assert all(f'liverec_item_lag{{tenant="{each}"}}' in shown for each in NAMES)


def test_all_of_it_outlives_a_restart(boot, keys: list[str], name: str, tmp_path: Path, url_of_tenants: str) -> None:
    first = boot(tmp_path / "1")
    a, b = (Tenant(first, key) for key in keys[1:])
    a.rate(name, "item 3")
    b.rate(name, "item 5")
    a.ask("PATCH", "/items/item 6", json={"title": name}).raise_for_status()
    first.stop()
    second = boot(tmp_path / "2")
    a, b = (Tenant(second, key) for key in keys[1:])
    assert [event["item_id"] for event in a.get(f"/users/{name}/history")["events"]] == ["item 3"]
    assert [event["item_id"] for event in b.get(f"/users/{name}/history")["events"]] == ["item 5"]
    assert [name in each.ask("GET", "/items/item 6").text for each in (a, b)] == [True, False]
    second.stop()
    with Redis.from_url(url_of_tenants) as redis:
        found = [key.decode() for key in redis.scan_iter() if name.encode() in key]
    assert found
    assert all(key.startswith(("acme:", "umbrella:")) for key in found if ":h:" in key)


def test_a_key_of_an_unknown_tenant_stops_the_start(start, tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "keys.toml")
    ring.add("read", tenant="nobody", name="lost")
    with pytest.raises(AssertionError, match=r"has a key \(lost\) of a tenant that LIVEREC_TENANTS does not name"):
        start(**keyed(ring))


def test_impossible_tenants() -> None:
    with pytest.raises(ConfigError, match="LIVEREC_TENANTS"):
        Settings.read({"tenants": {"a b": "x"}})
