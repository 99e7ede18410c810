"""Tuning: a search through a config's space with Optuna, by validation only."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Self

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from pydantic import Field, TypeAdapter, ValidationError, model_validator

from engine.errors import ConfigError, DataError, DivergedError, TrainingError
from training.config import TrainingConfig, load_config
from training.dataset import Dataset
from training.pipeline import Pipeline, Say
from training.preparation import Preparation
from training.section import Section

STARTUP_TRIALS = 5


class Range(Section):
    """Numbers between two ends; `log` draws evenly in the logarithm. Whole numbers if both ends are whole."""

    low: int | float
    high: int | float
    log: bool = False

    @property
    def examples(self) -> Sequence[int | float]:
        """Some of the values."""
        return (self.low, self.high)

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError(f"low {self.low} must be below high {self.high}, and above 0 with log")
        return self

    def suggest(self, trial: optuna.Trial, key: str) -> int | float:
        """Draw a value."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(key, self.low, self.high, log=self.log)
        return trial.suggest_float(key, self.low, self.high, log=self.log)


class Choices(Section):
    """Some values to choose from."""

    choices: Annotated[list[bool | int | float | str], Field(min_length=1)]

    @property
    def examples(self) -> Sequence[bool | int | float | str]:
        """The values."""
        return self.choices

    def suggest(self, trial: optuna.Trial, key: str) -> bool | int | float | str | None:
        """Draw a value."""
        return trial.suggest_categorical(key, self.choices)


Space = Mapping[str, Range | Choices]


def load_space(path: Path) -> Space:
    """Read a TOML of config keys with what each may be; raises ConfigError naming the key that is wrong.

    "retriever.learning_rate" = {low = 1e-3, high = 1e-2, log = true}; "retriever.network.width" = {choices = [32, 64]}
    """
    try:
        read = tomllib.loads(path.read_text(encoding="utf-8"))
        return TypeAdapter(dict[str, Range | Choices]).validate_python(read)
    except OSError as error:
        raise ConfigError(
            f"space {path} cannot be read ({error.strerror}); an example is configs/space.toml"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(f"space {path}: {first['loc'][0]}: {first['msg']}; write low and high, or choices") from error
    except ValueError as error:
        raise ConfigError(f"space {path} is not TOML: {error}") from error


class Tuning:
    """A study that can be stopped and gone on with; its journal is a file."""

    def __init__(self, dataset: Dataset, files: list[Path], overrides: Mapping[str, str], space: Space) -> None:
        self._dataset = dataset
        self._files = files
        self._overrides = dict(overrides)
        self._space = space
        self._base = load_config(files, overrides)

    def run(self, journal: Path, trials: int, seconds: float | None, say: Say) -> optuna.Study:
        """Add up to `trials` trials, for at most `seconds`; raises TrainingError if not one could be finished."""
        journal.parent.mkdir(parents=True, exist_ok=True)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(
            study_name="liverec",
            storage=JournalStorage(JournalFileBackend(str(journal))),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=STARTUP_TRIALS),
            direction="maximize",
            load_if_exists=True,
        )
        self._check(study)
        # With the same seed again, a search that goes on would repeat the draws that it began with.
        seed = self._base.seed + len(study.trials)
        study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP_TRIALS)
        study.optimize(self._objective(say), n_trials=trials, timeout=seconds, catch=(DivergedError,))
        if not study.get_trials(states=[optuna.trial.TrialState.COMPLETE]):
            raise TrainingError("no trial was finished; give more time, lower learning rates, or values that fit")
        return study

    def best_config(self, study: optuna.Study) -> TrainingConfig:
        """Return the config of the best trial."""
        return self._config(study.best_params)

    def _check(self, study: optuna.Study) -> None:
        """A journal goes on only with the data, the config and the space that it was begun with; keys must be known."""
        for key, each in self._space.items():
            self._check_key(key, each.examples)
        preparation = Preparation.of(self._dataset, self._base)
        if not len(preparation.split.valid):
            raise DataError(f"{preparation.name} has no validation events to search by; split it")
        if foreign := [key for key in self._space if key.startswith("ratings.")]:
            raise ConfigError(f"space: {foreign[0]} does not change {self._base.metric}, which the search goes by")
        begun = {
            "config": self._base.digest(preparation.fingerprint()),
            "space": TypeAdapter(dict[str, Range | Choices]).dump_json(dict(self._space)).decode(),
        }
        if study.user_attrs and study.user_attrs != begun:
            raise ConfigError("the journal is of other data, another config or another space; choose another --journal")
        for name, value in begun.items():
            study.set_user_attr(name, value)

    def _check_key(self, key: str, examples: Sequence[Any]) -> None:
        """Raise ConfigError if the key can have none of the values, as one that does not exist."""
        errors = []
        for value in examples:
            try:
                self._config({key: value})
            except ConfigError as error:
                errors.append(error)
        if len(errors) == len(examples):
            raise errors[-1]

    def _objective(self, say: Say) -> Callable[[optuna.Trial], float]:
        def objective(trial: optuna.Trial) -> float:
            try:
                config = self._config({key: each.suggest(trial, key) for key, each in self._space.items()})
                pipeline = Pipeline(Preparation.of(self._dataset, config), config, say, _Watch(trial, config))
            except ConfigError as error:
                # What each key may be can be impossible together, as a width that heads do not divide.
                say(f"trial {trial.number} is left out: {error}")
                raise optuna.TrialPruned from error
            score = pipeline.learn().served[config.metric]
            say(f"trial {trial.number}: {config.metric} {score:.4f} with {trial.params}")
            return score

        return objective

    def _config(self, chosen: Mapping[str, Any]) -> TrainingConfig:
        texts = {key: f'"{value}"' if isinstance(value, str) else str(value).lower() for key, value in chosen.items()}
        return load_config(self._files, self._overrides | texts)


class _Watch:
    """Tells the study of each validation of the first source, and ends a trial that has no prospect."""

    def __init__(self, trial: optuna.Trial, config: TrainingConfig) -> None:
        self._trial = trial
        self._stage = config.retriever.source_name
        self._metric = config.metric

    def __call__(self, stage: str, epoch: int, metrics: Mapping[str, float]) -> None:
        if stage != self._stage:
            return
        self._trial.report(metrics[self._metric], epoch)
        if self._trial.should_prune():
            raise optuna.TrialPruned
