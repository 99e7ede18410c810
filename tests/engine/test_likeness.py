"""Similar items, in three spaces."""

from __future__ import annotations

import live_world
import numpy as np
import pytest
from live_world import CONTENT, ITEMS, WIDTH, content_of, live

from engine.catalogue import Catalogue
from engine.errors import QueryError, UnsupportedError
from engine.index import VectorIndex
from engine.item_vectors import ItemVectors
from engine.items import ItemTable
from engine.live_item import LiveItem
from engine.popularity_source import PopularitySource
from engine.recommender import Recommender
from engine.vector_source import VectorSource
from engine.vocabulary import Vocabulary
from engine.window import HistoryWindow

MANY = 2_000


def cosines(vectors: dict[str, np.ndarray], item: str) -> list[tuple[str, float]]:
    own = vectors.pop(item)
    found = {
        other: float(own @ each) / float(np.linalg.norm(own) * np.linalg.norm(each)) for other, each in vectors.items()
    }
    return sorted(found.items(), key=lambda pair: -pair[1])


def read(content: np.ndarray) -> np.ndarray:
    return content[:WIDTH]


@pytest.fixture
def recommender() -> Recommender:
    recommender = live_world.live_recommender()
    recommender.catalogue.put([live("new", 50), live("hidden", 51, is_hidden=True), live("bare", None)])
    recommender.catalogue.put([live("moved", 52), live("9", None, is_hidden=True)])
    recommender.catalogue.put([live("moved", 53)])
    return recommender


@pytest.fixture
def catalogue(recommender: Recommender) -> Catalogue:
    return recommender.catalogue


def shown() -> dict[str, np.ndarray]:
    vectors = {str(item): CONTENT[item] for item in range(ITEMS) if item != 9}
    return vectors | {"new": content_of(50), "moved": content_of(53)}


def check(found: list[tuple[str, float]], expected: list[tuple[str, float]]) -> None:
    assert [item for item, _ in found] == [item for item, _ in expected]
    np.testing.assert_allclose([score for _, score in found], [score for _, score in expected], atol=1e-5)


@pytest.mark.parametrize("item", ["3", "new", "moved"])
@pytest.mark.parametrize("n", [2, 99])
def test_content_is_the_cosine_of_content(catalogue: Catalogue, item: str, n: int) -> None:
    found = catalogue.similar(item, n, "content")
    assert found.space == "content"
    check(found.items, cosines(shown(), item)[:n])


@pytest.mark.parametrize("item", ["3", "new"])
def test_hybrid_is_the_cosine_of_what_the_network_reads(catalogue: Catalogue, item: str) -> None:
    found = catalogue.similar(item, 99, "hybrid")
    check(found.items, cosines({other: read(each) for other, each in shown().items()}, item))


def test_collaborative_is_the_weight_of_neighbours(catalogue: Catalogue) -> None:
    found = catalogue.similar("6", 5, "collaborative")
    assert (found.space, found.items) == ("collaborative", [("7", 1.0), ("8", 0.5)])
    assert catalogue.similar("7", 5, "collaborative").items == [("8", 1.0)]
    assert catalogue.similar("6", 1, "collaborative").items == [("7", 1.0)]


def test_a_live_item_has_no_interactions_and_is_compared_by_what_the_network_makes_of_it(catalogue: Catalogue) -> None:
    found = catalogue.similar("new", 5, "collaborative")
    assert found == catalogue.similar("new", 5, "hybrid")
    assert found.space == "hybrid"


def test_a_hidden_item_can_be_asked_for_and_one_without_content_is_like_nothing(catalogue: Catalogue) -> None:
    assert len(catalogue.similar("hidden", 5, "content").items) == 5
    assert catalogue.similar("bare", 5, "content").items == catalogue.similar("bare", 5, "hybrid").items == []


@pytest.mark.parametrize("item", ["nobody", "removed"])
def test_who_is_not_there_is_named(catalogue: Catalogue, item: str) -> None:
    catalogue.put([live("removed", 54)])
    catalogue.remove(["removed", "4"])
    for unknown in (item, "4"):
        with pytest.raises(QueryError, match=f"item '{unknown}' is unknown"):
            catalogue.similar(unknown, 5, "content")
    with pytest.raises(QueryError, match="space is 'taste'"):
        catalogue.similar("3", 5, "taste")


@pytest.mark.parametrize("space", ["content", "hybrid", "collaborative"])
def test_a_space_that_the_bundle_lacks_names_the_config(space: str) -> None:
    items = live_world.table()
    recommender = Recommender(items, HistoryWindow(), [PopularitySource("popularity", items)])
    with pytest.raises(UnsupportedError, match=rf"no {space} space.*configs/hybrid\.toml"):
        recommender.catalogue.similar("3", 5, space)


def test_a_large_catalogue_is_searched_by_its_index() -> None:
    """Users look for new items elsewhere than where the items are that are like them; they are found all the same."""
    random = np.random.default_rng(0)
    inputs = random.normal(size=(MANY + 1, WIDTH)).astype(np.float32)
    inputs /= np.linalg.norm(inputs, axis=1, keepdims=True)
    inputs[-1] = 0
    outputs = np.hstack((inputs[:-1], np.zeros((MANY, 1), np.float32)))
    items = ItemTable(Vocabulary(map(str, range(MANY))), {"popularity": np.ones(MANY, np.float32)})
    index = VectorIndex.build(outputs)
    source = VectorSource("mean", ItemVectors(inputs, outputs), live_world.MeanEncoder(), index)
    content = np.hstack((inputs[:-1], -outputs))
    towers = {"mean": live_world.HalvingTower()}
    recommender = Recommender(items, HistoryWindow(), [source], towers=towers, content_vectors=content)
    twins = [LiveItem(f"twin {each}", content_vector=content[3] * (1 + each / 10)) for each in range(5)]
    recommender.catalogue.put(twins)
    for item in ("3", "8", "twin 2"):
        exact = recommender.catalogue.similar(item, 12, "hybrid")
        recommender.catalogue.likeness._spaces["hybrid"].exact_numbers = 40
        found = recommender.catalogue.similar(item, 12, "hybrid")
        recommender.catalogue.likeness._spaces["hybrid"].exact_numbers = 10**9
        assert {other for other, _ in found.items} == {other for other, _ in exact.items}
        assert sum(other.startswith("twin") for other, _ in found.items) >= 4 * (item != "8")


def test_content_is_searched_by_the_index_of_its_source() -> None:
    recommender = live_world.content_recommender()
    recommender.catalogue.put([live("new", 50), live("hidden", 51, is_hidden=True)])
    for item in ("3", "new"):
        exact = recommender.catalogue.similar(item, 4, "content")
        recommender.catalogue.likeness._spaces["content"].exact_numbers = 0
        check(recommender.catalogue.similar(item, 4, "content").items, exact.items)
        assert len(exact.items) == 4
        recommender.catalogue.likeness._spaces["content"].exact_numbers = 10**9
