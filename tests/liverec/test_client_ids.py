"""Ids pass through paths as they are, whatever is in them."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from liverec.client import Client
from liverec.client.call import segment

ODD = [
    "a/b",
    "/",
    "//a//",
    ".",
    "..",
    "...",
    "a/../b",
    "./a",
    "%2F",
    "%",
    "a?b=c#d&e;f",
    "x/similar",
    "x/image",
    "x/history",
    "x/export",
    " ",
    "a+b c",
    "ü/ñ 語",
    "\U0001f989",
    "e\u0301",
    "\ufeff",
    "\n",
    "a\r\nb",
]


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_user(client: Any, odd: str) -> None:
    client.rate(odd, "item 0", 5)
    assert client.recommend(odd, n=1).user_id == odd
    history = client.history(odd)
    assert history.user_id == odd
    assert [event.item_id for event in history.events] == ["item 0"]
    assert client.undo(odd, "item 0").removed == 1
    client.export_user(odd)
    assert client.delete_user(odd).user_id == odd


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_item(client: Any, odd: str) -> None:
    client.add_item(odd, title="odd", categories=["Western"])
    assert client.item(odd).item_id == odd
    assert client.similar(odd, n=1).item_id == odd
    assert client.patch_item(odd, year=1991).items[0].item_id == odd
    user = uuid.uuid4().hex
    client.rate(user, odd, 4)
    assert client.undo(user, odd).removed == 1
    assert client.delete_item(odd).item_id == odd


IDS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1, max_size=60)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(user=IDS, item=IDS)
def test_any_ids(films_url: str, user: str, item: str) -> None:
    with Client(films_url) as client:
        client.rate(user, item, 5)
        assert client.recommend(user, n=1).user_id == user
        assert client.undo(user, item).removed == 1


def test_an_id_is_one_segment() -> None:
    assert segment("a/../b c") == "a%2F..%2Fb%20c"
    assert [segment(dots) for dots in (".", "..", "...")] == ["%2E", "%2E%2E", "%2E%2E%2E"]
