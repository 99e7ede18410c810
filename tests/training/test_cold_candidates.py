"""Cold candidates look as new items will: computed by hand in a small case, and learned from in a world of topics."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_topics import TINY_TOPICS
from torch import Tensor
from worlds import TopicWorld

from engine.events import Event, History
from engine.features import IS_NEW
from engine.query import Query
from engine.recommender import Recommender
from models.item_tower import ItemTower
from training import cold_candidates
from training.cold_candidates import ColdCandidates
from training.config import TrainingConfig
from training.pipeline import Pipeline
from training.preparation import Preparation

FEATURES = (
    "retrieval_score",
    "retrieval_rank",
    "history_length",
    "popularity",
    "ease_10",
    IS_NEW,
    "multvae_score",
    "multvae_rank",
    "content_score",
    "content_rank",
)
BY_CONTENT = ("content_score", "content_rank")
# User vectors look at the first dimension alone, so that a score is that number.
KNOWN = torch.tensor([[5.0, 1.0], [4.0, 1.0], [2.0, 1.0], [9.0, 9.0]])
UNMET = torch.tensor([[4.5, 2.0], [7.0, 2.0], [1.0, 2.0], [9.0, 9.0]])
INDICES = torch.tensor([[0, 1, 2, -1]])
PLACES = torch.log1p(torch.arange(3.0))


def inputs() -> dict[str, Tensor]:
    features = torch.zeros(1, 4, len(FEATURES))
    columns = {
        "retrieval_score": torch.tensor([0.0, -1.0, -3.0]),
        "retrieval_rank": PLACES,
        "history_length": torch.full((3,), 1.5),
        "popularity": torch.tensor([3.0, 2.0, 1.0]),
        "ease_10": torch.tensor([0.3, 0.2, 0.1]),
        "multvae_score": torch.tensor([-2.0, 0.0, -4.0]),
        "multvae_rank": PLACES[[1, 0, 2]],
        "content_score": torch.tensor([-0.2, 0.0, -0.1]),
        "content_rank": PLACES[[2, 0, 1]],
    }
    for name, values in columns.items():
        features[0, :3, FEATURES.index(name)] = values
    vectors = KNOWN[INDICES.clamp(min=0)]
    return {"user_vectors": torch.tensor([[1.0, 0.0]]), "candidate_vectors": vectors, "features": features}


def cold(share: float) -> ColdCandidates:
    return ColdCandidates(UNMET, FEATURES, share, BY_CONTENT)


def column(features: Tensor, name: str) -> Tensor:
    return features[0, :3, FEATURES.index(name)]


@pytest.fixture
def every_candidate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cold_candidates, "COLD_IN_LIST", 1.0)


@pytest.mark.usefixtures("every_candidate")
def test_what_a_cold_candidate_looks_like() -> None:
    found = cold(1.0).shown(INDICES, inputs())
    torch.testing.assert_close(found["candidate_vectors"][0, :3], UNMET[:3])
    wanted = {
        # 5 and 4 and 2 became 4.5 and 7 and 1; the best known score was 5.
        "retrieval_score": torch.tensor([-0.5, 2.0, -4.0]),
        # 4.5 is not below the second best known one, 7 not below the best, 1 below all.
        "retrieval_rank": PLACES[[1, 0, 2]],
        "history_length": torch.full((3,), 1.5),
        "popularity": torch.zeros(3),
        "ease_10": torch.zeros(3),
        IS_NEW: torch.ones(3),
        "multvae_score": torch.full((3,), -4.0),
        "multvae_rank": PLACES[[2, 2, 2]],
        "content_score": torch.tensor([-0.2, 0.0, -0.1]),
        "content_rank": PLACES[[2, 0, 1]],
    }
    assert wanted.keys() == set(FEATURES)
    for name, values in wanted.items():
        torch.testing.assert_close(column(found["features"], name), values)


@pytest.mark.usefixtures("every_candidate")
def test_what_is_no_candidate_and_what_is_read_of_the_user_stay_as_they_are() -> None:
    given = inputs()
    found = cold(1.0).shown(INDICES, given)
    torch.testing.assert_close(found["features"][0, 3], given["features"][0, 3])
    torch.testing.assert_close(found["candidate_vectors"][0, 3], given["candidate_vectors"][0, 3])
    assert found["user_vectors"] is given["user_vectors"]
    torch.testing.assert_close(given["features"], inputs()["features"])


def test_a_share_of_nothing_changes_nothing() -> None:
    given = inputs()
    found = cold(0.0).shown(INDICES, given)
    for name, values in given.items():
        torch.testing.assert_close(found[name], values)


def test_half_the_candidates_of_a_share_of_the_lists_are_cold() -> None:
    torch.manual_seed(0)
    lists = 2_000
    given = {name: each.expand(lists, *each.shape[1:]) for name, each in inputs().items()}
    found = cold(0.3).shown(INDICES.expand(lists, -1), given)["features"]
    new = found[:, :3, FEATURES.index(IS_NEW)]
    assert float(new.any(dim=1).float().mean()) == pytest.approx(0.3 * (1 - 0.5**3), abs=0.03)
    assert float(new.mean()) == pytest.approx(0.15, abs=0.02)
    # The others of the same list are left alone.
    warm = torch.where(new[..., None] > 0, given["features"][:, :3], found[:, :3])
    torch.testing.assert_close(warm, given["features"][:, :3])


class TorchTower:
    """A tower that has not been exported."""

    def __init__(self, tower: ItemTower) -> None:
        self._tower = tower

    def vectors(self, content: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with torch.no_grad():
            inputs, outputs = self._tower(torch.from_numpy(content))
        return inputs.numpy(), outputs.numpy()


@pytest.fixture(scope="module")
def ranked(topic_preparation: Preparation) -> Recommender:
    """What a training with cold candidates in all lists gives, with the newcomers."""
    config = TrainingConfig.model_validate(TINY_TOPICS | {"content": {**TINY_TOPICS["content"], "cold_share": 1.0}})
    pipeline = Pipeline(topic_preparation, config, print)
    learned = pipeline.learn()
    assert learned.content is not None
    assert learned.ranker is not None
    measured = pipeline.recommender(learned)
    recommender = Recommender(
        measured.items,
        measured.window,
        measured.sources,
        ranker=measured._ranker,
        towers={name: TorchTower(learned.content.towers.run(each)) for name, each in learned.encoders.items()},
        content_vectors=learned.content.vectors,
    )
    recommender.catalogue.put(learned.content.newcomers.live_items(0.0))
    return recommender


@pytest.mark.parametrize("topic", range(3))
def test_a_new_item_of_the_right_topic_stands_above_one_of_another(
    ranked: Recommender, topic_world: TopicWorld, topic: int
) -> None:
    met = [item_id for item_id in topic_world.known if topic_world.topic[item_id] == topic][:7]
    events = tuple(Event("u", item_id, "rating", 5.0, 1_000.0 * step) for step, item_id in enumerate(met))
    answer = ranked.recommend([Query(History(events), 80)])[0]
    assert answer.source == "rerank"
    scores = {item.item_id: item.score for item in answer.items}
    right = [scores[each] for each in topic_world.newcomers if topic_world.topic.get(each) == topic]
    wrong = [scores[each] for each in topic_world.newcomers if topic_world.topic.get(each, topic) != topic]
    above = np.mean([one > other for one in right for other in wrong])
    assert above > 0.95
