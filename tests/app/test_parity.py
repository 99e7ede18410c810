"""What is measured offline is what is served online."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

import polars as pl
import pytest

from app.settings import Settings
from app.store import Store
from engine.bundle import Bundle
from engine.events import Event, History
from engine.query import Query
from training.interactions import histories_of
from training.prediction import recommendations


@pytest.fixture(scope="module")
def loaded(store_url: str, tiny_events: pl.DataFrame) -> pl.DataFrame:
    """The ring's events under users of their own, in the store."""
    events = tiny_events.with_columns(user_id="parity " + pl.col("user_id"))
    known = histories_of(events, events["user_id"].unique().to_list())

    async def load() -> None:
        store = await Store.connect(store_url, Settings())
        await store.load(known)
        await store.close()

    asyncio.run(load())
    return events


def test_the_file_of_recommendations_is_what_the_service_answers(service, loaded: pl.DataFrame, opened: Bundle) -> None:
    user_ids = loaded["user_id"].unique().sort().to_list()
    offline = recommendations(opened.recommender(), loaded, user_ids, 7)
    for user_id in user_ids[:20]:
        answer = service.http.get(f"/recommend/{quote(user_id)}", params={"n": 7}).json()
        expected = offline.filter(pl.col("user_id") == user_id)
        assert [item["item_id"] for item in answer["items"]] == expected["item_id"].to_list()
        assert [item["score"] for item in answer["items"]] == pytest.approx(expected["score"].to_list(), abs=1e-4)


def test_a_rating_online_is_an_event_offline(service, loaded: pl.DataFrame, opened: Bundle) -> None:
    user_id = "parity user 3"
    rating = {"user_id": user_id, "item_id": "item 9", "rating": 2, "timestamp": 5e5}
    assert service.http.post("/rate", json=rating).json()["accepted"] == 1
    known = histories_of(loaded, [user_id])[0].add(Event(user_id, "item 9", "rating", 2.0, 5e5))
    online = service.http.get(f"/recommend/{quote(user_id)}", params={"n": 7}).json()["items"]
    offline = _ids(opened, known)
    assert [item["item_id"] for item in online] == offline


def _ids(bundle: Bundle, history: History) -> list[str]:
    return [item.item_id for item in bundle.recommender().recommend([Query(history, 7)])[0].items]
