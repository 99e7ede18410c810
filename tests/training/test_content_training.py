"""In a world whose topics are told by words, categories or colours, unknown items are ranked right by their content."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor
from worlds import NOISE, TOPICS, TopicWorld, topics

from engine.content_features import ContentFeatures
from engine.item_content import ItemContent
from engine.vocabulary import Vocabulary
from engine.window import HistoryWindow
from training.collaborative_space import CollaborativeSpace
from training.content_config import ContentConfig
from training.content_training import ContentTraining, TrainedContent
from training.feature_learning import learn_features
from training.fit import Stage
from training.interactions import Interactions
from training.randomness import Randomness

WIDTH = 6
CHANCE = 1 / len(TOPICS)
SMALL = {
    "width": WIDTH,
    "epochs": 15,
    "learning_rate": 0.02,
    "warmup_steps": 2,
    "items_per_batch": 16,
    "folds": 2,
    "penalties": (0.3, 3.0),
    "averaging": 0.5,
    "pictures": False,
    "text": "none",
    "fields": {"image_height": 24, "image_width": 16, "max_tokens": 24, "pieces": 200},
}
TEXT = {"width": 12, "dropout": 0.1}
PICTURE = {"widths": (4, 8), "dropout": 0.1}


@cache
def world_told_by(*told_by: str) -> TopicWorld:
    return topics(told_by, users=90, per_topic=24)


@cache
def space_of(*told_by: str) -> CollaborativeSpace:
    world = world_told_by(*told_by)
    vocabulary = Vocabulary(world.known)
    columns = Interactions.of(world.events, vocabulary, HistoryWindow()).columns
    return CollaborativeSpace.of(columns, len(vocabulary), WIDTH)


@dataclass(frozen=True)
class Taught:
    """What one training gave."""

    world: TopicWorld
    space: CollaborativeSpace
    trained: TrainedContent

    @property
    def fitted(self) -> Tensor:
        """What the network says of the items that it learned from [N,V]."""
        return self.trained.of(self.world.contents(self.world.known))


def features_of(world: TopicWorld, config: ContentConfig, **fields: object) -> ContentFeatures:
    chosen = config.fields.model_copy(update=fields)
    return learn_features(chosen, world.contents(world.known))


def stage(name: str) -> Stage:
    return Stage(f"content {name}", "NDCG@10", Randomness(1, name))


def taught(told_by: tuple[str, ...], fields: dict[str, object], **changed: object) -> Taught:
    torch.set_num_threads(1)
    world, space, config = world_told_by(*told_by), space_of(*told_by), ContentConfig.model_validate(SMALL | changed)
    training = ContentTraining(config, stage, print)
    features = features_of(world, config, **fields)
    return Taught(world, space, training.run(features, world.contents(world.known), space))


WORDS_ONLY = {"categories": (), "numbers": ()}
NOTHING_ELSE = {"text": (), "categories": (), "numbers": ()}
WAYS: dict[str, tuple[tuple[str, ...], dict[str, object], dict[str, object]]] = {
    "words": (("words",), WORDS_ONLY, {}),
    "cnn": (("words",), WORDS_ONLY, {"text": "cnn", "text_network": {**TEXT, "filters": 12}, "bag_of_words": False}),
    "gru": (
        ("words",),
        WORDS_ONLY,
        {"text": "gru", "text_network": {**TEXT, "hidden": 12}, "bag_of_words": False, "epochs": 40, "patience": 12},
    ),
    "categories": (("categories",), {**NOTHING_ELSE, "categories": ("categories",)}, {}),
    "hashed": (("categories",), {**NOTHING_ELSE, "hashed": ("categories",)}, {}),
    "colours": (("picture",), {**NOTHING_ELSE, "image": True}, {}),
    "picture network": (
        ("picture",),
        {**NOTHING_ELSE, "image": True},
        {"pictures": True, "picture_network": PICTURE, "part_weights": {"image": 1e-6}},
    ),
    "contrastive": (
        ("words",),
        WORDS_ONLY,
        {"text": "cnn", "text_network": {**TEXT, "filters": 12}, "bag_of_words": False, "loss": "contrastive"},
    ),
    "everything": (
        ("words", "categories", "picture"),
        {"image": True, "hashed": ("categories",)},
        {"text": "cnn", "text_network": {**TEXT, "filters": 12}, "pictures": True, "picture_network": PICTURE},
    ),
}


@cache
def way(name: str) -> Taught:
    told_by, fields, changed = WAYS[name]
    return taught(told_by, fields, **changed)


@cache
def uninformed() -> Taught:
    """Words that have nothing to do with the topics."""
    return taught(("categories",), WORDS_ONLY)


def precision(found: Taught, vectors: Tensor, item_ids: tuple[str, ...]) -> float:
    """Return which share of the best items for each user, as many as their topic has, is of it."""
    own = torch.tensor([found.world.topic[item_id] for item_id in item_ids])
    users = torch.arange(len(found.space.users)) % len(TOPICS)
    best = (found.space.users @ vectors.T).topk(len(item_ids) // len(TOPICS), dim=1).indices
    return float((own[best] == users[:, None]).float().mean())


@pytest.mark.parametrize("name", WAYS)
def test_unknown_items_are_ranked_right_by_their_content(name: str) -> None:
    found = way(name)
    vectors = found.trained.of(found.world.contents(found.world.newcomers))
    assert precision(found, vectors, found.world.newcomers) > 0.8
    assert found.trained.score > uninformed().trained.score + 0.2


def test_content_that_tells_nothing_is_chance() -> None:
    found = uninformed()
    vectors = found.trained.of(found.world.contents(found.world.newcomers))
    assert abs(precision(found, vectors, found.world.newcomers) - CHANCE) < 0.35


@pytest.mark.parametrize("name", ["words", "cnn", "gru", "picture network"])
def test_honest_vectors_are_right_and_are_not_the_fitted_ones(name: str) -> None:
    found = way(name)
    vectors, honest = found.fitted, found.trained.honest
    assert vectors.shape == honest.shape == (len(found.world.known), WIDTH)
    # Half the items teach what is said of the other half.
    assert precision(found, honest, found.world.known) > CHANCE + 0.3
    assert ((vectors - honest).norm(dim=1) > 1e-3).all()


def test_what_was_learned_from_an_item_stands_nearer_to_it() -> None:
    found = way("words")
    fitted, honest = ((each - found.space.items).norm(dim=1) for each in (found.fitted, found.trained.honest))
    assert fitted.mean() < 0.9 * honest.mean()


def test_vectors_are_the_same_in_any_company() -> None:
    found = way("everything")
    contents = found.world.contents(found.world.known)
    fitted, parts = found.fitted, [found.trained.of(contents[:7]), found.trained.of(contents[7:])]
    torch.testing.assert_close(torch.cat(parts), fitted, atol=1e-4, rtol=1e-4)
    assert found.trained.of([]).shape == (0, WIDTH)
    alone = torch.cat([found.trained.of([each]) for each in contents[:5]])
    torch.testing.assert_close(alone, fitted[:5], atol=1e-4, rtol=1e-4)


def test_the_networks_learn() -> None:
    for name in ("cnn", "gru", "picture network", "contrastive"):
        losses: dict[str, list[float]] = {}
        for point in way(name).trained.curve:
            losses.setdefault(point.stage, []).append(point.loss)
        assert len(losses) == 2
        assert all(len(each) == 1 or each[-1] < each[0] for each in losses.values())


def test_equal_input_gives_equal_networks() -> None:
    one, other = way("everything"), taught(*WAYS["everything"][:2], **WAYS["everything"][2])
    assert torch.equal(one.trained.honest, other.trained.honest)
    assert torch.equal(one.fitted, other.fitted)
    assert one.trained.score == other.trained.score


def test_an_item_without_content_is_like_all() -> None:
    found = way("categories")
    vector = found.trained.of([ItemContent({"title": "Nothing that is read"})])[0]
    torch.testing.assert_close(vector, found.space.items.mean(dim=0), atol=1e-5, rtol=1e-4)
    assert not found.trained.features.has_content(ItemContent({"title": "Nothing that is read"}))


def test_known_items_without_content_are_no_harm() -> None:
    told_by, fields, changed = WAYS["cnn"]
    world, space = world_told_by(*told_by), space_of(*told_by)
    bare = {item_id: {} if number % 4 == 0 else world.metadata[item_id] for number, item_id in enumerate(world.known)}
    part = replace(world, metadata=world.metadata | bare)
    config = ContentConfig.model_validate(SMALL | changed)
    trained = ContentTraining(config, stage, print).run(
        features_of(part, config, **fields), part.contents(part.known), space
    )
    found = Taught(part, space, trained)
    assert precision(found, trained.of(part.contents(part.newcomers)), part.newcomers) > 0.8
    unread = torch.arange(len(part.known)) % 4 == 0
    torch.testing.assert_close(trained.honest[unread], trained.network.mean.expand(int(unread.sum()), -1))
    assert trained.readable.tolist() == (~unread).tolist()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_items_with_a_picture_are_enough_to_go_on(count: int) -> None:
    world = world_told_by("words", "picture")
    rare = {item_id: world.pictures[item_id] for item_id in world.known[:count]}
    fields = {"image": True, "categories": (), "numbers": ()}
    config = ContentConfig.model_validate(SMALL | {"pictures": True, "picture_network": PICTURE, "folds": 3})
    part = replace(world, pictures=rare)
    trained = ContentTraining(config, stage, print).run(
        features_of(part, config, **fields), part.contents(part.known), space_of("words", "picture")
    )
    assert torch.isfinite(trained.honest).all()
    vectors = trained.of(world.contents(world.newcomers))
    assert torch.isfinite(vectors).all()
    found = Taught(world, space_of("words", "picture"), trained)
    bare = trained.of(part.contents(part.newcomers))
    assert precision(found, bare, world.newcomers) > 0.9


def test_items_beyond_those_that_are_solved_for_are_read_all_the_same() -> None:
    found = taught(("words",), WORDS_ONLY, most_items=30, rehearsed_items=20)
    vectors = found.trained.of(found.world.contents(found.world.newcomers))
    assert precision(found, vectors, found.world.newcomers) > 0.8
    popular = found.space.starts.diff().argsort(descending=True, stable=True)[:30]
    others = torch.tensor(np.setdiff1d(np.arange(len(found.world.known)), popular.numpy()))
    torch.testing.assert_close(found.trained.honest[others], found.fitted[others])
    assert ((found.trained.honest - found.fitted)[popular].norm(dim=1) > 1e-3).all()


def test_of_no_item_a_network_is_asked_that_learned_from_it() -> None:
    told_by, fields, changes = WAYS["cnn"]
    found = taught(told_by, fields, **changes, most_items=30, rehearsed_items=20)
    assert ((found.trained.honest - found.fitted).norm(dim=1) > 1e-4).all()


def test_noise_is_no_topic() -> None:
    assert not set(NOISE) & {word for _, words, _ in TOPICS for word in words.split()}
