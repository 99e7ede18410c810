"""Every call of the service, by both clients, against a real service."""

from __future__ import annotations

import io
import time
import uuid
import wave
from typing import Any

import pytest
from pictures import picture

from liverec.client import Answer, Conflict, Feedback, Met, NotFound, Rating

WESTERNS = [f"item {number}" for number in range(0, 12, 2)]
MUSICALS = [f"item {number}" for number in range(1, 12, 2)]


@pytest.fixture
def user() -> str:
    return f"user {uuid.uuid4().hex}"


@pytest.fixture
def film() -> str:
    return f"film {uuid.uuid4().hex}"


def rated(client: Any, user: str, items: list[str], rating: float = 5) -> int:
    return client.rate_many([Rating(user, item, rating) for item in items]).versions[user]


def kinds(answer: Answer) -> list[str]:
    return [item.metadata["title"].split()[0] for item in answer.items]


def test_a_rating_counts_in_the_answer_that_must_know_it(client: Any, user: str) -> None:
    receipt = client.rate(user, "item 0", 5)
    assert (receipt.accepted, receipt.duplicates, receipt.unknown_items) == (1, 0, ())
    answer = client.recommend(user, n=7, min_version=receipt.versions[user])
    assert answer.user_id == user
    assert answer.history_version == receipt.versions[user]
    assert len(answer.items) == 7
    assert "item 0" not in answer.item_ids
    assert [item.rank for item in answer.items] == list(range(1, 8))
    assert answer.degraded is None


def test_an_event_counts_once_however_often_it_is_sent(client: Any, user: str) -> None:
    rating, click = Rating(user, "item 0", 5), Feedback(user, "item 1", "click")
    assert client.rate_many([rating]).accepted == 1
    assert client.rate_many([rating]).duplicates == 1
    assert client.feedback_many([click]).accepted == 1
    assert client.feedback_many([click]).duplicates == 1
    assert len(client.history(user).events) == 2


def test_options_reach_the_service(client: Any, user: str) -> None:
    rated(client, user, WESTERNS)
    assert set(kinds(client.recommend(user, n=20, categories=["Musical"]))) == {"Musical"}
    assert client.recommend(user, categories=["Musical", "Western"], match="all").items == ()
    assert set(kinds(client.recommend(user, filter='not categories = "Western"'))) == {"Musical"}
    first, second = client.recommend(user, n=2).item_ids
    assert client.recommend(user, n=1, exclude=[first]).item_ids == [second]
    assert set(client.recommend(user, n=500, exclude_seen=False).item_ids) > set(WESTERNS)
    assert set(kinds(client.recommend(user, n=5, boost=['10 if categories = "Musical"']))) == {"Musical"}
    assert client.recommend(user, model="popular").source == "popular"
    assert set(client.recommend(user, n=1, include=["year"]).items[0].metadata) == {"year"}
    assert client.recommend(user, diversity=0.5, exploration=0.0, deadline_ms=5_000).degraded is None


@pytest.mark.parametrize("how", ["estimated", "counterfactual"])
def test_answers_say_because_of_what(client: Any, user: str, how: str) -> None:
    rated(client, user, WESTERNS)
    because = client.recommend(user, n=1, explain=how).items[0].because
    assert because
    assert {each.item_id for each in because} <= set(WESTERNS)
    assert all((each.drop is not None) == (how == "counterfactual") for each in because)
    assert client.recommend(user, n=1).items[0].because is None


def test_pages_give_each_item_once(client: Any, user: str) -> None:
    rated(client, user, WESTERNS)
    pages = list(client.pages(user, n=10))
    assert len(pages) > 3
    found = [item for page in pages for item in page.item_ids]
    assert len(found) == len(set(found)) >= 42 - len(WESTERNS)
    assert not {*found} & {*WESTERNS}


def test_a_batch_is_answered_in_its_order(client: Any, user: str) -> None:
    rated(client, user, WESTERNS)
    queries = [{"user_id": "nobody", "n": 3}, {"user_id": user, "n": 4, "categories": ["Musical"]}]
    first, second = client.recommend_batch(queries, deadline_ms=5_000)
    assert (first.user_id, len(first.items)) == ("nobody", 3)
    assert (second.user_id, len(second.items)) == (user, 4)
    assert set(kinds(second)) == {"Musical"}


def test_a_session_needs_no_user_and_writes_nothing(client: Any, user: str) -> None:
    met: list[Any] = [*WESTERNS[:4], Met(WESTERNS[4], rating=5), Met(WESTERNS[5], kind="click", timestamp=time.time())]
    answer = client.session(met, n=5)
    assert answer.user_id is None
    assert set(kinds(answer)) == {"Western"}
    version = rated(client, user, MUSICALS[:1])
    assert MUSICALS[0] not in client.session(met, user_id=user, n=500, deadline_ms=5_000).item_ids
    assert client.recommend(user).history_version == version


