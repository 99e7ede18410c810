"""Bad items: a problem document that names the field, the value and the bound; nothing is written."""

from __future__ import annotations

import json
import time
import uuid
from pathlib import Path

import pytest
from pictures import bomb, picture, text
from problem_document import check

from app.embedded_store import EmbeddedStore

PNG = {"Content-Type": "image/png"}


@pytest.fixture
def good(reader) -> dict[str, object]:
    """An item that is there, to be changed by what is wrong."""
    item = {"item_id": f"good {uuid.uuid4().hex}", "title": "Good", "metadata": {"near": "item 1"}}
    reader.http.post("/items", json=item).raise_for_status()
    return item


def refused(reader, item: object, status: int, *words: str) -> None:
    before = reader.http.get("/health/ready").json(), _items(reader)
    check(reader.http.post("/items", json=item), status, *words)
    assert (reader.http.get("/health/ready").json(), _items(reader)) == before


def _items(reader) -> list[str]:
    return [line for line in reader.http.get("/metrics").text.splitlines() if line.startswith("liverec_items_total")]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"item_id": ""}, ("item_id", "1 to 256")),
        ({"item_id": "x" * 10_000}, ("item_id", "1 to 256")),
        ({"item_id": "a\0b"}, ("item_id", "NUL")),
        ({"item_id": None}, ("item_id", "string")),
        ({"title": 5}, ("title", "string")),
        ({"title": "x" * 1_001}, ("title", "1000")),
        ({"title": "a\0b"}, ("title", "NUL")),
        ({"description": "x" * 20_001}, ("description", "20000")),
        ({"description": "x" * 10_000_000}, ("description", "20000")),
        ({"categories": "a|b"}, ("categories", "array")),
        ({"categories": [1]}, ("categories", "string")),
        ({"categories": ["x"] * 101}, ("categories", "100")),
        ({"tags": ["x" * 257]}, ("tags", "256")),
        ({"year": "1995"}, ("year", "integer")),
        ({"year": 10**30}, ("year", "10000")),
        ({"price": -1}, ("price", "0")),
        ({"price": "1"}, ("price", "number")),
        ({"is_hidden": "yes"}, ("is_hidden", "boolean")),
        ({"is_hidden": 1}, ("is_hidden", "boolean")),
        ({"colour": "red"}, ("colour", "not permitted")),
        ({"metadata": []}, ("metadata", "object")),
        ({"metadata": {"a": {}}}, ("metadata", "'a'", "text")),
        ({"metadata": {"a": [1]}}, ("metadata", "'a'", "list of texts")),
        ({"metadata": {"a": 10**400}}, ("metadata", "'a'", "2^53")),
        ({"metadata": {"title": "b"}}, ("metadata", "'title'", "field of its own")),
        ({"metadata": {"": 1}}, ("metadata", "1 to 64")),
        ({"metadata": {"a": "x" * 1_001}}, ("metadata", "'a'", "1000")),
        ({"metadata": {str(number): 1 for number in range(65)}}, ("metadata", "65 keys", "64")),
        ({"metadata": {str(number): "x" * 1_000 for number in range(20)}}, ("metadata", "16384")),
        ({"image": "https://example.org/a.png"}, ("image", "URL", "base64")),
        ({"image": "data:image/png;base64,AAAA"}, ("image", "URL", "base64")),
        ({"image": "%%%"}, ("image", "base64")),
        ({"image": 5}, ("image", "bytes")),
        ({"image": ""}, ("image", "0 bytes")),
        ({"audio": "http://example.org/a.mp3"}, ("audio", "URL")),
    ],
    ids=range(35),
)
def test_an_impossible_field(reader, change: dict[str, object], words: tuple[str, ...]) -> None:
    good = {"item_id": uuid.uuid4().hex, "metadata": {"near": "item 1"}}
    refused(reader, [good, {**good, "item_id": "other", **change}], 422, *words)
    check(reader.http.get(f"/items/{good['item_id']}"), 404)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"[[]]", b"\xff", b"[" * 100_000, b'{"item_id": "\\ud800"}']
)
def test_a_body_that_is_no_list_of_items(reader, body: bytes) -> None:
    check(reader.http.post("/items", content=body), 422)
    check(reader.http.patch("/items/item 1", content=body), 422)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_numbers_that_are_none(reader, number: str) -> None:
    metadata = '{"item_id": "a", "metadata": {"x": NUMBER}}'.replace("NUMBER", number)
    check(reader.http.post("/items", content=metadata), 422, "metadata")
    price = '{"item_id": "a", "price": NUMBER}'.replace("NUMBER", number)
    check(reader.http.post("/items", content=price), 422, "price")


