"""The lists that are the same for all users, on a real worker: what is popular, trending or new."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from item_client import eventually, new, path, post
from problem_document import check
from shop_world import by_popularity, facts, train_shop

from app.embedded_store import EmbeddedStore
from engine.bundle import Bundle
from engine.items import ItemTable

LISTS = ("/popular", "/trending", "/latest")


@pytest.fixture(scope="module")
def shop_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_shop(tmp_path_factory.mktemp("shop") / "b")


@pytest.fixture(scope="module")
def trained(shop_bundle: Path) -> ItemTable:
    return Bundle.open(shop_bundle).items


@pytest.fixture(scope="module")
def shop_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with EmbeddedStore(tmp_path_factory.mktemp("l")) as store:
        yield store.url


@pytest.fixture(scope="module")
def shop(start, shop_bundle: Path, shop_store: str):
    return start(redis_url=shop_store, bundle=shop_bundle, content="1")


def listed(shop, url: str, **options: object) -> list[dict[str, object]]:
    answer = shop.http.get(url, params=options)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


def ids(shop, url: str, **options: object) -> list[str]:
    return [item["item_id"] for item in listed(shop, url, **options)]


def scores(shop, url: str = "/trending", **options: object) -> dict[str, float]:
    items = listed(shop, url, n=500, **options)
    return {item["item_id"]: item["score"] for item in items if item["reason"] == ["trending"]}


def rate(shop, item_id: str, rating: float = 5, **more: object) -> dict[str, object]:
    event = {"user_id": uuid.uuid4().hex, "item_id": item_id, "rating": rating, **more}
    shop.http.post("/rate", json=event).raise_for_status()
    return event


def test_popular_items_stand_by_their_number_of_training_events(shop, trained: ItemTable) -> None:
    found = [item for item in listed(shop, "/popular", n=500) if item["item_id"] in trained.vocabulary]
    assert [item["item_id"] for item in found] == by_popularity(trained)
    rows = trained.vocabulary.indices_of(item["item_id"] for item in found)
    assert [item["score"] for item in found] == trained.column("popularity", rows).tolist()
    assert all(item["reason"] == ["popular"] for item in found)
    assert ids(shop, "/popular", n=3) == by_popularity(trained)[:3]
    assert len(ids(shop, "/popular")) == 10


@pytest.mark.parametrize("url", LISTS)
def test_a_list_has_the_documented_shape(shop, url: str) -> None:
    response = shop.http.get(url, params={"n": 3})
    answer, schema = response.json(), shop.http.get("/openapi.json").json()["components"]["schemas"]
    assert answer.keys() == schema["Answer"]["properties"].keys()
    assert (answer["user_id"], answer["history_version"], answer["cursor"]) == (None, None, None)
    assert (answer["source"], answer["degraded"]) == (url[1:], None)
    assert [item["rank"] for item in answer["items"]] == [1, 2, 3]
    assert all(item.keys() == schema["AnswerItem"]["properties"].keys() for item in answer["items"])
    assert [item["score"] for item in answer["items"]] == sorted([i["score"] for i in answer["items"]], reverse=True)
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("url", LISTS)
@pytest.mark.parametrize(
    ("options", "fits"),
    [
        ({"categories": "even"}, lambda fact: "even" in fact.get("categories", ())),
        ({"categories": ["even", "odd"]}, lambda fact: "all" in fact.get("categories", ())),
        ({"categories": ["even", "all"], "match": "all"}, lambda fact: "even" in fact.get("categories", ())),
        ({"categories": ["even", "odd"], "match": "all"}, lambda fact: False),
        ({"categories": "nowhere"}, lambda fact: False),
        ({"filter": "year >= 1994"}, lambda fact: fact.get("year", 0) >= 1994),
        (
            {"filter": "year < 1994", "categories": "odd"},
            lambda fact: fact.get("year", 9999) < 1994 and "odd" in fact.get("categories", ()),
        ),
    ],
    ids=range(7),
)
def test_all_that_fits_is_in_the_list_and_nothing_else(shop, trained: ItemTable, url: str, options, fits) -> None:
    live = new(1, title="Live", year=1995, categories=["even", "all"])
    post(shop, live)
    rate(shop, live["item_id"])
    expected = {item_id for item_id, fact in facts(trained).items() if fits(fact)}
    expected |= {live["item_id"]} if fits(live) else set()
    found = listed(shop, url, n=500, **options)
    assert {item["item_id"] for item in found} >= expected
    assert all(fits(item["metadata"]) for item in found)
    assert len(ids(shop, url, n=5, **options)) == min(5, len(found))


@pytest.mark.parametrize("url", LISTS)
def test_only_the_fields_that_are_included_are_shown(shop, url: str) -> None:
    shown = [item["metadata"].keys() for item in listed(shop, url, include=["year", "title"], filter="year > 0", n=4)]
    assert shown == [{"title", "year"}] * 4


@pytest.mark.parametrize("url", LISTS)
def test_hidden_and_deleted_items_are_in_no_list(shop, url: str) -> None:
    hidden, deleted, other = new(1), new(1), new(1)
    post(shop, hidden, deleted, other)
    for each in (hidden, deleted, other):
        rate(shop, each["item_id"])
    eventually(lambda: other["item_id"] in scores(shop))
    shop.http.patch(path(hidden["item_id"]), json={"is_hidden": True}).raise_for_status()
    shop.http.delete(path(deleted["item_id"])).raise_for_status()
    found = ids(shop, url, n=500)
    assert other["item_id"] in found
    assert not {hidden["item_id"], deleted["item_id"]} & set(found)
    shop.http.patch(path(hidden["item_id"]), json={"is_hidden": False}).raise_for_status()
    assert hidden["item_id"] in ids(shop, url, n=500)


def test_a_hidden_item_of_the_bundle_is_in_no_list(shop) -> None:
    shop.http.patch(path("item 3"), json={"is_hidden": True}).raise_for_status()
    assert all("item 3" not in ids(shop, url, n=500) for url in LISTS)
    shop.http.patch(path("item 3"), json={"is_hidden": False}).raise_for_status()
    assert all("item 3" in ids(shop, url, n=500) for url in LISTS)


def test_the_newest_items_come_first_then_those_of_the_bundle_by_year(shop, trained: ItemTable) -> None:
    first, second = new(1), new(1, year=1900)
    post(shop, new(1), new(1), first)
    time.sleep(0.01)
    post(shop, second)
    found = listed(shop, "/latest", n=500)
    assert [item["item_id"] for item in found[:2]] == [second["item_id"], first["item_id"]]
    assert 0 < found[0]["score"] - found[1]["score"] < 60 > abs(time.time() - found[0]["score"])
    live = [item["item_id"] for item in found if item["item_id"] not in trained.vocabulary]
    assert [item["item_id"] for item in found[: len(live)]] == live
    known, order = facts(trained), by_popularity(trained)
    expected = sorted(order, key=lambda item_id: (-known[item_id].get("year", -1), order.index(item_id)))
    assert [item["item_id"] for item in found[len(live) :]] == expected
    assert all(item["score"] == 0 and item["reason"] == ["latest"] for item in found[len(live) :])
    assert [ids(shop, "/latest", n=len(live) + more) for more in (7, -1)] == [[*live, *expected[:7]], live[:-1]]
    post(shop, *(twins := [new(1), new(1)]))
    assert ids(shop, "/latest", n=1) == [twins[1]["item_id"]]


def test_an_item_of_the_bundle_moves_with_its_year(shop, trained: ItemTable) -> None:
    def newest() -> str:
        return next(each for each in ids(shop, "/latest", n=500) if each in trained.vocabulary)

    before = newest()
    assert before != "item 4"
    shop.http.patch(path("item 4"), json={"year": 2030}).raise_for_status()
    assert newest() == "item 4"
    shop.http.patch(path("item 4"), json={"year": facts(trained)["item 4"]["year"]}).raise_for_status()
    assert newest() == before


def test_a_hot_item_rises_and_popular_ones_fill_the_list(shop, trained: ItemTable) -> None:
    item = new(2)
    post(shop, item)
    ahead = max(scores(shop).values(), default=0.0)
    for _ in range(int(ahead) + 3):
        rate(shop, item["item_id"])
    eventually(lambda: ids(shop, "/trending", n=1) == [item["item_id"]])
    found = listed(shop, "/trending", n=500)
    assert {each["item_id"] for each in found} >= set(trained.vocabulary.ids())
    filling = [each for each in found if each["reason"] == ["popular"]]
    assert all(each["score"] == 0 for each in filling)
    assert found == [*(each for each in found if each["reason"] == ["trending"]), *filling]
    popular = ids(shop, "/popular", n=500)
    rest = [each["item_id"] for each in filling]
    assert rest == [each for each in popular if each in rest]
    assert len({each["item_id"] for each in found}) == len(found)


def test_only_what_speaks_for_an_item_counts_and_each_event_once(shop) -> None:
    liked, disliked, worst, undone = items = [new(2) for _ in range(4)]
    post(shop, *items)
    event = rate(shop, liked["item_id"], 3, event_id=uuid.uuid4().hex)
    shop.http.post("/rate", json=event).raise_for_status()
    rate(shop, worst["item_id"], 1)
    both = [{"user_id": uuid.uuid4().hex, "item_id": disliked["item_id"], "kind": kind} for kind in ("skip", "dislike")]
    shop.http.post("/feedback", json=both).raise_for_status()
    shop.http.delete(f"/rate/{event['user_id']}/{path(undone['item_id'])[7:]}").raise_for_status()
    eventually(lambda: liked["item_id"] in scores(shop))
    time.sleep(1.1)
    found = scores(shop)
    assert found[liked["item_id"]] == pytest.approx(0.5, rel=1e-3)
    assert not {each["item_id"] for each in (disliked, worst, undone)} & found.keys()


def test_feedback_counts_by_its_weight(shop) -> None:
    item = new(2)
    post(shop, item)
    feedback = {"user_id": uuid.uuid4().hex, "item_id": item["item_id"], "kind": "click"}
    shop.http.post("/feedback", json=[feedback, {**feedback, "kind": "like"}]).raise_for_status()
    eventually(lambda: item["item_id"] in scores(shop))
    assert scores(shop)[item["item_id"]] == pytest.approx(1.7, rel=1e-3)


def test_a_window_tells_how_long_events_count(shop) -> None:
    item = new(2)
    post(shop, item)
    rate(shop, item["item_id"], timestamp=time.time() - 7_200)
    eventually(lambda: item["item_id"] in scores(shop))
    found = {window: scores(shop, window=window)[item["item_id"]] for window in ("hour", "day", "week")}
    assert found == pytest.approx({"hour": 0.25, "day": 0.5 ** (1 / 12), "week": 0.5 ** (1 / 84)}, rel=1e-2)
    assert scores(shop)[item["item_id"]] == pytest.approx(found["day"], rel=1e-2)


def test_without_a_store_what_is_popular_stands_in(
    start, shop_bundle: Path, trained: ItemTable, tmp_path: Path
) -> None:
    with EmbeddedStore(tmp_path) as store:
        shop = start(redis_url=store.url, bundle=shop_bundle)
        rate(shop, "item 5")
        eventually(lambda: ids(shop, "/trending", n=1) == ["item 5"])
    eventually(lambda: shop.http.get("/trending").json()["source"] == "popular")
    eventually(lambda: shop.http.get("/popular").json()["degraded"] is not None)
    odd = shop.http.get("/trending", params={"categories": "odd", "n": 4}).json()
    assert odd["degraded"] == "store_unreachable"
    known = facts(trained)
    assert [each["item_id"] for each in odd["items"]] == [
        each for each in by_popularity(trained) if "odd" in known[each]["categories"]
    ][:4]
    assert shop.http.get("/latest").json()["degraded"] == "store_unreachable"
    with EmbeddedStore(tmp_path):
        eventually(lambda: ids(shop, "/trending", n=1) == ["item 5"])


@pytest.mark.parametrize("url", LISTS)
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n": "0"}, ("n", "'0'")),
        ({"n": "501"}, ("n", "'501'")),
        ({"n": "many"}, ("n", "'many'")),
        ({"match": "some"}, ("match", "'some'")),
        ({"filter": "year >"}, ("filter", "column")),
        ({"filter": "colour = 1"}, ("filter", "'colour'")),
        ({"filter": "x" * 2_001}, ("filter", "2000")),
        ({"categories": ""}, ("categories", "at least 1")),
        ({"categories": ["c"] * 51}, ("categories", "at most 50")),
        ({"include": ""}, ("include", "at least 1")),
        ({"user_id": "42"}, ("user_id", "not permitted")),
        ({"window": "year"}, ("window",)),
    ],
    ids=range(12),
)
def test_bad_options(shop, url: str, options: dict[str, object], words: tuple[str, ...]) -> None:
    check(shop.http.get(url, params=options), 422, *words)


def test_categories_where_no_item_has_any(service) -> None:
    check(service.http.get("/popular", params={"categories": "Drama"}), 422, "categories")


@pytest.mark.parametrize("url", LISTS)
def test_head_answers_as_get_does_without_a_body(shop, url: str) -> None:
    head, get = shop.http.head(url), shop.http.get(url)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == get.headers["content-type"]


def test_the_options_are_documented(shop) -> None:
    paths = shop.http.get("/openapi.json").json()["paths"]
    for url in LISTS:
        parameters = {each["name"]: each for each in paths[url]["get"]["parameters"]}
        expected = {"n", "categories", "match", "filter", "include"} | ({"window"} if url == "/trending" else set())
        assert parameters.keys() == expected
        assert all(each["description"] for each in parameters.values())
        assert paths[url]["get"]["responses"].keys() >= {"200", "422"}


def test_lists_are_counted_and_timed(shop) -> None:
    rate(shop, "item 1")
    eventually(lambda: 'liverec_trend_events_total{outcome="counted"}' in shop.http.get("/metrics").text)
    assert all(shop.http.get(url).status_code == 200 for url in LISTS)
    counted = shop.http.get("/metrics").text
    for source in ("popular", "trending", "latest"):
        assert f'liverec_seconds_count{{call="{source}_items"}}' in counted
        assert f'source="{source}"' in counted
