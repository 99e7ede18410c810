"""Predicted ratings: mean + item bias + user bias."""

from __future__ import annotations

import numpy as np
import pytest

from engine.events import Event, History
from engine.items import ItemTable
from engine.ratings import BiasRatings


@pytest.fixture
def predictor(items: ItemTable) -> BiasRatings:
    return BiasRatings(items, mean=3.0, scale=(1.0, 5.0), shrinkage=1.0)


def rated(*pairs: tuple[str, float]) -> History:
    return History(tuple(Event("u", item, "rating", value, 0.0) for item, value in pairs))


def test_a_stranger_gets_mean_and_item_bias(predictor: BiasRatings, items: ItemTable) -> None:
    predicted = predictor.predict(History(), np.arange(8))
    np.testing.assert_allclose(predicted, 3.0 + items.columns["rating_bias"], atol=1e-6)


def test_a_generous_user_s_bias_is_shrunk(predictor: BiasRatings) -> None:
    # Item 0 has the bias -1: a 4 is 2 above what was expected; one rating against a shrinkage of one gives half of it.
    assert predictor.predict(rated(("0", 4.0)), np.array([-1]))[0] == pytest.approx(4.0)


def test_views_say_nothing_and_unknown_items_have_no_bias(predictor: BiasRatings) -> None:
    viewed = History((Event("u", "0", "view", None, 0.0),))
    assert predictor.predict(viewed, np.array([-1]))[0] == pytest.approx(3.0)
    assert predictor.predict(rated(("stranger", 5.0)), np.array([-1]))[0] == pytest.approx(4.0)


def test_the_scale_is_kept(predictor: BiasRatings) -> None:
    assert predictor.predict(rated(*[(str(item), 5.0) for item in range(8)]), np.array([7]))[0] == 5.0


def test_a_history_that_was_looked_up_is_not_looked_up_again(predictor: BiasRatings, items: ItemTable) -> None:
    views = (Event("u", "5", "view", None, 0.0), Event("u", "6", "rating", None, 0.0))
    history = History((*views, *rated(("0", 4.0), ("stranger", 2.0), ("7", 5.0)).events))
    found = items.vocabulary.indices_of(event.item_id for event in history.events)
    wanted = predictor.predict(history, np.arange(8))
    np.testing.assert_array_equal(predictor.predict(history, np.arange(8), found), wanted)
    # Had it been looked up again, what is found would change nothing.
    assert (predictor.predict(history, np.arange(8), found[::-1]) != wanted).any()
