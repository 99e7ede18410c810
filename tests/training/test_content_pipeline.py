"""From events and described items to a bundle that recommends what nobody has met yet."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tiny_topics import TINY_TOPICS
from worlds import TopicWorld, topics

from engine.bundle import Bundle
from engine.content_source import ContentSource
from engine.errors import ConfigError, DataError
from engine.events import Event, History
from engine.live_item import LiveItem
from engine.query import Query
from engine.recommender import Recommender
from engine.selection import Selection
from liverec.offline import recommend
from training.config import TrainingConfig
from training.dataset import Dataset
from training.evaluation import Catalogue, Evaluation
from training.pipeline import Pipeline
from training.preparation import Preparation
from training.report.quality import Quality
from training.report.run import Run

TOPIC_COUNT = 3


def liked(*item_ids: str) -> History:
    return History(tuple(Event("u", item, "rating", 5.0, 1_000.0 * step) for step, item in enumerate(item_ids)))


def admirer(topic: int) -> History:
    """Likes eight items of one topic."""
    return liked(*(f"item {item:02}" for item in range(topic, 8 * TOPIC_COUNT, TOPIC_COUNT)))


def answered(recommender: Recommender, history: History, n: int = 12, **wishes: object) -> list[str]:
    return [item.item_id for item in recommender.recommend([Query(history, n, **wishes)])[0].items]


def share_of_topic(world: TopicWorld, topic: int, item_ids: list[str]) -> float:
    return float(np.mean([world.topic.get(item_id) == topic for item_id in item_ids]))


@pytest.fixture
def recommender(topic_opened: Bundle) -> Recommender:
    return topic_opened.recommender()


@pytest.mark.parametrize("topic", range(TOPIC_COUNT))
@pytest.mark.parametrize("stage", ["retrieved", "reranked"])
def test_newcomers_are_recommended_to_those_who_like_their_topic(
    recommender: Recommender, topic_world: TopicWorld, stage: str, topic: int
) -> None:
    asked = recommender if stage == "reranked" else recommender.without_ranker()
    found = answered(asked, admirer(topic), 10)
    new = [item_id for item_id in found if item_id in topic_world.newcomers]
    assert new
    assert share_of_topic(topic_world, topic, found) > 0.7
    assert share_of_topic(topic_world, topic, new) > 0.5


@pytest.mark.parametrize("topic", range(TOPIC_COUNT))
def test_newcomers_count_inside_a_history(recommender: Recommender, topic_world: TopicWorld, topic: int) -> None:
    met = [item_id for item_id in topic_world.newcomers if topic_world.topic.get(item_id) == topic][:3]
    answer = recommender.recommend([Query(liked(*met), 8)])[0]
    assert answer.source == "rerank"
    found = [item.item_id for item in answer.items]
    assert share_of_topic(topic_world, topic, found) > 0.6
    assert not set(met) & set(found)


def test_a_newcomer_without_content_is_popular_at_most(recommender: Recommender) -> None:
    bare = Selection.of_ids(recommender.items, ["new bare"])
    (item,) = recommender.recommend([Query(admirer(0), 1, only=bare)])[0].items
    assert item.reason == ("popular",)
    assert recommender.recommend([Query(liked("new bare"), 3)])[0].source == "popular"


def test_known_items_keep_their_places(topic_opened: Bundle, recommender: Recommender) -> None:
    outputs = topic_opened.encoded["sasrec"].vectors.outputs
    assert len(outputs) == len(topic_opened.items) == 42
    assert recommender.catalogue.get("item 00").is_live is False
    assert recommender.catalogue.get("new 00").is_live is True
    assert recommender.catalogue.get("new 00").has_vector is True


def test_only_newcomers_can_be_asked_for(topic_bundle: Path, topic_world: TopicWorld, tmp_path: Path) -> None:
    histories, only, out = tmp_path / "h.csv", tmp_path / "only.csv", tmp_path / "out.csv"
    topic_world.events.select("user_id", "item_id", pl.col("value").alias("rating"), "timestamp").write_csv(histories)
    only.write_text("\n".join(["item_id", *topic_world.newcomers]))
    recommend([histories], out, topic_bundle, 4, [], tmp_path, only=only, retrieved=False)
    best = pl.read_csv(out)
    assert set(best["item_id"]) <= set(topic_world.newcomers)
    rows = zip(best["user_id"], best["item_id"], strict=True)
    right = [topic_world.topic.get(item) == int(user.split()[1]) % TOPIC_COUNT for user, item in rows]
    assert len(right) == 4 * 60
    assert np.mean(right) > 0.7


@pytest.mark.parametrize("topic", range(TOPIC_COUNT))
def test_an_item_that_comes_live_appears_for_those_who_like_its_topic(topic_opened: Bundle, topic: int) -> None:
    content, recommender = topic_opened.content, topic_opened.recommender()
    assert content is not None
    world = topics(("words", "categories", "picture"), seed=9)
    fresh = next(item_id for item_id in world.newcomers if world.topic[item_id] == topic)
    (described,) = world.contents([fresh])
    assert content.has_content(described)
    before = [answered(recommender, admirer(other), 5) for other in range(TOPIC_COUNT)]
    assert all("fresh" not in answered(recommender, admirer(other), 50) for other in range(TOPIC_COUNT))
    (vector,) = content.encode([described])
    recommender.catalogue.put([LiveItem("fresh", described.metadata, content_vector=vector)])
    places = [answered(recommender, admirer(other), 50).index("fresh") for other in range(TOPIC_COUNT)]
    assert places[topic] == min(places) < 10
    # Six known items and four newcomers are of the topic that the others like.
    assert all(place >= 10 for other, place in enumerate(places) if other != topic)
    recommender.catalogue.remove(["fresh"])
    assert [answered(recommender, admirer(other), 5) for other in range(TOPIC_COUNT)] == before


def test_what_comes_live_stays_in_one_recommender(topic_opened: Bundle) -> None:
    one, other = topic_opened.recommender(), topic_opened.recommender()
    one.catalogue.put([LiveItem("fresh")])
    assert one.catalogue.get("fresh") is not None
    assert other.catalogue.get("fresh") is None


def changed(**sections: object) -> TrainingConfig:
    return TrainingConfig.model_validate(TINY_TOPICS | sections)


def test_content_needs_described_items(tmp_path: Path) -> None:
    dataset = Dataset("bare", {"all": topics().events.lazy()}, None)
    with pytest.raises(ConfigError, match=r"no item of bare is described; give .* --items, or set content\.model"):
        Pipeline(Preparation.of(dataset, changed()), changed(), print).train()


def test_content_needs_something_to_read() -> None:
    world = topics()
    items = pl.DataFrame({"item_id": world.known, "maker": "nobody"}).lazy()
    dataset = Dataset("mute", {"all": world.events.lazy()}, items)
    with pytest.raises(ConfigError, match=r"content\.fields: no item of mute has any of them; name others"):
        Pipeline(Preparation.of(dataset, changed()), changed(), print).train()


@pytest.mark.parametrize("item_id", ["item 03", "new 02"])
def test_a_damaged_picture_is_named_before_any_source_is_trained(
    item_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = topics(("words", "picture"), users=20).dataset(tmp_path)
    (tmp_path / f"{item_id}.png").write_bytes(b"no picture")
    monkeypatch.setattr(Pipeline, "_lesson", None)
    with pytest.raises(DataError, match=rf"^{item_id}\.png: the image is in no known format; give one of JPEG"):
        Pipeline(Preparation.of(dataset, changed()), changed(), print).train()


def test_a_source_by_content_needs_a_content_network() -> None:
    with pytest.raises(ValueError, match=r"'content' needs a content network; set content\.model = 'hybrid'"):
        changed(content={"model": "none"})


def test_newcomers_that_are_hit_count_in_the_evaluation(
    topic_opened: Bundle, topic_preparation: Preparation, recommender: Recommender
) -> None:
    test = Evaluation.of(topic_preparation.known, topic_preparation.split.test)
    found = recommender.recommend([Query(history) for history in test.histories])
    new = [next((item.item_id for item in each.items if item.item_id.startswith("new")), "new 00") for each in found]
    wanting = replace(test, wanted=tuple(frozenset({item_id}) for item_id in new))
    assert wanting.measure(recommender)["HR@10"] > 0.8
    catalogue = Catalogue.of(topic_opened)
    examined = wanting.examine(recommender, catalogue, resamples=20)
    assert examined.by_item_group.keys() == {"tail"}
    assert np.isfinite(list(examined.beyond_accuracy.values())).all()
    assert len(catalogue.vocabulary) == 42 + 13
    rows = catalogue.vocabulary.indices_of(["new 00", "new bare", "item 00"])
    assert catalogue.popularity[rows[:2]].tolist() == [0.0, 0.0]
    assert catalogue.vectors is not None
    assert not catalogue.vectors[rows[1]].any()
    network = recommender.sources[0]
    live = recommender.items.vocabulary.indices_of(["new 00"])
    np.testing.assert_allclose(catalogue.vectors[rows[:1]], network.vectors_of(live)[:, :-1], atol=1e-5)


def test_the_report_knows_newcomers(
    topic_bundle: Path,
    topic_opened: Bundle,
    topic_preparation: Preparation,
    topic_config: TrainingConfig,
    recommender: Recommender,
    topic_world: TopicWorld,
) -> None:
    test = Evaluation.of(topic_preparation.known, topic_preparation.split.test)
    lists = {"retrieved": test.lists(recommender.without_ranker()), "reranked": test.lists(recommender)}
    assert any(item_id in topic_world.newcomers for each in lists.values() for row in each for item_id in row)
    quality = Quality.of(Run(topic_preparation, topic_config, topic_opened, [], test, lists))
    assert quality is not None
    metrics = topic_opened.manifest.metrics["test reranked"]
    assert quality.served.means["NDCG@10"] == pytest.approx(metrics["NDCG@10"])
    page = (topic_bundle / "report.html").read_text()
    assert "13 more are described" in page
    assert "reads categories, text, image" in page
    titles = {topic_world.metadata[item_id]["title"] for item_id in topic_world.newcomers[:12]}
    assert any(title in page for title in titles)


def test_known_items_without_content_have_no_place_among_what_is_liked(tmp_path: Path) -> None:
    world = topics(users=30, per_topic=8)
    bare = {item_id: {"maker": "nobody"} for item_id in world.known[:3]}
    dataset = replace(world, metadata=world.metadata | bare).dataset(tmp_path)
    learned = Pipeline(Preparation.of(dataset, changed()), changed(), print).learn()
    assert learned.content is not None
    source = ContentSource("content", learned.content.vectors)
    assert source.knows(np.arange(24)).tolist() == [False] * 3 + [True] * 21
    assert not source.vectors_of(np.arange(3)).any()
