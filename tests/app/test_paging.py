"""Pages on real workers: nothing twice, nothing that was rated meanwhile, and cursors that are nobody else's."""

from __future__ import annotations

import asyncio
import base64
import random
import time
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
from item_client import path, post
from paging_walk import walk
from problem_document import check
from steered_world import ITEMS

from app.list_cursor import HEAD, ListCursor
from app.options import RecommendOptions
from app.pseudonyms import Pseudonyms
from app.settings import Settings
from app.store_connection import StoreConnection

WISH = {"filter": "year >= 1985", "exclude_seen": False}


def page(service, user_id: str, cursor: str | None = None, **wish: Any) -> dict[str, Any]:
    given = wish if cursor is None else {**wish, "cursor": cursor}
    return service.http.get(f"/recommend/{user_id}", params=given).raise_for_status().json()


def refused(service, user_id: str, cursor: str, *words: str, **wish: Any) -> None:
    check(service.http.get(f"/recommend/{user_id}", params={**wish, "cursor": cursor}), 422, "cursor", *words)


def ids(answer: dict[str, Any]) -> list[str]:
    return [item["item_id"] for item in answer["items"]]


@pytest.fixture
def reader_of(steered) -> tuple[str, str]:
    """A user who has rated one item, and the cursor of the page after the first."""
    user_id = uuid.uuid4().hex
    steered.http.post("/rate", json={"user_id": user_id, "item_id": "item 4", "rating": 5}).raise_for_status()
    return user_id, page(steered, user_id, n=3, **WISH)["cursor"]


def test_walks_while_the_user_goes_on_rating(steered) -> None:
    limits = httpx.Limits(max_keepalive_connections=0)
    with httpx.Client(base_url=steered.http.base_url, limits=limits, timeout=10) as http:
        walks = [walk(http, random.Random(seed), ITEMS, 6) for seed in range(20)]
    assert [fault for each in walks for fault in each.wrong] == []
    assert sum(each.pages for each in walks) > 60
    assert any(each.cursor is None for each in walks)
    assert any(each.rated - set(each.shown) for each in walks)