def test_too_many_items(reader) -> None:
    refused(reader, [{"item_id": str(number)} for number in range(1_001)], 422, "1000")


def test_one_id_twice(reader) -> None:
    refused(reader, [{"item_id": "a"}, {"item_id": "b"}, {"item_id": "a"}], 422, "item_id", "'a'", "2 times")


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ({str(number): 1 for number in range(1_000_000)}, ("1000000 fields", "metadata")),
        ({"item_id": "a", "metadata": {str(number): 1 for number in range(1_000_000)}}, ("1000000 keys", "64")),
        ({"item_id": "a", "tags": [10**4_000] * 4_000}, ("tags", "100")),
        ([{"item_id": "a", "tags": [1] * 100}] * 1_000, ("100000 errors",)),
    ],
    ids=range(4),
)
def test_a_million_errors_cost_no_more_than_reading_them(reader, item: object, words: tuple[str, ...]) -> None:
    body = json.dumps(item).encode()
    begin = time.process_time()
    json.loads(body)
    reading = time.process_time() - begin
    begin = time.monotonic()
    check(reader.http.post("/items", content=body), 422, *words)
    assert time.monotonic() - begin < 10 * reading + 1


def test_a_huge_body(reader) -> None:
    check(reader.http.post("/items", content=b" " * 17_000_000), 413, "16777216")
    check(reader.http.post("/rate", content=b" " * 1_100_000), 413, "1048576")
    check(reader.http.put("/items/item 1/image", content=b" " * 9_000_000, headers=PNG), 413, "4194304")
    check(reader.http.put("/items/item 1/audio", content=b" " * 5_000_000, headers=PNG), 413, "4194304")


def test_an_image_that_is_none(reader, good: dict[str, object]) -> None:
    refused(reader, {"item_id": "a", "image": text(b"GIF89a and nothing")}, 422, "image", "'a'")
    check(reader.http.put(f"/items/{good['item_id']}/image", content=b"no image", headers=PNG), 422, "image", "JPEG")


def test_a_sound_that_is_none(reader, good: dict[str, object]) -> None:
    refused(reader, {"item_id": "a", "audio": text(b"no sound")}, 422, "audio", "'a'")
    wav = {"Content-Type": "audio/wav"}
    check(reader.http.put(f"/items/{good['item_id']}/audio", content=b"no sound", headers=wav), 422, "audio", "FLAC")


def test_content_that_cannot_be_read_names_its_item(reader, good: dict[str, object]) -> None:
    items = [{"item_id": f"fine {number}", "metadata": {"near": "item 1"}} for number in range(40)]
    items[35] = {"item_id": "lost", "metadata": {"near": "nowhere"}}
    refused(reader, items, 422, "'lost'", "'nowhere'")
    check(reader.http.get("/items/fine 0"), 404)
    answer = reader.http.patch(f"/items/{good['item_id']}", json={"metadata": {"near": "nowhere"}})
    check(answer, 422, str(good["item_id"]), "'nowhere'")


def test_a_decompression_bomb(reader, good: dict[str, object]) -> None:
    encoded = bomb()
    assert len(encoded) < 100_000
    refused(reader, {"item_id": "a", "image": text(encoded)}, 422, "'a'", "pixels")
    check(reader.http.put(f"/items/{good['item_id']}/image", content=encoded, headers=PNG), 422, "pixels")


def test_an_image_over_the_limit_inside_of_json(reader) -> None:
    refused(reader, {"item_id": "a", "image": text(b"x" * 9_000_000)}, 422, "image", "9000000", "4194304")


def test_a_file_of_another_kind(reader, good: dict[str, object]) -> None:
    path = f"/items/{good['item_id']}/image"
    check(reader.http.put(path, content=picture()), 415, "Content-Type", "image/")
    check(reader.http.put(path, json={"url": "https://example.org"}), 415, "application/json")
    check(reader.http.put(path, content=b"", headers=PNG), 422, "0 bytes")


def test_an_image_of_an_unknown_item(reader) -> None:
    check(reader.http.put("/items/nobody/image", content=picture(), headers=PNG), 404, "'nobody'")


def test_an_item_without_any_content_is_taken_and_told_so(reader) -> None:
    item_id = uuid.uuid4().hex
    receipt = reader.http.post("/items", json={"item_id": item_id}).json()
    assert receipt["items"][0]["ranked_by"] == "popularity"
    assert "nothing" in receipt["note"]


def test_deletion_of_an_unknown_item(reader) -> None:
    check(reader.http.delete("/items/nobody"), 404, "'nobody'", "POST /items")


