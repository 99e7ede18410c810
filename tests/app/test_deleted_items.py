"""Items that are hidden or deleted over HTTP: gone at once here, in a moment on other workers."""

from __future__ import annotations

import pytest
from item_client import admirer, answered, eventually, new, path, post
from pictures import picture, text
from problem_document import check


@pytest.mark.parametrize("item_id", ["item 17", "live"])
def test_hidden_is_effective_at_once_here_and_in_a_moment_there(pair, item_id: str) -> None:
    one, other = pair
    if item_id == "live":
        item_id = str(post(one, new(17))["items"][0]["item_id"])
    user_id = admirer(one, 16)
    for is_hidden in (True, False):
        one.http.patch(path(item_id), json={"is_hidden": is_hidden}).raise_for_status()
        assert (item_id in answered(one, user_id)) is not is_hidden
        eventually(lambda is_hidden=is_hidden: (item_id in answered(other, user_id)) is not is_hidden)
        assert one.http.get(path(item_id)).json()["is_hidden"] is is_hidden


def test_a_deleted_item_is_gone_and_may_come_again(pair) -> None:
    one, other = pair
    user_id, item = admirer(one, 20), new(20, image=text(picture()))
    post(one, item)
    assert one.http.delete(path(item["item_id"])).json()["item_id"] == item["item_id"]
    assert item["item_id"] not in answered(one, user_id)
    check(one.http.get(path(item["item_id"])), 404, "unknown", "POST /items")
    check(other.http.patch(path(item["item_id"]), json={"title": "x"}), 404, "unknown")
    eventually(lambda: item["item_id"] not in answered(other, user_id))
    post(other, {**item, "image": None})
    assert item["item_id"] in answered(other, user_id)


def test_a_deletion_that_comes_again_gets_the_same_answer(pair) -> None:
    item = new(20)
    post(pair[0], item)
    first = pair[0].http.delete(path(item["item_id"]))
    again = pair[1].http.delete(path(item["item_id"]))
    assert (again.status_code, again.json()) == (200, first.json())
    check(pair[1].http.get(path(item["item_id"])), 404)


def test_an_item_of_the_bundle_can_be_deleted(pair) -> None:
    one, other = pair
    user_id = admirer(one, 22)
    one.http.delete("/items/item 23").raise_for_status()
    assert "item 23" not in answered(one, user_id)
    eventually(lambda: "item 23" not in answered(other, user_id))
    post(one, {"item_id": "item 23", "title": "the item 23", "year": 1995})
    assert "item 23" in answered(one, user_id)
