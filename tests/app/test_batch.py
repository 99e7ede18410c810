"""Batches of many long histories: all of them read, none degraded; and what is too much to ask at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from problem_document import check
from steered_world import COUNT

USERS, EVENTS, KNOWN = 100, 300, 10
PATH = "/recommend/batch"


@pytest.fixture(scope="module")
def alone(start, steered_bundle: Path, steered_store: str, tmp_path_factory: pytest.TempPathFactory):
    """One worker with the settings that it has by default, no answer of which is cached."""
    more = {"LIVEREC_CACHE_SECONDS": "0", "LIVEREC_VAR": str(tmp_path_factory.mktemp("b"))}
    return start(redis_url=steered_store, bundle=steered_bundle, **more)


@pytest.fixture(scope="module")
def readers(alone) -> list[str]:
    """Users who each met ten items of the ring thirty times."""
    users = [f"reader of a batch {number}" for number in range(USERS)]
    events = [
        {"user_id": user_id, "item_id": f"item {(number + step % KNOWN) % COUNT}", "rating": 1 + (number + step) % 5}
        for number, user_id in enumerate(users)
        for step in range(EVENTS)
    ]
    for begin in range(0, len(events), 1_000):
        alone.http.post("/rate", json=events[begin : begin + 1_000]).raise_for_status()
    return users


def ids(answer: dict[str, Any]) -> list[str]:
    return [item["item_id"] for item in answer["items"]]


def test_a_hundred_long_histories_are_read_and_answered_as_one_by_one(alone, readers: list[str]) -> None:
    queries = [{"user_id": user_id, "n": 5} for user_id in readers]
    answers = alone.http.post(PATH, json={"queries": queries}).raise_for_status().json()["answers"]
    assert [answer["user_id"] for answer in answers] == readers
    told = {(answer["degraded"], answer["source"], answer["history_version"]) for answer in answers}
    assert told == {(None, "rerank", EVENTS)}
    single = [alone.http.get(f"/recommend/{user_id}", params={"n": 5}).json() for user_id in readers]
    assert [ids(answer) for answer in answers] == [ids(answer) for answer in single]


def test_ten_may_be_explained_and_no_more(alone, readers: list[str]) -> None:
    queries: list[dict[str, Any]] = [{"user_id": user_id, "n": 2} for user_id in readers[:12]]
    for query, explain in zip(queries[:10], ["estimated", "true"] * 5, strict=True):
        query["explain"] = explain
    answers = alone.http.post(PATH, json={"queries": queries}).raise_for_status().json()["answers"]
    explained = [all(item["because"] is not None for item in answer["items"]) for answer in answers]
    assert explained == [True] * 10 + [False] * 2
    queries[10]["explain"] = "counterfactual"
    check(alone.http.post(PATH, json={"queries": queries}), 422, "queries", "11", "10")


@pytest.mark.parametrize(("last", "status"), [(50, 200), (51, 422)])
def test_five_thousand_items_may_be_asked_for_and_no_more(alone, last: int, status: int) -> None:
    queries = [{"user_id": "nobody", "n": 450}] * 11 + [{"user_id": "nobody", "n": last}]
    response = alone.http.post(PATH, json={"queries": queries})
    assert response.status_code == status, response.text
    if status == 422:
        check(response, 422, "queries", "5001", "5000")


def test_a_body_over_the_limit(alone) -> None:
    queries = [{"user_id": "nobody", "exclude": ["x" * 200] * 1_000}] * 6
    check(alone.http.post(PATH, json={"queries": queries}), 413, "1048576")
