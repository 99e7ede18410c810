"""Items over HTTP, on real workers: what is acknowledged is in the very next answer."""

from __future__ import annotations

import io
import time
import uuid
import wave
from pathlib import Path

import pytest
from item_client import admirer, answered, eventually, new, path, post
from pictures import picture
from problem_document import check
from redis import Redis

from app.embedded_store import EmbeddedStore


def sound() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(16_000)
        writer.writeframes(bytes(3_200))
    return file.getvalue()


def test_a_new_item_is_in_the_very_next_answer(reader) -> None:
    user_id, item = admirer(reader), new(title="Brand new", year=2026, description="Long.")
    assert item["item_id"] not in answered(reader, user_id)
    receipt = post(reader, item)
    assert receipt["accepted"] == 1
    assert receipt["note"] is None
    assert receipt["items"][0]["ranked_by"] == "content"
    first = reader.http.get(f"/recommend/{user_id}", params={"n": 5}).json()["items"]
    found = {each["item_id"]: each for each in first}[item["item_id"]]
    assert found["metadata"] == {"title": "Brand new", "year": 2026, "near": "item 8"}
    assert found["reason"] == ["content"]
    assert found["propensity"] is None


def test_the_other_worker_follows_within_a_moment(pair) -> None:
    one, other = pair
    user_id, item = admirer(one, 3), new(3)
    post(one, item)
    started = time.monotonic()
    eventually(lambda: item["item_id"] in answered(other, user_id))
    assert time.monotonic() - started < 1


def test_the_receipt_says_what_places_an_item(reader) -> None:
    with_content, without, known = new(), new(None), {"item_id": "item 5", "title": "the item 5", "year": 1995}
    receipt = post(reader, with_content, without, known)
    assert [each["ranked_by"] for each in receipt["items"]] == ["content", "popularity", "trained"]
    assert "end of the popular list" in receipt["note"]
    versions = [each["version"] for each in receipt["items"]]
    assert versions == sorted(versions)
    assert without["item_id"] in answered(reader, "a stranger")


def test_posting_again_replaces_the_item_and_keeps_when_it_came(reader) -> None:
    item = new(title="First", tags=["a"])
    post(reader, item)
    before = reader.http.get(path(item["item_id"])).json()
    post(reader, {"item_id": item["item_id"], "title": "Second", "metadata": {"near": "item 9"}})
    after = reader.http.get(path(item["item_id"])).json()
    assert after["metadata"] == {"title": "Second", "near": "item 9"}
    assert after["added_at"] == before["added_at"]
    assert after["version"] > before["version"]


def test_an_item_has_the_documented_shape(pair) -> None:
    item = new(title="T", description="D", categories=["c"], tags=["t"], year=2020, price=1.5)
    post(pair[0], item)
    shown = pair[1].http.get(path(item["item_id"])).json()
    schemas = pair[1].http.get("/openapi.json").json()["components"]["schemas"]
    assert shown.keys() == schemas["ItemAnswer"]["properties"].keys()
    given = {name: value for name, value in item.items() if name not in ("item_id", "metadata")}
    assert shown["metadata"] == {**given, "near": "item 8"}
    assert (shown["is_live"], shown["is_hidden"], shown["degraded"]) == (True, False, None)
    assert abs(shown["added_at"] - time.time()) < 60


def test_every_field_of_the_items_is_documented(reader) -> None:
    document = reader.http.get("/openapi.json").json()
    answers = ("Answer", "AnswerItem", "ItemReceipt", "StoredItem", "ItemAnswer", "ItemPage", "SimilarAnswer")
    whole = {name: document["components"]["schemas"][name] for name in answers}
    body = document["paths"]["/items"]["post"]["requestBody"]["content"]["application/json"]["schema"]["anyOf"][0]
    assert all("description" in field for field in body["properties"].values())
    for name, schema in whole.items():
        fields = schema["properties"].keys() - {"item_id", "user_id", "metadata", "model_version", "items"}
        bare = {field for field in fields if "description" not in schema["properties"][field]}
        assert not bare - {"accepted", "is_hidden", "ranked_by", "recommendation_id", "took_ms"}, name
    for path_, methods in document["paths"].items():
        for method, operation in methods.items():
            if path_.startswith("/items") and method != "get":
                assert operation["responses"]["409"]["description"]


