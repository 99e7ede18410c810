"""A source whose parts do not fit each other is refused before any data is read, and the message says what would."""

from __future__ import annotations

import pytest

from engine.errors import ConfigError
from models import RETRIEVERS, SequenceEncoder
from training.config import TrainingConfig, load_config
from training.retriever_config import RetrieverConfig


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"retriever.model": "ease"}, r"'ease' has no vectors for a ranker; put a network first and 'ease' under"),
        ({"retriever.model": "popularity"}, r"'popularity' has no vectors .* or set ranker\.model = 'none'"),
        ({"sources": '[{model = "ease", name = "mine"}]'}, r"ease is counted once for all; leave out name = 'mine'"),
        (
            {"sources": '[{model = "item_knn", epochs = 3, loss = "bpr"}]'},
            r"item_knn is counted, not trained; leave out \['epochs', 'loss'\]",
        ),
        (
            {"retriever.model": "autoencoder", "retriever.objective": "next_event"},
            r"autoencoder reads a history as a whole and cannot learn by next_event; take following or masked",
        ),
        (
            {"retriever.objective": "sequence_reconstruction"},
            r"sasrec has no decoder for sequence_reconstruction; take recurrent_autoencoder",
        ),
        ({"retriever.hard_pool": "2", "retriever.loss": "softmax"}, r"hard_pool is for the sampled losses .* softmax"),
        ({"retriever.loss": "ccl"}, r"ccl compares cosines, and sasrec scores without a bound; take simplex"),
        (
            {"retriever.model": "simplex", "retriever.loss": "softmax"},
            r"simplex scores within -1\.\.1, too narrow for softmax; take ccl or bpr",
        ),
        ({"sources": '[{model = "sasrec"}]'}, r"there are two called 'sasrec'; give one of them another name"),
        ({"sources": '[{model = "ease"}, {model = "ease"}]'}, r"there are two called 'ease'"),
        ({"sources": '[{model = "gru4rec", name = "retrieval"}]'}, r"'retrieval_rank' is a feature of its own"),
        ({"sources": '[{model = "gru4rec", name = "Mine!"}]'}, r"sources\.0\.name"),
        ({"retriever.name": "ranker"}, r"'ranker' is what another stage is called"),
        ({"sources": '[{model = "gru4rec", name = "ratings"}]'}, r"'ratings' is what another stage is called"),
        ({"sources": '[{model = "ease"}]', "ranker.model": "none"}, r"without a ranker nothing uses them"),
        ({"sources": '[{model = "gru5rec"}]'}, r"unknown retriever 'gru5rec'; known: .*'gru4rec'.*'popularity'"),
        (
            {"sources": '[{model = "gru4rec", epoch = 3}]'},
            r"sources\.0\.epoch: there is no such key; there are .*'epochs'",
        ),
        (
            {"sources": '[{model = "gru4rec", network = {widht = 3}}]'},
            r"gru4rec takes no \['widht'\]; it takes .*'width'",
        ),
        ({"retriever.mask_rate": "1"}, r"retriever\.mask_rate"),
        ({"retriever.mask_rate": "[0.1, 1.0]"}, r"retriever\.mask_rate"),
        ({"retriever.mask_rate": "[0.9, 0.1]"}, r"the first share must not be above the second"),
        ({"ratings.depth": "3", "ratings.negatives": "9"}, r"ratings are learned without \['depth', 'negatives'\]"),
        ({"neighbours.most": "0"}, r"neighbours\.most: .*greater than or equal to 1"),
        ({"neighbours.mots": "9"}, r"neighbours\.mots: there is no such key; there are .*'most'"),
    ],
)
def test_what_does_not_fit_is_named_with_what_would(overrides: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config([], overrides)


@pytest.mark.parametrize(
    "retriever",
    [
        {"model": "simplex", "loss": "ccl"},
        {"model": "simplex", "loss": "bpr", "hard_pool": 4},
        {"model": "simplex", "hard_pool": 4},
        {"model": "sasrec", "loss": "gbce"},
        {"model": "autoencoder", "objective": "following", "loss": "bce"},
        {"model": "recurrent_autoencoder", "objective": "next_event"},
        {"model": "gru4rec", "objective": "masked", "loss": "mse"},
        {"model": "multvae", "mask_rate": (0.1, 0.9)},
        {"model": "popularity", "depth": 50},
        {"model": "cooccurrence", "name": "cooccurrence"},
    ],
)
def test_what_fits_is_taken(retriever: dict[str, object]) -> None:
    assert RetrieverConfig.model_validate(retriever).source_name == retriever["model"]


@pytest.mark.parametrize("name", sorted(RETRIEVERS))
def test_every_network_is_a_source_by_its_name_alone(name: str) -> None:
    config = RetrieverConfig(model=name)
    assert (config.kind, config.source_name) == ("network", name)
    assert RETRIEVERS[name].objective != "next_event" or issubclass(RETRIEVERS[name], SequenceEncoder)


def test_a_ranker_reads_what_each_further_source_says() -> None:
    config = load_config([], {"sources": '[{model = "gru4rec", name = "second"}, {model = "popularity"}]'})
    added = ("second_score", "second_rank", "popularity_score", "popularity_rank")
    assert config.ranker_features == (*config.ranker.features, *added)
    assert [each.source_name for each in config.retrievers] == ["sasrec", "second", "popularity"]


SOURCE = '[{model = "gru4rec", learning_rate = 0.01}]'


@pytest.mark.parametrize(
    "changed",
    [
        {"retriever.learning_rate": "0.001"},
        {"ranker.learning_rate": "0.001"},
        {"ratings.learning_rate": "0.001"},
        {"ratings.refiner.learning_rate": "0.001"},
        {"sources": SOURCE.replace("0.01", "0.001")},
        {"threads": "2"},
    ],
)
def test_a_run_may_go_on_with_another_learning_rate(changed: dict[str, str]) -> None:
    assert _digest({"sources": SOURCE}) == _digest({"sources": SOURCE} | changed)


@pytest.mark.parametrize(
    "changed", [{"seed": "2"}, {"retriever.epochs": "3"}, {"sources": SOURCE.replace("gru4rec", "multvae")}]
)
def test_a_run_may_not_go_on_as_another(changed: dict[str, str]) -> None:
    assert _digest({"sources": SOURCE}) != _digest({"sources": SOURCE} | changed)
    assert TrainingConfig().resumable_digest("a") != TrainingConfig().resumable_digest("b")


def test_another_learning_rate_gives_another_run() -> None:
    changed = load_config([], {"retriever.learning_rate": "0.001"})
    assert changed.digest("data") != TrainingConfig().digest("data")
    assert changed.resumable_digest("data") == TrainingConfig().resumable_digest("data")


def _digest(overrides: dict[str, str]) -> str:
    return load_config([], overrides).resumable_digest("data")