def test_patches_that_cannot_be(reader, good: dict[str, object]) -> None:
    path = f"/items/{good['item_id']}"
    check(reader.http.patch("/items/nobody", json={"title": "x"}), 404, "'nobody'")
    check(reader.http.patch(path, json={}), 422, "changes nothing")
    check(reader.http.patch(path, json={"item_id": "other"}), 422, "item_id", "not permitted")
    for start in (0, 40):
        further = {f"key {number}": 1 for number in range(start, start + 40)}
        answer = reader.http.patch(path, json={"metadata": further})
    check(answer, 422, "metadata", "81 keys", "64")


@pytest.mark.parametrize(
    "cursor", ["", "x", "!!!", "WyJiIl0", "W10", "bnVsbA", "W10=W10=", "x" * 999, "W1tbW1tb", "Wy0xXQ", "W3RydWVd"]
)
def test_a_malformed_cursor(reader, cursor: str) -> None:
    check(reader.http.get("/items", params={"cursor": cursor}), 422, "cursor", "begin without one")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/items?n=0", ("n",)),
        ("/items?n=501", ("n",)),
        ("/items?cursor=" + "x" * 1_001, ("cursor",)),
        ("/items/" + "x" * 257, ("item_id", "1 to 256")),
        ("/items/", ("item_id", "1 to 256")),
        ("/items/a%FEb", ("item_id", "UTF-8")),
        ("/items/item 1/similar?n=0", ("n",)),
        ("/items/item 1/similar?space=outer", ("space", "hybrid")),
    ],
)
def test_impossible_questions(reader, path: str, words: tuple[str, ...]) -> None:
    check(reader.http.get(path), 422, *words)


def test_a_bundle_without_a_content_network(start, tmp_path: Path) -> None:
    with EmbeddedStore(tmp_path) as store:
        service = start(redis_url=store.url, LIVEREC_VAR=str(tmp_path / "v"))
        item = {"item_id": "new", "title": "New"}
        check(service.http.post("/items", json=item), 409, "liverec train --config configs/hybrid.toml")
        check(service.http.put("/items/item 1/image", content=picture(), headers=PNG), 409, "content network")
        service.http.patch("/items/item 1", json={"is_hidden": True, "title": "Other"}).raise_for_status()
        shown = service.http.get("/items/item 1").json()
        assert (shown["is_hidden"], shown["ranked_by"]) == (True, "trained")
        assert shown["metadata"] == {"title": "Other", "year": 1995}
        service.http.delete("/items/item 2").raise_for_status()
        answer = service.http.get("/recommend/anyone", params={"n": 24}).json()
        assert {"item 1", "item 2"}.isdisjoint(item["item_id"] for item in answer["items"])
        service.stop()


def test_more_items_than_the_store_takes(start, tmp_path: Path) -> None:
    with EmbeddedStore(tmp_path) as store:
        service = start(redis_url=store.url, content="1", LIVEREC_MAX_LIVE_ITEMS="3")
        two = [{"item_id": letter, "metadata": {"near": "item 1"}} for letter in "ab"]
        assert service.http.post("/items", json=two).status_code == 200
        assert service.http.post("/items", json=two).status_code == 200
        others = json.loads(json.dumps(two).replace('"a"', '"c"').replace('"b"', '"d"'))
        check(service.http.post("/items", json=others), 507, "LIVEREC_MAX_LIVE_ITEMS", "3")
        check(service.http.get("/items/c"), 404)
        service.http.delete("/items/a").raise_for_status()
        assert service.http.post("/items", json=others).status_code == 200
        service.stop()


def test_more_media_than_the_store_takes(start, tmp_path: Path) -> None:
    with EmbeddedStore(tmp_path) as store:
        service = start(redis_url=store.url, content="1", LIVEREC_MAX_MEDIA_BYTES="1500")
        one, other = ({"item_id": letter, "image": text(picture(side=64))} for letter in "ab")
        assert service.http.post("/items", json=one).status_code == 200
        check(service.http.post("/items", json=other), 507, "LIVEREC_MAX_MEDIA_BYTES", "1500")
        assert service.http.post("/items", json={**other, "image": None, "title": "Text"}).status_code == 200
        check(service.http.put("/items/b/image", content=picture(side=64), headers=PNG), 507, "1500")
        rating = {"user_id": "u", "item_id": "item 1", "rating": 5}
        assert service.http.post("/rate", json=rating).status_code == 200
        service.http.delete("/items/a").raise_for_status()
        assert service.http.put("/items/b/image", content=picture(side=64), headers=PNG).status_code == 200
        service.stop()
