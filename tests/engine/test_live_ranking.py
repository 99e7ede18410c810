"""What rankers and predicted ratings make of items that nobody has met yet."""

from __future__ import annotations

import live_world
import numpy as np
import pytest
from live_world import CONTENT, ITEMS, WIDTH, content_of, liked, live

from engine.items import ItemTable
from engine.query import Query
from engine.ranking import ranker_inputs
from engine.ratings import BiasRatings, NetworkRatings
from engine.recommender import Recommender
from engine.vocabulary import Vocabulary
from engine.window import HistoryWindow


@pytest.fixture
def recommender() -> Recommender:
    return live_world.live_recommender()


def test_live_items_have_no_statistics_and_no_neighbours(recommender: Recommender) -> None:
    recommender.catalogue.put([live("new", 50)])
    items, index = recommender.items, recommender.items.vocabulary.index_of("new")
    both = np.array([2, index, -1])
    assert items.column("popularity", both).tolist()[:2] == [10.0, 0.0]
    table = items.neighbours["item_knn"]
    assert table.scores(np.array([[1, index, ITEMS]]), both[None]).tolist() == [[1.0, 0.0, 0.0]]
    met, sums = table.sums(np.array([index, 1]))
    assert (met.tolist(), sums.tolist()) == ([2, 3], [1.0, 0.5])


def test_a_ranker_reads_live_candidates_and_live_events(recommender: Recommender) -> None:
    recommender.catalogue.put([live("new", 50), live("other", 51), live("bare", None)])
    candidates = recommender.candidates_for([liked("3", "new", "bare")])
    vectors = recommender.sources[0].vectors
    names = ("candidate_vectors", "history_vectors", "values", "lengths", "features")
    given = ranker_inputs(names, ["popularity", "recency"], recommender.items, vectors, candidates)
    np.testing.assert_array_equal(given["history_vectors"][0], [CONTENT[3][WIDTH:], content_of(50)[WIDTH:]])
    assert given["lengths"].tolist() == [2]
    place = candidates.indices[0].tolist().index(recommender.items.vocabulary.index_of("other"))
    np.testing.assert_array_equal(given["candidate_vectors"][0, place], content_of(51)[WIDTH:])
    assert given["features"][0, place].tolist() == [0.0, 0.0]


def test_a_network_of_ratings_leaves_live_items_to_the_biases() -> None:
    columns = {"popularity": np.ones(ITEMS, np.float32), "rating_bias": np.linspace(-1, 1, ITEMS).astype(np.float32)}
    items = ItemTable(Vocabulary(map(str, range(ITEMS))), columns)
    biases = BiasRatings(items, mean=3.0, scale=(1.0, 5.0), shrinkage=1.0)
    vectors, towers = live_world.network_source().vectors, {"mean": live_world.HalvingTower()}
    ratings = NetworkRatings(items, HistoryWindow(), vectors, live_world.MeanEncoder(), biases)
    recommender = Recommender(items, HistoryWindow(), [live_world.network_source()], ratings=ratings, towers=towers)
    recommender.catalogue.put([live("new", 50)])
    chosen = np.array([2, items.vocabulary.index_of("new"), -1])
    bias_alone = biases.predict(liked("3"), chosen)
    found = ratings.predict(liked("3"), chosen)
    np.testing.assert_array_equal(found[1:], bias_alone[1:])
    # A live item's rating is one of the user, but tells the network nothing.
    np.testing.assert_array_equal(ratings.predict(liked("new", "3"), chosen)[0], found[0])
    np.testing.assert_array_equal(ratings.predict(liked("new"), chosen), biases.predict(liked("new"), chosen))
    assert all(1 <= item.predicted_rating <= 5 for item in recommender.recommend([Query(liked("new"), 40)])[0].items)