def test_all_calls_of_items_are_timed(reader) -> None:
    item = new()
    post(reader, item)
    own = path(item["item_id"])
    reader.http.put(f"{own}/audio", content=b"", headers={"Content-Type": "audio/wav"})
    reader.http.put(f"{own}/image", content=picture(), headers={"Content-Type": "image/png"})
    for url in ("/items", own, f"{own}/similar"):
        assert reader.http.get(url).status_code == 200
    reader.http.patch(own, json={"title": "T"})
    reader.http.delete(own)
    counted = reader.http.get("/metrics").text
    for call in [
        "add_items",
        "list_items",
        "get_item",
        "similar_items",
        "put_image",
        "put_audio",
        "patch_item",
        "delete_item",
    ]:
        assert f'liverec_seconds_count{{call="{call}"}}' in counted


def test_rows_that_changes_leave_behind_are_counted(reader) -> None:
    def dead_rows() -> float:
        lines = reader.http.get("/metrics").text.splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith("liverec_item_dead_rows{"))

    item = new(1)
    post(reader, item)
    before = dead_rows()
    reader.http.patch(path(item["item_id"]), json={"title": "Placed as before"}).raise_for_status()
    assert dead_rows() == before
    reader.http.patch(path(item["item_id"]), json={"metadata": {"near": "item 2"}}).raise_for_status()
    eventually(lambda: dead_rows() == before + 1)


def test_head_answers_as_get_does_without_a_body(reader) -> None:
    item = new()
    post(reader, item)
    for url in ("/items", path(item["item_id"]), path(item["item_id"], "/similar")):
        head, get = reader.http.head(url), reader.http.get(url)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"] == get.headers["content-type"]
    assert reader.http.head("/items/nobody").status_code == 404


def test_lists_have_the_version_of_each_item(reader) -> None:
    item = new()
    version = post(reader, item)["items"][0]["version"]
    page = reader.http.get("/items", params={"item_id": item["item_id"]}).json()
    assert (page["items"][0]["version"], page["degraded"]) == (version, None)
    page, listed = {"cursor": None}, {}
    while not listed or page["cursor"]:
        page = reader.http.get("/items", params={"cursor": page["cursor"]} if page["cursor"] else {}).json()
        listed |= {each["item_id"]: each["version"] for each in page["items"]}
    assert (listed[item["item_id"]], listed["item 0"]) == (version, None)


def test_a_patch_changes_what_it_names_and_null_removes(reader) -> None:
    item = new(2, title="Before", tags=["a"], year=2000)
    post(reader, item)
    change = {"title": "After", "tags": None, "metadata": {"near": "item 14", "colour": "blue"}}
    reader.http.patch(path(item["item_id"]), json=change).raise_for_status()
    shown = reader.http.get(path(item["item_id"])).json()
    assert shown["metadata"] == {"title": "After", "year": 2000, "near": "item 14", "colour": "blue"}
    assert item["item_id"] in answered(reader, admirer(reader, 14), 3)
    reader.http.patch(path(item["item_id"]), json={"metadata": None}).raise_for_status()
    shown = reader.http.get(path(item["item_id"])).json()
    assert (shown["metadata"], shown["ranked_by"]) == ({"title": "After", "year": 2000}, "popularity")


def test_an_image_places_an_item_anew(reader, item_store: str) -> None:
    item = new(None, title="No content yet")
    assert post(reader, item)["items"][0]["ranked_by"] == "popularity"
    receipt = reader.http.put(
        path(item["item_id"], "/image"), content=picture("red"), headers={"Content-Type": "image/png"}
    )
    assert receipt.json()["items"][0]["ranked_by"] == "content"
    with Redis.from_url(item_store) as redis:
        kept = redis.hget("{items}:media", f"image:{item['item_id']}")
    assert kept.startswith(b"\xff\xd8")
    assert len(kept) < 20_000
    reader.http.patch(path(item["item_id"]), json={"image": None}).raise_for_status()
    assert reader.http.get(path(item["item_id"])).json()["ranked_by"] == "popularity"


def test_a_sound_is_kept(reader, item_store: str) -> None:
    item = new()
    post(reader, item)
    reader.http.put(
        path(item["item_id"], "/audio"), content=sound(), headers={"Content-Type": "audio/wav"}
    ).raise_for_status()
    with Redis.from_url(item_store) as redis:
        assert redis.hget("{items}:media", f"audio:{item['item_id']}") == sound()


def test_pages_give_each_item_once_on_any_worker_while_items_come(pair) -> None:
    before = {str(post(pair[0], new())["items"][0]["item_id"]) for _ in range(7)}
    found, cursor, turn = list[str](), None, 0
    while turn == 0 or cursor is not None:
        service = pair[turn % 2]
        page = service.http.get("/items", params={"n": 5} | ({"cursor": cursor} if cursor else {})).json()
        found += [item["item_id"] for item in page["items"]]
        cursor, turn = page["cursor"], turn + 1
        if turn < 5:
            post(service, new())
    assert len(found) == len(set(found))
    assert before | {f"item {number}" for number in range(23)} <= set(found)


