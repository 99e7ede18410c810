"""A service with a trained content network: what is posted is recommended to those who like its topic."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from item_client import answered, path, post
from pictures import text
from worlds import TopicWorld, topics

from app.embedded_store import EmbeddedStore

TOPIC_COUNT = 3


@pytest.fixture(scope="module")
def hybrid(start, topic_bundle: Path, tmp_path_factory: pytest.TempPathFactory):
    """A real worker around a real bundle that reads items."""
    with EmbeddedStore(tmp_path_factory.mktemp("hybrid")) as store:
        service = start(redis_url=store.url, bundle=topic_bundle)
        yield service
        service.stop()


@pytest.fixture(scope="module")
def admirers(hybrid, topic_world: TopicWorld) -> list[str]:
    """One user for each topic, who likes eight items of it."""
    users = []
    for topic in range(TOPIC_COUNT):
        own = [item_id for item_id in topic_world.known if topic_world.topic[item_id] == topic][:8]
        users.append(f"{topic} {uuid.uuid4().hex}")
        ratings = [{"user_id": users[-1], "item_id": item_id, "rating": 5} for item_id in own]
        hybrid.http.post("/rate", json=ratings).raise_for_status()
    return users


def told(topic: int) -> tuple[dict[str, object], bytes]:
    """Return the metadata and the picture of an item that no training has met."""
    world = topics(("words", "categories", "picture"), seed=31)
    item_id = next(each for each in world.newcomers if world.topic[each] == topic)
    return world.metadata[item_id], world.pictures[item_id]


def places(service, admirers: list[str], item_id: object) -> list[int]:
    return [answered(service, user_id, 50).index(str(item_id)) for user_id in admirers]


@pytest.mark.parametrize("topic", range(TOPIC_COUNT))
def test_a_posted_item_appears_for_those_who_like_its_topic(hybrid, admirers: list[str], topic: int) -> None:
    metadata, picture = told(topic)
    item = {"item_id": f"posted {uuid.uuid4().hex}", **metadata, "image": text(picture)}
    assert all(item["item_id"] not in answered(hybrid, user_id, 50) for user_id in admirers)
    (receipt,) = post(hybrid, item)["items"]
    assert receipt["ranked_by"] == "content"
    found = places(hybrid, admirers, item["item_id"])
    assert found[topic] == min(found) < 12
    assert all(place >= 10 for other, place in enumerate(found) if other != topic)
    hybrid.http.delete(path(item["item_id"])).raise_for_status()
    assert all(item["item_id"] not in answered(hybrid, user_id, 50) for user_id in admirers)


def test_a_rating_of_a_posted_item_counts_in_the_very_next_answer(hybrid, topic_world: TopicWorld) -> None:
    metadata, picture = told(2)
    item = {"item_id": f"posted {uuid.uuid4().hex}", **metadata, "image": text(picture)}
    post(hybrid, item)
    user_id = uuid.uuid4().hex
    stranger = hybrid.http.get(f"/recommend/{user_id}").json()
    assert stranger["source"] == "popular"
    rating = {"user_id": user_id, "item_id": item["item_id"], "rating": 5}
    assert hybrid.http.post("/rate", json=rating).json()["unknown_items"] == []
    answer = hybrid.http.get(f"/recommend/{user_id}", params={"n": 8}).json()
    assert answer["source"] == "rerank"
    assert sum(topic_world.topic.get(each["item_id"]) == 2 for each in answer["items"]) >= 5
    hybrid.http.delete(path(item["item_id"])).raise_for_status()


def test_newcomers_of_the_bundle_are_there_from_the_start(hybrid, admirers: list[str], topic_world: TopicWorld) -> None:
    answer = hybrid.http.get(f"/recommend/{admirers[1]}", params={"n": 12}).json()["items"]
    new = [item for item in answer if item["item_id"] in topic_world.newcomers]
    assert len(new) >= 3
    assert all(item["metadata"]["title"] for item in new)
    assert hybrid.http.get(path("new 00")).json()["ranked_by"] == "content"
    assert hybrid.http.get(path("new bare")).json()["ranked_by"] == "popularity"


def test_an_item_with_nothing_to_read_goes_by_popularity(hybrid) -> None:
    item = {"item_id": f"posted {uuid.uuid4().hex}", "metadata": {"maker": "nobody"}}
    receipt = post(hybrid, item)
    assert receipt["items"][0]["ranked_by"] == "popularity"
    hybrid.http.delete(path(item["item_id"])).raise_for_status()