def test_a_cursor_of_which_any_byte_is_changed_is_refused(steered, reader_of) -> None:
    user_id, cursor = reader_of
    raw = bytearray(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    for place in range(len(raw)):
        changed = bytearray(raw)
        changed[place] ^= 1 << place % 8
        text = base64.urlsafe_b64encode(changed).decode().rstrip("=")
        refused(steered, user_id, text, "none that this service gave", n=3, **WISH)
    for place, letter in enumerate(cursor):
        other = cursor[:place] + ("A" if letter != "A" else "B") + cursor[place + 1 :]
        refused(steered, user_id, other, "none that this service gave", n=3, **WISH)


@pytest.mark.parametrize("text", ["", "=", "A", "AAAA", "A" * 7_999, "ü", "%00", "../..", "null", "{}", "AA==", "\x00"])
def test_what_is_no_cursor_is_refused(steered, text: str) -> None:
    refused(steered, "42", text, "none that this service gave")


def test_a_cursor_is_no_good_when_cut_or_lengthened(steered, reader_of) -> None:
    user_id, cursor = reader_of
    for text in (cursor[:-1], cursor[1:], cursor + "A", cursor * 2, cursor + "=", cursor + "\n"):
        refused(steered, user_id, text, "none that this service gave", **WISH)


@pytest.mark.parametrize(
    "other",
    [
        {"filter": "year >= 1986", "exclude_seen": False},
        {"filter": "year >= 1985"},
        {**WISH, "categories": "red"},
        {**WISH, "exclude": "item 9"},
        {**WISH, "model": "popular"},
        {**WISH, "diversity": 0.1},
        {**WISH, "exploration": 0.1},
        {**WISH, "boost": "1 if year > 1990"},
    ],
)
def test_a_cursor_belongs_to_one_list(steered, reader_of, other: dict[str, Any]) -> None:
    user_id, cursor = reader_of
    refused(steered, user_id, cursor, "other options", n=3, **other)


def test_a_cursor_belongs_to_one_user(steered, reader_of) -> None:
    user_id, cursor = reader_of
    refused(steered, user_id[:-1] + "ü", cursor, "another user", n=3, **WISH)


def test_what_does_not_change_the_list_may_change_between_pages(steered, reader_of) -> None:
    user_id, cursor = reader_of
    first = ids(page(steered, user_id, n=3, **WISH))
    more = {"n": 7, "include": "title", "explain": "estimated", "min_version": 1}
    second = page(steered, user_id, cursor, **WISH, **more)
    assert len(second["items"]) == 7
    assert not set(first) & set(ids(second))
    assert {*second["items"][0]["metadata"]} == {"title"}


def test_a_cursor_may_be_used_again(steered, reader_of) -> None:
    user_id, cursor = reader_of
    pages = [ids(page(steered, user_id, cursor, n=5, **WISH)) for _ in range(3)]
    assert pages[0] == pages[1] == pages[2]


def test_the_pages_of_one_list_are_the_list(steered) -> None:
    user_id = uuid.uuid4().hex
    steered.http.post("/rate", json={"user_id": user_id, "item_id": "item 4", "rating": 5}).raise_for_status()
    whole, shown, cursor = ids(page(steered, user_id, n=29)), list[str](), None
    while len(shown) < 29:
        answer = page(steered, user_id, cursor, n=4)
        shown, cursor = shown + ids(answer), answer["cursor"]
    assert set(shown) == set(whole)
    # Where the ranker's candidates end the pages differ, because what was shown leaves its place to others.
    assert shown[:8] == whole[:8]


def test_the_last_page_has_no_cursor(steered) -> None:
    user_id = uuid.uuid4().hex
    first = page(steered, user_id, n=15, categories="small")
    assert (len(first["items"]), first["cursor"] is None) == (15, False)
    last = page(steered, user_id, first["cursor"], n=1, categories="small")
    assert (last["items"], last["cursor"]) == ([], None)
    assert page(steered, user_id, n=16, categories="small")["cursor"] is None


def test_an_old_cursor_is_refused(steered, steered_store: str) -> None:
    async def key() -> bytes:
        connection = await StoreConnection.connect(steered_store, Settings())
        try:
            return (await Pseudonyms.of(connection)).key("cursor")
        finally:
            await connection.close()

    user_id, wish, secret = uuid.uuid4().hex, RecommendOptions(n=3), asyncio.run(key())
    shown = page(steered, user_id, n=3)
    good = ListCursor.begin(wish.digest(user_id)).after(ids(shown), time.time())
    assert good is not None
    following = page(steered, user_id, good.encode(secret), n=3)
    assert ids(following) == ids(page(steered, user_id, shown["cursor"], n=3))
    old = ListCursor(good.shown, int(time.time()) - 1, good.digest)
    refused(steered, user_id, old.encode(secret), "its time is over", "begin without one", n=3)
    newer = bytearray(base64.urlsafe_b64decode(good.encode(secret) + "=="))
    newer[0] = 2
    assert HEAD.unpack_from(newer)[0] == 2
    refused(steered, user_id, base64.urlsafe_b64encode(newer).decode().rstrip("="), "none", n=3)


def test_cursors_survive_a_restart_and_another_bundle(
    start, steered_bundle: Path, tiny_bundle: Path, url: str, tmp_path: Path
) -> None:
    first = start(redis_url=url, bundle=steered_bundle)
    user_id = uuid.uuid4().hex
    first.http.post("/rate", json={"user_id": user_id, "item_id": "item 2", "rating": 4}).raise_for_status()
    shown = page(first, user_id, n=6)
    expected = ids(page(first, user_id, shown["cursor"], n=6))
    first.stop()
    second = start(redis_url=url, bundle=steered_bundle)
    assert ids(page(second, user_id, shown["cursor"], n=6)) == expected
    second.stop()
    third = start(redis_url=url, bundle=tiny_bundle)
    rest = page(third, user_id, shown["cursor"], n=40)
    assert rest["model_version"] != shown["model_version"]
    known = {f"item {number}" for number in range(24)}
    assert set(ids(rest)) == known - set(ids(shown)) - {"item 2"}


def test_items_that_come_and_go_between_pages(start, url: str) -> None:
    service = start(redis_url=url, content="1")
    user_id = uuid.uuid4().hex
    service.http.post("/rate", json={"user_id": user_id, "item_id": "item 3", "rating": 5}).raise_for_status()
    first = page(service, user_id, n=5)
    hidden = next(item for item in ids(page(service, user_id, first["cursor"], n=5)))
    service.http.patch(path(hidden), json={"is_hidden": True}).raise_for_status()
    assert service.http.delete(path(ids(first)[0])).status_code == 200
    post(service, {"item_id": "the newcomer", "metadata": {"near": "item 4"}})
    second = page(service, user_id, first["cursor"], n=40)
    assert set(ids(second)) == {f"item {number}" for number in range(24)} - {*ids(first), hidden, "item 3"} | {
        "the newcomer"
    }


def test_no_cursor_remembers_more_than_a_thousand_items(start, url: str) -> None:
    service = start(redis_url=url, content="1")
    for lot in range(2):
        post(service, *({"item_id": f"more {lot} {number}", "metadata": {"near": "item 1"}} for number in range(600)))
    user_id = uuid.uuid4().hex
    first = page(service, user_id, n=500)
    second = page(service, user_id, first["cursor"], n=500)
    third = page(service, user_id, second["cursor"], n=200)
    shown = [*ids(first), *ids(second), *ids(third)]
    assert len(set(shown)) == len(shown) == 1_200
    assert third["cursor"] is None
    assert page(service, user_id, second["cursor"], n=300)["items"][:200] == third["items"]