def test_given_items_are_ranked(client: Any, user: str) -> None:
    rated(client, user, WESTERNS)
    answer = client.rank(user, ["item 21", "nowhere", "item 20"], include=["title"], deadline_ms=5_000)
    assert answer.item_ids == ["item 20", "item 21"]
    assert answer.unknown_items == ("nowhere",)


def test_ratings_are_predicted(client: Any, user: str) -> None:
    rated(client, user, WESTERNS)
    predictions = client.predict(user, ["item 20", "nowhere"])
    assert [(each.item_id, each.known) for each in predictions.items] == [("item 20", True), ("nowhere", False)]
    assert all(1 <= each.predicted_rating <= 5 for each in predictions.items)


def test_feedback_is_kept_with_its_kind(client: Any, user: str) -> None:
    client.feedback(user, "item 3", "view", timestamp=time.time() - 5)
    receipt = client.feedback(user, "item 2", "click", recommendation_id="r", event_id="e" + user)
    history = client.history(user)
    assert [(event.item_id, event.kind) for event in history.events] == [("item 2", "click"), ("item 3", "view")]
    assert history.events[0].event_id == "e" + user
    assert history.history_version == receipt.versions[user]


def test_an_opinion_is_taken_away(client: Any, user: str) -> None:
    client.rate(user, "item 4", 5)
    assert client.undo(user, "item 4").removed == 1
    assert client.undo(user, "item 4", timestamp=time.time()).removed == 0
    assert client.history(user).events == ()


def test_a_history_has_pages(client: Any, user: str) -> None:
    rated(client, user, WESTERNS[:3])
    first = client.history(user, n=2)
    second = client.history(user, n=2, cursor=first.cursor)
    assert [event.item_id for event in (*first.events, *second.events)] == WESTERNS[2::-1]
    assert second.cursor is None


def test_a_user_is_exported_and_forgotten(client: Any, user: str) -> None:
    client.rate(user, "item 4", 4)
    assert "item 4" in str(client.export_user(user))
    forgotten = client.delete_user(user)
    assert (forgotten.user_id, forgotten.events) == (user, 1)
    assert "bundle" in forgotten.out_of_reach
    assert client.history(user).events == ()
    assert "item 4" not in str(client.export_user(user))


def test_lists_that_are_nobodys(client: Any, user: str) -> None:
    rated(client, user, WESTERNS)
    for answer in (
        client.popular(n=3, categories=["Western"]),
        client.latest(n=3, filter='categories = "Western"'),
        client.trending(n=3, window="hour", categories=["Western"]),
    ):
        assert answer.user_id is None
        assert set(kinds(answer)) == {"Western"}
    assert client.popular(n=1).source == "popular"


def test_an_item_comes_changes_and_goes(client: Any, film: str) -> None:
    receipt = client.add_item(film, title="The Owl", categories=["Musical"], year=1990, image=picture())
    assert [(each.item_id, each.ranked_by) for each in receipt.items] == [(film, "content")]
    assert client.item(film).metadata == {"title": "The Owl", "categories": ["Musical"], "year": 1990}
    client.patch_item(film, title="The Owls", year=None, is_hidden=True)
    item = client.item(film)
    assert item.metadata == {"title": "The Owls", "categories": ["Musical"]}
    assert item.is_hidden
    assert item.is_live
    assert client.delete_item(film).version > receipt.items[0].version
    with pytest.raises(NotFound, match=film):
        client.item(film)


def test_files_of_an_item(client: Any, film: str) -> None:
    client.add_items([{"item_id": film, "title": "The Owl"}])
    assert client.put_image(film, picture(), "image/png").accepted == 1
    assert client.put_audio(film, _sound(), "audio/wav").accepted == 1


def test_items_have_pages(client: Any) -> None:
    first = client.items(n=5)
    second = client.items(n=5, cursor=first.cursor)
    assert len({item.item_id for item in (*first.items, *second.items)}) == 10


def test_similar_items(client: Any) -> None:
    similar = client.similar("item 0", n=4, space="content")
    assert similar.space == "content"
    assert [item.rank for item in similar.items] == [1, 2, 3, 4]
    assert {item.metadata["title"].split()[0] for item in similar.items} == {"Western"}


def test_health(client: Any) -> None:
    assert client.live().status == "live"
    ready = client.ready()
    assert ready.status == "ready"
    assert ready.model_version == client.recommend("somebody").model_version


def test_what_contradicts_is_a_conflict(client: Any, user: str) -> None:
    client.rate(user, "item 0", 5, event_id=user)
    with pytest.raises(Conflict) as caught:
        client.rate(user, "item 1", 5, event_id=user)
    assert caught.value.problem["conflicts"] == [user]


def _sound() -> bytes:
    with io.BytesIO() as file:
        with wave.open(file, "wb") as sound:
            sound.setnchannels(1)
            sound.setsampwidth(2)
            sound.setframerate(8_000)
            sound.writeframes(bytes(8_000))
        return file.getvalue()
