"""What each option of a list does, on real workers."""

from __future__ import annotations

import itertools
import math
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis
from problem_document import check
from steered_world import FIRST_YEAR, ITEMS, metadata_of, number_of, of_category

from engine.bundle import Bundle
from engine.recommender import Recommender

ALL = {"n": len(ITEMS)}


def write(service, path: str, user_id: str, item: int, **what: object) -> dict[str, Any]:
    event = {"user_id": user_id, "item_id": f"item {item}", **what}
    return service.http.post(path, json=event).raise_for_status().json()


def ask(service, user_id: str, **options: object) -> dict[str, Any]:
    response = service.http.get(f"/recommend/{user_id}", params=options)
    assert response.status_code == 200, response.text
    return response.json()


def ids(answer: dict[str, Any]) -> list[str]:
    return [item["item_id"] for item in answer["items"]]


def comparable(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name not in ("recommendation_id", "took_ms", "cursor")}


@pytest.fixture
def user(steered) -> str:
    """Somebody who has rated items 3 and 4."""
    user_id = uuid.uuid4().hex
    for item in (3, 4):
        write(steered, "/rate", user_id, item, rating=5)
    return user_id


@pytest.fixture(scope="session")
def units(steered_bundle: Path) -> Callable[[list[str]], np.ndarray]:
    """Vectors of length 1 whose products tell how alike items are."""
    recommender: Recommender = Bundle.open(steered_bundle).recommender()
    return lambda item_ids: recommender.catalogue.likeness.units_of(recommender.items.vocabulary.indices_of(item_ids))


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ({"categories": ["red"]}, of_category("red")),
        ({"categories": ["red", "small"]}, of_category("red") | of_category("small")),
        ({"categories": ["red", "small"], "match": "any"}, of_category("red") | of_category("small")),
        ({"categories": ["red", "small"], "match": "all"}, of_category("red") & of_category("small")),
        ({"categories": ["red", "blue"], "match": "all"}, set()),
        ({"categories": ["nobody's"]}, set()),
        ({"exclude": ["item 7", "item 9", "unknown"]}, set(ITEMS) - {"item 7", "item 9"}),
        ({"exclude": list(ITEMS)}, set()),
        ({"filter": f"year >= {FIRST_YEAR + 25}"}, set(ITEMS[25:])),
        ({"filter": 'not categories = "red"', "categories": ["small"]}, of_category("small") - of_category("red")),
        ({"filter": f'year = {FIRST_YEAR + 3} or item_id in ("item 8", "unknown")'}, {"item 3", "item 8"}),
    ],
    ids=range(11),
)
def test_what_limits_a_list_leaves_exactly_what_fits(
    steered, user: str, wish: dict[str, Any], expected: set[str]
) -> None:
    assert set(ids(ask(steered, user, **ALL, **wish))) == expected - {"item 3", "item 4"}
    stranger = ask(steered, uuid.uuid4().hex, **ALL, **wish)
    assert (set(ids(stranger)), stranger["source"]) == (expected, "popular")
    assert len(ids(ask(steered, user, n=2, **wish))) == min(2, len(expected - {"item 3", "item 4"}))


def test_seen_items_come_again_only_if_asked_for(steered, user: str) -> None:
    assert set(ids(ask(steered, user, **ALL))) == set(ITEMS) - {"item 3", "item 4"}
    assert set(ids(ask(steered, user, **ALL, exclude_seen=False))) == set(ITEMS)
    assert set(ids(ask(steered, user, **ALL, exclude_seen=False, exclude="item 3"))) == set(ITEMS) - {"item 3"}


@pytest.mark.parametrize("who", ["known", "stranger"])
def test_a_boost_moves_items_and_adds_none(steered, user: str, who: str) -> None:
    user_id = user if who == "known" else uuid.uuid4().hex
    plain = ids(ask(steered, user_id, **ALL))
    up = ids(ask(steered, user_id, **ALL, boost='10 if categories = "blue"'))
    down = ids(ask(steered, user_id, **ALL, boost='-10 if categories = "blue"'))
    blue = [item for item in plain if item in of_category("blue")]
    others = [item for item in plain if item not in blue]
    # Beyond the ranker's candidates nothing is boosted, which here are all items.
    assert up == [*blue, *others]
    assert down == [*others, *blue]


def test_boosts_add_up(steered, user: str) -> None:
    one = ask(steered, user, boost=["1 if year < 1990", "2 if year < 1990"])
    other = ask(steered, user, boost="3 if year < 1990")
    assert ids(one) == ids(other)


