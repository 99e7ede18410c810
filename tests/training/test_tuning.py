"""A search that prunes, can be stopped and gone on with, and goes by validation."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
import tomli_w
from tiny import TINY
from worlds import markov_chain

from engine.errors import ConfigError, TrainingError
from training.dataset import Dataset
from training.tuning import Choices, Range, Tuning, load_space

RING = Dataset("ring", {"all": markov_chain().lazy()}, None)
SPACE = {
    "retriever.learning_rate": Range(low=1e-4, high=3e-2, log=True),
    "retriever.network.width": Choices(choices=[8, 16]),
}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    path = tmp_path / "base.toml"
    path.write_text(tomli_w.dumps({**TINY, "ranker": {"model": "none"}}))
    return path


def tuning(base: Path, **overrides: str) -> Tuning:
    return Tuning(RING, [base], overrides, SPACE)


def test_it_adds_trials_to_what_is_there(base: Path, tmp_path: Path) -> None:
    journal = tmp_path / "journal.log"
    first = [trial.params for trial in tuning(base).run(journal, 2, None, print).trials]
    second = tuning(base).run(journal, 1, None, print)
    tried = [trial.params for trial in second.trials]
    assert tried[:2] == first
    assert tried[2] not in first
    best = tuning(base).best_config(second)
    assert best.retriever.learning_rate == second.best_params["retriever.learning_rate"]
    assert best.retriever.network["width"] in (8, 16)
    assert second.best_value == max(trial.value for trial in second.trials if trial.value is not None)


def test_the_seed_makes_it_repeatable(base: Path, tmp_path: Path) -> None:
    found = [tuning(base).run(tmp_path / name, 2, None, print) for name in ("a.log", "b.log")]
    assert [trial.params for trial in found[0].trials] == [trial.params for trial in found[1].trials]
    assert [trial.value for trial in found[0].trials] == [trial.value for trial in found[1].trials]


def test_a_draw_that_cannot_be_is_left_out(base: Path, tmp_path: Path) -> None:
    space = {"retriever.network.width": Choices(choices=[17, 16])}
    said: list[str] = []
    study = Tuning(RING, [base], {}, space).run(tmp_path / "journal.log", 6, None, said.append)
    states = {trial.params["retriever.network.width"]: trial.state.name for trial in study.trials}
    assert states == {16: "COMPLETE", 17: "PRUNED"}
    assert any("is left out" in line and "17" in line for line in said)
    assert Tuning(RING, [base], {}, space).best_config(study).retriever.network["width"] == 16


def test_values_of_which_none_can_be_are_refused(base: Path, tmp_path: Path) -> None:
    space = {"retriever.network.width": Choices(choices=[17, 19])}
    with pytest.raises(ConfigError, match="width"):
        Tuning(RING, [base], {}, space).run(tmp_path / "journal.log", 1, None, print)


def test_a_draw_that_does_not_suit_the_data_is_left_out(base: Path, tmp_path: Path) -> None:
    space = {"retriever.hard_pool": Choices(choices=[1, 4])}
    study = Tuning(RING, [base], {}, space).run(tmp_path / "journal.log", 6, None, print)
    assert {trial.params["retriever.hard_pool"]: trial.state.name for trial in study.trials} == {
        1: "COMPLETE",
        4: "PRUNED",
    }


def test_a_journal_of_another_config_is_refused(base: Path, tmp_path: Path) -> None:
    journal = tmp_path / "journal.log"
    tuning(base).run(journal, 1, None, print)
    with pytest.raises(ConfigError, match="another config"):
        tuning(base, seed="7").run(journal, 1, None, print)


def test_a_trial_without_prospect_is_pruned(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optuna.Trial, "should_prune", lambda trial: trial.number > 0)
    study = tuning(base).run(tmp_path / "journal.log", 2, None, print)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "PRUNED"]


def test_no_time_for_a_single_trial(base: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="give more time"):
        tuning(base).run(tmp_path / "journal.log", 0, None, print)


def test_a_space_is_read(tmp_path: Path) -> None:
    path = tmp_path / "space.toml"
    path.write_text('"retriever.epochs" = {low = 2, high = 9}\n"retriever.model" = {choices = ["sasrec", "gru4rec"]}\n')
    space = load_space(path)
    assert space == {
        "retriever.epochs": Range(low=2, high=9),
        "retriever.model": Choices(choices=["sasrec", "gru4rec"]),
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('"retriever.epochs" = {low = 2}', "retriever.epochs"),
        ('"retriever.epochs" = {low = 9, high = 2}', "must be below"),
        ('"retriever.epochs" = {low = 0, high = 2, log = true}', "above 0 with log"),
        ('"retriever.model" = {choices = []}', "retriever.model"),
        ("retriever = ", "is not TOML"),
    ],
)
def test_a_wrong_space_names_the_key(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "space.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words):
        load_space(path)


def test_a_space_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"space\.toml cannot be read"):
        load_space(tmp_path / "space.toml")


def test_a_space_of_unknown_keys_stops_before_any_training(base: Path, tmp_path: Path) -> None:
    wrong = Tuning(RING, [base], {}, {"retriever.widht": Choices(choices=[1])})
    with pytest.raises(ConfigError, match="there is no such key"):
        wrong.run(tmp_path / "journal.log", 1, None, print)


def test_the_space_that_is_shipped_can_be_read_and_searched(base: Path, tmp_path: Path) -> None:
    space = load_space(Path(__file__).parents[2] / "configs" / "space.toml")
    assert set(space) == {"retriever.learning_rate", "retriever.network.dropout", "retriever.network.width"}
    study = Tuning(RING, [base], {}, space).run(tmp_path / "journal.log", 1, None, print)
    assert set(study.best_params) == set(space)
