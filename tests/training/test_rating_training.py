"""The rating network learns a world with a known answer and is served as it was measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from worlds import SCHEMA, markov_chain

from engine.bundle import Bundle
from engine.errors import ConfigError
from engine.events import Event, History
from engine.ratings import REFINER_FEATURES, NetworkRatings, RatingPairs
from training.config import TrainingConfig, load_config
from training.dataset import Dataset
from training.facts import facts_of
from training.fit import Stage
from training.interactions import Interactions
from training.item_statistics import ItemStatistics
from training.pipeline import Pipeline
from training.preparation import Preparation
from training.randomness import Randomness
from training.rating_evaluation import RatingEvaluation
from training.rating_pipeline import RatingPipeline

REFINER = {"model": "ncf", "keep": "always", "epochs": 3, "pairs_per_batch": 32, "network": {"hidden": 8}}
RATINGS = {
    "epochs": 80,
    "learning_rate": 0.02,
    "events_per_batch": 400,
    "network": {"width": 4, "penalty": 0.2, "steps": 5},
    "refiner": REFINER,
}


def two_tastes(users: int = 80, items: int = 20, seed: int = 0) -> pl.DataFrame:
    """Even users give even items 5 and odd items 1, odd users the other way round; each rates half of the items."""
    random = np.random.default_rng(seed)
    rows = [
        (f"user {user}", f"item {item}", "rating", 5.0 if (user + item) % 2 == 0 else 1.0, 1_000.0 * step, row)
        for user in range(users)
        for row, (step, item) in enumerate(enumerate(random.permutation(items)[: items // 2]), user * items)
    ]
    return pl.DataFrame(rows, SCHEMA, orient="row")


def prepared(tiny_config: TrainingConfig, **ratings: object) -> tuple[Preparation, TrainingConfig]:
    chosen = {**tiny_config.model_dump(exclude={"ratings"}, exclude_unset=True), "ranker": {"model": "none"}}
    chosen["retriever"] = {"model": "popularity"}
    config = TrainingConfig.model_validate({**chosen, "report": False, "ratings": ratings})
    return Preparation.of(Dataset("tastes", {"all": two_tastes().lazy()}, None), config), config


class Recorder:
    """A refiner that keeps what it was shown and says the middle of the scale."""

    def __init__(self) -> None:
        self.seen: list[RatingPairs] = []

    def refine(self, pairs: RatingPairs) -> np.ndarray:
        self.seen.append(pairs)
        return np.full(len(pairs.features), 0.5, dtype=np.float32)


@pytest.fixture(scope="module")
def bundle(tiny_config: TrainingConfig, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    preparation, config = prepared(tiny_config, **RATINGS)
    return Pipeline(preparation, config, print).run(tmp_path_factory.mktemp("r") / "b")


def test_it_learns_who_likes_what(bundle: Bundle) -> None:
    metrics = bundle.manifest.metrics
    assert metrics["test ratings"]["RMSE"] < 0.7
    assert metrics["valid biases"]["RMSE"] > 1.5
    assert bundle.manifest.ratings.parameters > 0


def test_a_stranger_with_three_ratings_is_read_at_once(bundle: Bundle) -> None:
    ratings = bundle.recommender().ratings
    assert isinstance(ratings, NetworkRatings)
    history = History(tuple(Event("new", f"item {item}", "rating", 5.0, item) for item in (0, 2, 4)))
    even, odd = ratings.predict(history, bundle.items.vocabulary.indices_of(["item 6", "item 7"]))
    assert even > odd + 2


def test_without_ratings_of_known_items_the_biases_answer(bundle: Bundle) -> None:
    ratings, known = bundle.recommender().ratings, np.array([3, -1])
    nothing = ratings.predict(History(), known)
    view = History((Event("new", "item 1", "view", None, 0.0), Event("new", "no such item", "rating", 5.0, 1.0)))
    assert np.isfinite(nothing).all()
    assert (ratings.predict(view, known) > nothing).all()


def test_the_refiner_has_the_last_word_and_sees_the_prediction_first(bundle: Bundle) -> None:
    assert bundle.manifest.ratings.has_refiner
    ratings, recorder = bundle.recommender().ratings, Recorder()
    ratings._refiner = recorder
    history = History((Event("new", "item 0", "rating", 5.0, 0.0), Event("new", "item 1", "rating", 1.0, 1.0)))
    predicted = ratings.predict(history, np.array([4, -1, 5]))
    np.testing.assert_allclose(predicted[[0, 2]], 3.0)
    assert predicted[1] != 3.0
    (pairs,) = recorder.seen
    assert pairs.features.shape == (3, len(REFINER_FEATURES))
    np.testing.assert_allclose(pairs.features[:, 0], pairs.item_vectors @ pairs.user_vector, rtol=1e-5)
    np.testing.assert_allclose(pairs.features[0, 3:], [np.log1p(2), 0.5, 0.5], rtol=1e-5)


def test_the_refiner_learns_from_ratings_that_the_first_network_has_not_seen(tiny_config: TrainingConfig) -> None:
    preparation, config = prepared(tiny_config, **RATINGS)
    interactions = Interactions.of(preparation.split.train, preparation.vocabulary, preparation.window)
    statistics = ItemStatistics.of(interactions, interactions.columns, config)
    pipeline = RatingPipeline(
        preparation, config, statistics, lambda name: Stage(name, "RMSE", Randomness(1, name)), print
    )
    visible, hidden = pipeline._hidden()
    assert len(visible) + len(hidden) == len(preparation.split.train)
    assert len(visible.join(hidden, on=["user_id", "item_id"], how="semi")) == 0
    assert set(hidden["user_id"]) <= set(visible["user_id"])
    assert 0.1 < len(hidden) / len(preparation.split.train) < 0.3


def test_predictions_keep_the_scale(bundle: Bundle) -> None:
    ratings = bundle.recommender().ratings
    history = History(tuple(Event("new", f"item {item}", "rating", 5.0, item) for item in range(0, 20, 2)))
    predicted = ratings.predict(history, np.arange(20))
    assert predicted.min() >= 1
    assert predicted.max() <= 5


def test_biases_alone_are_a_choice(tiny_config: TrainingConfig, tmp_path: Path) -> None:
    preparation, config = prepared(tiny_config, model="bias")
    opened = Pipeline(preparation, config, print).run(tmp_path / "b")
    assert opened.manifest.ratings.model == "bias"
    assert "ratings" not in opened.encoded


@pytest.mark.parametrize("model", ["autoencoder", "gru4rec", "matrix_factorisation"])
def test_other_networks_predict_ratings_too(model: str, tiny_config: TrainingConfig, tmp_path: Path) -> None:
    objective = "next_event" if model == "gru4rec" else "masked"
    preparation, config = prepared(
        tiny_config,
        model=model,
        objective=objective,
        epochs=3,
        network={"width": 8},
        events_per_batch=200,
    )
    opened = Pipeline(preparation, config, print).run(tmp_path / "b")
    evaluation = RatingEvaluation.of(preparation.known, preparation.split.test, preparation.vocabulary)
    measured = evaluation.measure(opened.recommender().ratings)
    assert measured["RMSE"] == pytest.approx(opened.manifest.metrics["test ratings"]["RMSE"], abs=1e-4)


def test_the_item_based_autoencoder_folds_anybody_in(tiny_config: TrainingConfig, tmp_path: Path) -> None:
    network = {"width": 4, "activation": "identity", "normalise": "mean", "dropout": 0.0}
    preparation, config = prepared(
        tiny_config,
        model="autoencoder",
        orientation="item",
        epochs=60,
        learning_rate=0.02,
        fold_in=0.1,
        network=network,
    )
    opened = Pipeline(preparation, config, print).run(tmp_path / "b")
    ratings = opened.recommender().ratings
    rated = {0: 1.0, 1: 5.0, 2: 1.0, 3: 5.0}
    history = History(tuple(Event("new", f"item {item}", "rating", value, item) for item, value in rated.items()))
    even, odd = ratings.predict(history, opened.items.vocabulary.indices_of(["item 6", "item 7"]))
    assert even < odd - 1


def test_transposed_events_are_the_same_events(tiny_preparation: Preparation) -> None:
    interactions = Interactions.of(tiny_preparation.split.train, tiny_preparation.vocabulary, tiny_preparation.window)
    transposed = interactions.transposed()
    assert len(transposed.vocabulary) == len(interactions.user_ids)
    assert len(transposed.columns.offsets) == len(interactions.vocabulary) + 1
    again = transposed.transposed()
    np.testing.assert_array_equal(np.diff(again.columns.offsets), np.diff(interactions.columns.offsets))
    assert np.sort(again.ratings).tolist() == np.sort(interactions.ratings).tolist()


def test_a_rating_network_needs_ratings(tiny_config: TrainingConfig, tmp_path: Path) -> None:
    views = markov_chain().with_columns(kind=pl.lit("view"), value=pl.lit(None, dtype=pl.Float64))
    config = TrainingConfig.model_validate({**tiny_config.model_dump(exclude_unset=True), "ratings": RATINGS})
    preparation = Preparation.of(Dataset("views", {"all": views.lazy()}, None), config)
    with pytest.raises(ConfigError, match=r"ratings\.model = 'rating_factorisation': views has no ratings"):
        Pipeline(preparation, config, print).run(tmp_path / "b")


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("ratings.model=ease", "ease cannot predict ratings"),
        ("ratings.loss=softmax", "ratings.loss"),
        ("ratings.objective=next_event", "cannot learn by next_event"),
        ("ratings.fold_in=0", "ratings.fold_in"),
        ("ratings.refiner.model=sasrec", "ratings.refiner.model"),
        ("ratings.model=nothing", "unknown retriever 'nothing'"),
    ],
)
def test_what_cannot_predict_ratings_is_refused(setting: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_config([], dict([setting.split("=")]))


def test_facts_are_counted_and_read(tiny_config: TrainingConfig) -> None:
    preparation, _ = prepared(tiny_config, model="bias")
    interactions = Interactions.of(preparation.split.train, preparation.vocabulary, preparation.window)
    described = tuple(
        b'{"categories": ["even"], "year": 1990}' if int(item.split()[1]) % 2 == 0 else b"{}"
        for item in preparation.vocabulary.ids()
    )
    facts = facts_of(interactions, described)
    assert facts.features.shape == (20, 16 + 1 + 1 + 2)
    assert facts.features.isfinite().all()
    assert facts.events == len(interactions.ratings)
    flags = facts.features[:, 17]
    assert [bool(flag) for flag in flags] == [b"even" in each for each in described]
    assert facts_of(interactions, ()).features.shape == (20, 17)