@pytest.mark.parametrize("model", ["sasrec", "item_knn", "popular"])
def test_one_source_alone(steered, user: str, model: str) -> None:
    answer = ask(steered, user, model=model)
    assert answer["source"] == ("popular" if model == "popular" else "retrieval")
    # What item_knn does not know is topped up.
    assert answer["items"][0]["reason"] == [model]
    assert len(answer["items"]) == 10
    assert ask(steered, user)["source"] == "rerank"


def test_an_unknown_model_is_named_with_those_that_there_are(steered, user: str) -> None:
    refused = steered.http.get(f"/recommend/{user}", params={"model": "ease"})
    check(refused, 422, "model", "'ease'", "item_knn, sasrec", "popular")


def test_diversity_trades_likeness_for_scores(steered, user: str, units) -> None:
    def spread(diversity: float) -> float:
        vectors = units(ids(ask(steered, user, n=8, diversity=diversity)))
        return 1 - float(np.mean([a @ b for a, b in itertools.combinations(vectors, 2)]))

    assert ids(ask(steered, user, n=8, diversity=0)) == ids(ask(steered, user, n=8))
    assert spread(0.0) < spread(0.5) <= spread(1.0) + 0.01


def test_explanations_name_items_of_the_history(steered, user: str) -> None:
    assert all(item["because"] is None for item in ask(steered, user)["items"])
    for explain in ("estimated", "counterfactual", "true"):
        answer = ask(steered, user, explain=explain)
        assert ids(answer) == ids(ask(steered, user))
        causes = [cause for item in answer["items"] for cause in item["because"]]
        assert {cause["item_id"] for cause in causes} == {"item 3", "item 4"}
        assert all((cause["drop"] is None) == (explain != "counterfactual") for cause in causes)
    assert all(item["because"] in (None, []) for item in ask(steered, uuid.uuid4().hex, explain="true")["items"])


def test_included_metadata(steered, user: str) -> None:
    whole = ask(steered, user)["items"]
    assert all(item["metadata"] == metadata_of(item["item_id"]) for item in whole)
    some = ask(steered, user, include=["year", "nothing"])["items"]
    assert [item["metadata"] for item in some] == [{"year": metadata_of(item["item_id"])["year"]} for item in whole]
    query = {"user_id": user, "include": []}
    batch = steered.http.post("/recommend/batch", json={"queries": [query]}).json()
    assert all(item["metadata"] == {} for item in batch["answers"][0]["items"])


def test_a_batch_equals_one_by_one(steered, user: str) -> None:
    queries: list[dict[str, Any]] = [
        {"user_id": user},
        {"user_id": "nobody / ключ", "n": 4},
        {"user_id": user, "n": 30, "exclude_seen": False},
        {"user_id": user, "filter": "year > 2000", "diversity": 0.4, "explain": "estimated"},
        {"user_id": user, "model": "item_knn", "boost": ["1 if year > 2000"]},
        {"user_id": user, "categories": ["red", "small"], "match": "all", "exclude": ["item 6"]},
    ]
    queries += [{"user_id": f"stranger {number}", "n": 1 + number} for number in range(20)]
    batch = steered.http.post("/recommend/batch", json={"queries": queries}).raise_for_status().json()
    assert len(batch["answers"]) == len(queries)
    for query, answer in zip(queries, batch["answers"], strict=True):
        options = {name: value for name, value in query.items() if name != "user_id"}
        assert comparable(answer) == comparable(ask(steered, query["user_id"].replace("/", "%2F"), **options))


def test_one_bad_question_refuses_the_batch(steered, user: str) -> None:
    for wrong in ({"n": 0}, {"filter": "year >"}, {"model": "nothing"}, {"cursor": "x"}, {"colour": "red"}):
        body = {"queries": [{"user_id": user}, {"user_id": user, **wrong}]}
        check(steered.http.post("/recommend/batch", json=body), 422, next(iter(wrong)))


def dumped(url: str) -> dict[bytes, bytes | None]:
    with redis.Redis.from_url(url) as client:
        return {key: client.dump(key) for key in client.scan_iter()}


EVENTS = [
    ("/rate", 3, {"rating": 5}),
    ("/rate", 9, {"rating": 1}),
    ("/feedback", 12, {"kind": "view"}),
    ("/feedback", 20, {"kind": "dislike"}),
    ("/rate", 3, {"rating": 2}),
    ("/feedback", 9, {"kind": "like"}),
]


