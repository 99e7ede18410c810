"""Each network of the first stage, trained by the pipeline on a world with a known answer, finds that answer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from worlds import checkerboard, markov_chain

from engine.errors import ConfigError
from engine.events import Event, History
from engine.items import ItemTable
from engine.query import Query
from engine.recommender import Recommender
from models import RETRIEVERS, SequenceEncoder
from training.config import TrainingConfig
from training.dataset import Dataset
from training.pipeline import Pipeline
from training.preparation import Preparation
from training.torch_stages import torch_source

RATED = {"rating_factorisation"}
SEQUENCES = sorted(name for name, network in RETRIEVERS.items() if issubclass(network, SequenceEncoder))
SETS = sorted(RETRIEVERS.keys() - set(SEQUENCES) - RATED)
ITEMS = 24
NETWORKS: dict[str, dict[str, object]] = {
    "sasrec": {"width": 16, "blocks": 1, "dropout": 0.1},
    "gru4rec": {"width": 16, "hidden": 16, "dropout": 0.1},
    "recurrent_autoencoder": {"width": 16, "hidden": 16, "dropout": 0.1},
    "autoencoder": {"width": 16},
    "multvae": {"width": 8, "hidden": 16},
    "matrix_factorisation": {"width": 8},
    "two_tower": {"width": 8, "hidden": 16},
    "simplex": {"width": 8},
}


def trained(name: str, preparation: Preparation, **config: object) -> Recommender:
    """Return the recommender that the pipeline trains, without the seconds that exporting it takes."""
    chosen = TrainingConfig.model_validate(
        {
            "threads": 1,
            "window": {"max_length": 12},
            "ranker": {"model": "none"},
            "ratings": {"model": "bias"},
            "retriever": {
                "model": name,
                "network": NETWORKS[name],
                "learning_rate": 0.02,
                "warmup_steps": 5,
                "events_per_batch": 200,
                "averaging": 0.9,
                "validate_every": 5,
                **config,
            },
        }
    )
    stages = Pipeline(preparation, chosen, print).train()
    items = ItemTable(preparation.vocabulary, stages.statistics.columns)
    return Recommender(items, preparation.window, [torch_source(stages.encoders[name], chosen.retriever, "cpu")])


def prepared(world: str) -> Preparation:
    events = markov_chain() if world == "ring" else checkerboard()
    return Preparation.of(Dataset(world, {"all": events.lazy()}, None), TrainingConfig())


@pytest.fixture(scope="module")
def ring() -> Preparation:
    return prepared("ring")


@pytest.fixture(scope="module")
def board() -> Preparation:
    return prepared("board")


def answers(recommender: Recommender, walks: Sequence[Sequence[int]], n: int) -> list[list[int]]:
    histories = [
        History(tuple(Event("u", f"item {item}", "rating", 5.0, 1_000.0 * step) for step, item in enumerate(walk)))
        for walk in walks
    ]
    found = recommender.recommend([Query(history, n) for history in histories])
    return [[int(item.item_id.split()[1]) for item in answer.items] for answer in found]


def right_colour(recommender: Recommender) -> float:
    """Which share of the items recommended on the checkerboard has the colour of the user's."""
    walks = [np.random.default_rng(seed).permutation(np.arange(seed % 2, ITEMS, 2))[:5].tolist() for seed in range(20)]
    pairs = zip(walks, answers(recommender, walks, 5), strict=True)
    return float(np.mean([item % 2 == walk[0] % 2 for walk, found in pairs for item in found]))


WALKS = [[(start + step) % ITEMS for step in range(5)] for start in range(ITEMS)]


@pytest.mark.parametrize("name", SEQUENCES)
def test_a_sequence_network_learns_what_comes_next(name: str, ring: Preparation) -> None:
    recommender = trained(name, ring, epochs=20, objective="next_event")
    first = [found[0] for found in answers(recommender, WALKS, 1)]
    assert np.mean([item == (walk[-1] + 1) % ITEMS for item, walk in zip(first, WALKS, strict=True)]) > 0.9


def test_a_recurrent_autoencoder_learns_what_is_near(ring: Preparation) -> None:
    found = answers(trained("recurrent_autoencoder", ring, epochs=30), WALKS, 5)
    wanted = [{(walk[-1] + step) % ITEMS for step in range(1, 6)} for walk in WALKS]
    assert np.mean([len(right & set(items)) / 5 for right, items in zip(wanted, found, strict=True)]) > 0.9


@pytest.mark.parametrize("name", SETS)
def test_a_set_network_learns_who_likes_what(name: str, board: Preparation) -> None:
    rate = {"simplex": 0.05}.get(name, 0.02)
    assert right_colour(trained(name, board, epochs=60, patience=12, learning_rate=rate)) > 0.95


@pytest.mark.parametrize(
    ("loss", "config"),
    [
        ("softmax", {"rare_items": 0.5, "rare_ratings": 0.5}),
        ("sampled_softmax", {"sampling": "popularity"}),
        ("sampled_softmax", {"sampling": "in_batch"}),
        ("bpr", {"hard_pool": 3}),
        ("bce", {}),
        ("gbce", {}),
    ],
)
def test_every_loss_learns_it_too(loss: str, config: dict[str, object], board: Preparation) -> None:
    recommender = trained("two_tower", board, epochs=100, patience=20, loss=loss, negatives=8, **config)
    assert right_colour(recommender) > 0.95


def test_hard_negatives_have_no_part_in_a_softmax_over_all(board: Preparation) -> None:
    with pytest.raises(ConfigError, match=r"hard_pool is for sampled losses, .* set loss = 'sampled_softmax'"):
        trained("two_tower", board, epochs=1, hard_pool=3)


@pytest.mark.parametrize("objective", ["following", "masked", "reconstruction"])
def test_every_objective_learns_it_too(objective: str, board: Preparation) -> None:
    assert right_colour(trained("autoencoder", board, epochs=40, patience=9, objective=objective)) > 0.95


def test_every_network_is_tried() -> None:
    assert NETWORKS.keys() == RETRIEVERS.keys() - RATED == set(SEQUENCES) | set(SETS)
