"""A config says what it means or is refused with the key and the remedy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine.errors import ConfigError
from models import RANKERS, RETRIEVERS
from training.config import TrainingConfig, load_config

CONFIGS = Path(__file__).parents[2] / "configs"


def test_every_model_has_a_config() -> None:
    assert {path.stem for path in CONFIGS.glob("*.toml")} >= RETRIEVERS.keys() | RANKERS.keys()


@pytest.mark.parametrize(
    "path", sorted({*CONFIGS.glob("*.toml")} - {CONFIGS / "space.toml"}), ids=lambda path: path.stem
)
def test_what_is_shipped_can_be_read(path: Path) -> None:
    config = load_config([path])
    if path.stem in RETRIEVERS:
        assert path.stem in (config.retriever.model, config.ratings.model)
    if path.stem in RANKERS:
        assert config.ranker.model == path.stem


def test_the_default_models_configs_say_the_defaults() -> None:
    shipped = load_config([CONFIGS / "sasrec.toml", CONFIGS / "ncf.toml"])
    ours, network = shipped.model_dump(), {"width": 64, "blocks": 2, "heads": 2, "expansion": 2, "dropout": 0.25}
    assert ours["retriever"].pop("network") == network
    assert ours["ranker"].pop("network") == {"hidden": 64, "dropout": 0.2}
    defaults = TrainingConfig().model_dump()
    assert defaults["retriever"].pop("network") == defaults["ranker"].pop("network") == {}
    assert ours == defaults


def test_later_files_and_overrides_win(tmp_path: Path) -> None:
    first, second = tmp_path / "a.toml", tmp_path / "b.toml"
    first.write_text("seed = 5\n[retriever]\nepochs = 3\nlearning_rate = 0.1\n")
    second.write_text("[retriever]\nepochs = 4\n")
    config = load_config([first, second], {"retriever.learning_rate": "0.2", "ranker.model": "none"})
    assert (config.seed, config.retriever.epochs, config.retriever.learning_rate) == (5, 4, 0.2)
    assert config.ranker.model == "none"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"retriever.epoch": "3"}, r"retriever\.epoch: there is no such key; there are .*'epochs'"),
        ({"retriever.epochs": "0"}, r"retriever\.epochs: .*greater than or equal to 1 \(got 0\)"),
        ({"retriever.epochs": "many"}, r"retriever\.epochs: .*'many'"),
        (
            {"retriever.model": "sasrek"},
            r"unknown retriever 'sasrek'; known: \[.*'sasrec'.*\] and \[.*'ease'.*'popularity', 'content'\]",
        ),
        ({"ranker.model": "ncff"}, r"unknown ranker 'ncff'; known: \['ncf', 'target_attention'\]"),
        ({"retriever.network.widht": "3"}, r"sasrec takes no \['widht'\]; it takes .*'width'"),
        ({"ranker.features": '["retrieval_score", "magic"]'}, r"unknown features \['magic'\]"),
        ({"ranker.features": '["popularity"]'}, r"the first must be 'retrieval_score'"),
        ({"retriever.learning_rate": "nan"}, r"retriever\.learning_rate"),
        ({"cleaning.rating_scale": "[5, 1]"}, r"cleaning"),
        ({"split": "random"}, r"split: .*'leave_one_out'"),
        ({"seed": ""}, r"--set seed= has no value"),
    ],
)
def test_a_wrong_value_is_named(overrides: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config([], overrides)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml cannot be read"):
        load_config([tmp_path / "nowhere.toml"])
    (tmp_path / "bad.toml").write_text("= 3")
    with pytest.raises(ConfigError, match=r"bad\.toml is not TOML"):
        load_config([tmp_path / "bad.toml"])
    (tmp_path / "junk.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=re.escape("junk.toml is not TOML")):
        load_config([tmp_path / "junk.toml"])