def test_a_session_equals_a_user_with_the_same_events_and_writes_nothing(start, steered_bundle: Path, url: str) -> None:
    service = start(redis_url=url, bundle=steered_bundle)
    real, half = uuid.uuid4().hex, uuid.uuid4().hex
    history = []
    for step, (path, item, what) in enumerate(EVENTS):
        event = {"timestamp": 1_700_000_000.0 + 3_600 * step, **what}
        write(service, path, real, item, **event)
        if step < 3:
            write(service, path, half, item, **event)
        history.append({"item_id": f"item {item}", **event})
    before = dumped(url)
    options = {"n": 12, "filter": "year < 2008"}
    body = {"history": history, **options}
    visitor = service.http.post("/session/recommend", json=body).raise_for_status().json()
    body = {"history": history[3:], "user_id": half, **options}
    joined = service.http.post("/session/recommend", json=body).raise_for_status().json()
    assert dumped(url) == before
    expected = ask(service, real, **options)
    assert visitor["items"] == joined["items"] == expected["items"]
    assert (visitor["user_id"], joined["user_id"]) == (None, half)
    assert (visitor["source"], joined["history_version"]) == ("rerank", 3)
    empty = service.http.post("/session/recommend", json={"history": []}).json()
    assert empty["source"] == "popular"


def test_given_items_stand_in_the_order_of_the_list(steered, user: str) -> None:
    given = [*ITEMS[::-2], "unknown", "item 3", "item 29"]
    answer = steered.http.post("/rank", json={"user_id": user, "items": given}).raise_for_status().json()
    assert answer["unknown_items"] == ["unknown"]
    among = "item_id in (" + ", ".join(f'"{item}"' for item in given) + ")"
    listed = ask(steered, user, **ALL, exclude_seen=False, filter=among)
    assert ids(answer) == ids(listed)
    assert [item["score"] for item in answer["items"]] == [item["score"] for item in listed["items"]]
    boosted = {"user_id": user, "items": given, "boost": ['10 if item_id = "item 29"'], "include": []}
    assert ids(steered.http.post("/rank", json=boosted).json())[0] == "item 29"
    nothing = steered.http.post("/rank", json={"user_id": user, "items": ["unknown"]}).json()
    assert (nothing["items"], nothing["unknown_items"]) == ([], ["unknown"])


def pair_of_kin(listed: list[str], units) -> tuple[str, str]:
    """Return an item of a list, and the one most like it, which stands high enough to fall."""
    likeness = units(listed) @ units(listed).T
    np.fill_diagonal(likeness, -1.0)
    high = likeness[:, : len(listed) // 2]
    one, kin = np.unravel_index(np.where(high == likeness.max(axis=1, keepdims=True), high, -1.0).argmax(), high.shape)
    return listed[one], listed[kin]


def test_a_dislike_lowers_what_is_like_it_in_the_very_next_answer(steered, user: str, units) -> None:
    before = ids(ask(steered, user, **ALL))
    disliked, kin = pair_of_kin(before, units)
    write(steered, "/feedback", user, number_of(disliked), kind="dislike")
    after = ids(ask(steered, user, **ALL))
    assert disliked not in after
    assert after.index(kin) > [item for item in before if item != disliked].index(kin)


def test_who_only_dislikes_gets_other_popular_items(steered, units) -> None:
    stranger = ids(ask(steered, uuid.uuid4().hex, **ALL))
    user_id = uuid.uuid4().hex
    disliked, kin = pair_of_kin(stranger, units)
    write(steered, "/feedback", user_id, number_of(disliked), kind="dislike")
    answer = ask(steered, user_id, **ALL)
    assert answer["source"] == "popular"
    rest = [item for item in stranger if item != disliked]
    assert set(ids(answer)) == set(rest)
    assert ids(answer).index(kin) > rest.index(kin)


def test_exploration_is_logged_with_the_propensity_that_was_answered(start, steered_bundle: Path, url: str) -> None:
    service = start(redis_url=url, bundle=steered_bundle, LIVEREC_EXPLORATION_SHARE="0.9")
    shown: dict[tuple[str, str], tuple[int, float]] = {}
    for number in range(6):
        write(service, "/rate", f"explorer {number}", number, rating=5)
        answer = ask(service, f"explorer {number}", n=8, exploration=0.5)
        assert len(set(ids(answer))) == 8
        places = [item for item in answer["items"] if item["propensity"] is not None]
        assert all(item["reason"] == ["exploration"] and 0 < item["propensity"] <= 0.5 for item in places)
        shown |= {(answer["recommendation_id"], item["item_id"]): (item["rank"], item["propensity"]) for item in places}
        calm = ask(service, f"explorer {number}", n=8, exploration=0)
        assert all(item["propensity"] is None for item in calm["items"])
    assert shown
    with redis.Redis.from_url(url) as client:
        entries = [entry for _, entry in client.xrange("liverec:exposures")]
    logged = {
        (entry[b"recommendation_id"].decode(), entry[b"item_id"].decode()): (
            int(entry[b"rank"]),
            float(entry[b"propensity"]),
        )
        for entry in entries
    }
    assert logged.keys() == shown.keys()
    assert all(math.isclose(logged[each][1], shown[each][1]) and logged[each][0] == shown[each][0] for each in shown)
