"""A user as the mean of what they liked: worlds where the answer is plain."""

from __future__ import annotations

import live_world
import numpy as np
import pytest
from live_world import CONTENT, ITEMS, ask, content_of, liked, live

from engine.content_source import ContentSource
from engine.content_vectors import ContentVectors, units
from engine.events import Event, History
from engine.recommender import Recommender
from engine.window import HistoryWindow, IndexBatch


def rated(**ratings: float) -> History:
    return History(
        tuple(Event("u", item, "rating", value, float(step)) for step, (item, value) in enumerate(ratings.items()))
    )


def reading(source: ContentSource, items: list[int], values: list[float]) -> np.ndarray:
    values_row = np.array([values], dtype=np.float32)
    return source.read(IndexBatch(np.array([items]), values_row, np.zeros_like(values_row), np.array([len(items)])))[0]


@pytest.fixture
def source() -> ContentSource:
    return ContentSource("content", CONTENT)


def test_a_user_is_the_weighted_mean_of_centred_vectors(source: ContentSource) -> None:
    own = units(CONTENT - CONTENT.mean(axis=0))
    expected = 0.5 * own[2] - 0.25 * own[5]
    np.testing.assert_allclose(reading(source, [2, 5], [1.0, 0.25]), expected / np.linalg.norm(expected), atol=1e-5)


@pytest.mark.parametrize("values", [[0.5, 0.5], [1.0, 0.0]])
def test_where_weights_cancel_all_events_count_alike(values: list[float]) -> None:
    source = ContentSource("content", CONTENT)
    own = units(CONTENT - CONTENT.mean(axis=0))
    items = [2, 5] if values[0] == 0.5 else [2, 2]
    expected = own[items].sum(axis=0)
    np.testing.assert_allclose(reading(source, items, values), expected / np.linalg.norm(expected), atol=1e-5)


def test_liked_items_attract_and_disliked_ones_repel() -> None:
    # Two kinds of items, even and odd.
    kinds = np.array([[1.0, 0.0, 0.1 * item] if item % 2 == 0 else [0.0, 1.0, 0.1 * item] for item in range(ITEMS)])
    source = ContentSource("content", kinds.astype(np.float32))
    recommender = Recommender(live_world.table(), HistoryWindow(), [source], content_vectors=kinds.astype(np.float32))
    assert {int(item) % 2 for item in ask(recommender, rated(**{"2": 5.0}), 5)} == {0}
    assert {int(item) % 2 for item in ask(recommender, rated(**{"2": 1.0}), 5)} == {1}


def test_a_score_is_a_cosine(source: ContentSource) -> None:
    user = reading(source, [2, 5], [1.0, 0.25])
    own = units(CONTENT - CONTENT.mean(axis=0))
    scores = source.scores(user[None], np.arange(ITEMS)[None])[0]
    np.testing.assert_allclose(scores, own @ user, atol=1e-5)
    assert np.abs(scores).max() <= 1 + 1e-5


def test_a_live_item_is_found_and_counts_inside_a_history() -> None:
    recommender = live_world.content_recommender()
    recommender.catalogue.put([live("twin", 50), live("other", 51)])
    # The twin of an item of the bundle is nearest to it.
    twin = live_world.LiveItem("copy", content_vector=CONTENT[4])
    recommender.catalogue.put([twin])
    assert ask(recommender, liked("4"), 1) == ["copy"]
    assert ask(recommender, liked("copy"), 1) == ["4"]
    mean = CONTENT.mean(axis=0)
    own = {str(item): units(CONTENT[item] - mean) for item in range(ITEMS)}
    own |= {"twin": units(content_of(50) - mean), "other": units(content_of(51) - mean), "copy": own["4"]}
    user = own["3"] + own["other"]
    expected = sorted(own.keys() - {"3", "other", "4", "copy"}, key=lambda item: -float(own[item] @ user))
    assert [item for item in ask(recommender, liked("3", "other")) if item not in {"4", "copy"}] == expected


def test_items_without_content_are_no_direction() -> None:
    content = CONTENT.copy()
    content[[3, 4]] = 0
    source = ContentSource("content", content)
    assert source.knows(np.array([3, 4, 5, ITEMS, -1])).tolist() == [False, False, True, False, False]
    assert not source.vectors_of(np.array([3, ITEMS])).any()
    own = units(content[5] - content[[0, 1, 2, *range(5, ITEMS)]].mean(axis=0))
    np.testing.assert_allclose(source.vectors_of(np.array([5]))[0], own, atol=1e-5)
    assert not reading(source, [3, 4], [1.0, 0.0]).any()


def test_a_bundle_without_content_keeps_that_of_live_items() -> None:
    content = ContentVectors.of_live_items(5, 3)
    content.put(np.array([6, 8]), np.ones((2, 3), np.float32))
    assert content.knows(np.array([0, 5, 6, 7, 8, 9])).tolist() == [False, False, True, False, True, False]
    assert content.of(np.array([[2, 8]])).tolist() == [[[0, 0, 0], [1, 1, 1]]]
