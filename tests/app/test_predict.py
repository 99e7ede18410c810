"""POST /predict: ratings for anybody's live history."""

from __future__ import annotations

import uuid
from pathlib import Path

import httpx
import pytest
from problem_document import check

from app.embedded_store import EmbeddedStore


def ask(service, user_id: str, *items: str) -> dict[str, object]:
    answer = service.http.post("/predict", json={"user_id": user_id, "items": list(items)})
    assert answer.status_code == 200, answer.text
    return answer.json()


def predicted(answer: dict[str, object]) -> list[float]:
    return [item["predicted_rating"] for item in answer["items"]]


def test_predictions_keep_the_order_and_the_scale(service) -> None:
    wanted = [f"item {number}" for number in (3, 1, 2, 3)]
    answer = ask(service, "nobody yet", *wanted)
    assert [item["item_id"] for item in answer["items"]] == wanted
    assert all(1 <= rating <= 5 for rating in predicted(answer))
    assert all(item["known"] for item in answer["items"])
    assert (answer["degraded"], answer["history_version"]) == (None, 0)


def test_the_very_next_prediction_counts_a_rating(service) -> None:
    user_id = uuid.uuid4().hex
    before = ask(service, user_id, "item 5")
    for number in range(4):
        given = {"user_id": user_id, "item_id": f"item {number}", "rating": 1}
        assert service.http.post("/rate", json=given).status_code == 200
    after = ask(service, user_id, "item 5")
    assert after["history_version"] == 4
    assert predicted(after)[0] < predicted(before)[0]


def test_an_unknown_item_gets_what_the_user_gives_on_average(service) -> None:
    answer = ask(service, "nobody yet", "no such item")
    assert answer["items"][0]["known"] is False
    assert 1 <= predicted(answer)[0] <= 5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"items": []}, ("items", "at least 1")),
        ({"items": ["i"] * 1_001}, ("items", "at most 1000")),
        ({"items": "item 1"}, ("items", "list")),
        ({"items": ["x" * 257]}, ("items", "1 to 256")),
        ({"items": [None]}, ("items", "string")),
        ({"user_id": ""}, ("user_id", "1 to 256")),
        ({"user_id": None}, ("user_id", "string")),
        ({"n": 3}, ("n", "not permitted")),
    ],
)
def test_a_malformed_question(service, change: dict[str, object], words: tuple[str, ...]) -> None:
    check(service.http.post("/predict", json={"user_id": "42", "items": ["item 1"], **change}), 422, *words)


def test_without_a_store_the_answer_says_that_it_leaves_the_history_out(start, tmp_path: Path) -> None:
    with EmbeddedStore(tmp_path) as store:
        service = start(redis_url=store.url, LIVEREC_VAR=str(tmp_path / "v"))
    answer = ask(service, "42", "item 1")
    assert (answer["degraded"], answer["history_version"]) == ("store_unreachable", None)
    assert service.stop() == 0


def test_a_bundle_without_ratings_says_what_would_help(start, implicit_bundle: Path, tmp_path: Path) -> None:
    service = start(bundle=implicit_bundle, LIVEREC_VAR=str(tmp_path))
    answer: httpx.Response = service.http.post("/predict", json={"user_id": "42", "items": ["item 1"]})
    check(answer, 409, "without ratings", "train one on data with ratings")