@pytest.mark.parametrize("item_id", ["a/b", "ключ", "q?x=1#y", "%2F", "x/image", "x/audio", "x/image/image", "-"])
def test_any_id_is_fine(reader, item_id: str) -> None:
    post(reader, {**new(), "item_id": item_id})
    assert reader.http.get(path(item_id)).json()["item_id"] == item_id
    image = reader.http.put(path(item_id, "/image"), content=picture(), headers={"Content-Type": "image/png"})
    assert image.json()["items"][0]["item_id"] == item_id
    assert reader.http.patch(path(item_id), json={"title": "x"}).status_code == 200
    assert reader.http.delete(path(item_id)).status_code == 200


def test_an_id_that_ends_like_a_route_is_shown_by_the_list(reader) -> None:
    post(reader, {**new(), "item_id": "x/similar"})
    page = reader.http.get("/items", params={"item_id": "x/similar"}).json()
    assert [item["item_id"] for item in page["items"]] == ["x/similar"]
    assert page["cursor"] is None
    check(reader.http.get("/items", params={"item_id": "nobody"}), 404, "'nobody'")


def test_similar_items(reader) -> None:
    item = new(11)
    post(reader, item)
    answer = reader.http.get(path(item["item_id"], "/similar"), params={"n": 3, "space": "content"}).json()
    assert answer["space"] == "content"
    assert answer["degraded"] is None
    assert [each["rank"] for each in answer["items"]] == [1, 2, 3]
    assert "item 11" in [each["item_id"] for each in answer["items"]]
    assert item["item_id"] not in [each["item_id"] for each in answer["items"]]
    check(reader.http.get("/items/nobody/similar"), 404, "'nobody'")


def test_a_space_that_tells_nothing_is_replaced_and_the_answer_says_so(reader) -> None:
    item = new(11)
    post(reader, item)
    answer = reader.http.get(path(item["item_id"], "/similar"), params={"n": 3}).json()
    assert answer["space"] == "content"
    assert "'hybrid' tells nothing" in answer["degraded"]
    alone = new(None)
    post(reader, alone)
    assert reader.http.get(path(alone["item_id"], "/similar")).json()["items"] == []


def test_a_rating_of_a_live_item_counts(reader) -> None:
    item = new(6)
    post(reader, item)
    user_id = uuid.uuid4().hex
    rating = {"user_id": user_id, "item_id": item["item_id"], "rating": 5}
    assert reader.http.post("/rate", json=rating).json()["unknown_items"] == []
    answer = reader.http.get(f"/recommend/{user_id}", params={"n": 3}).json()
    assert "item 6" in [each["item_id"] for each in answer["items"]]


def test_what_is_explored_is_logged(start, tmp_path: Path) -> None:
    with EmbeddedStore(tmp_path) as store:
        service = start(redis_url=store.url, content="1", LIVEREC_EXPLORATION_SHARE="0.5")
        post(service, *(new(12) for _ in range(10)))
        answer = service.http.get(f"/recommend/{admirer(service, 0)}", params={"n": 20}).json()
        explored = {each["item_id"]: each for each in answer["items"] if each["propensity"] is not None}
        assert explored
        with Redis.from_url(store.url, decode_responses=True) as redis:
            eventually(lambda: redis.xlen("liverec:exposures") == len(explored))
            logged = [entry for _, entry in redis.xrange("liverec:exposures")]
        for entry in logged:
            placed = explored[entry["item_id"]]
            assert entry["recommendation_id"] == answer["recommendation_id"]
            assert (entry["user_id"], entry["model_version"]) == (answer["user_id"], answer["model_version"])
            assert (int(entry["rank"]), float(entry["propensity"])) == (placed["rank"], placed["propensity"])
        counted = f'liverec_exposures_total{{outcome="written"}} {len(explored)}.0'
        eventually(lambda: counted in service.http.get("/metrics").text)


def test_a_thousand_items_are_taken_at_once(pair) -> None:
    items = [new(number % 24) for number in range(1_000)]
    receipt = post(pair[0], *items)
    assert [each["item_id"] for each in receipt["items"]] == [each["item_id"] for each in items]
    eventually(lambda: pair[1].http.get("/health/ready").json()["item_lag"] == 0)
    assert pair[1].http.get(path(items[-1]["item_id"])).json()["ranked_by"] == "content"
