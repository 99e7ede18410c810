"""DataOptions: what the commands that read data are told of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.errors import ConfigError
from training.config import TrainingConfig, load_config
from training.dataset import Dataset, open_dataset


@dataclass(frozen=True, slots=True)
class DataOptions:
    """A data set, how to read it, and the config that goes with it."""

    source: str
    cache: Path
    column: Sequence[str]
    items: Path | None = None
    config: Sequence[Path] = ()
    setting: Sequence[str] = ()

    def dataset(self) -> Dataset:
        """Open the data set."""
        return open_dataset(self.source, cache=self.cache, items=self.items, columns=pairs("--column", self.column))

    def training_config(self) -> TrainingConfig:
        """Read the config."""
        return load_config(self.config, self.overrides())

    def overrides(self) -> dict[str, str]:
        """Return what --set says, by key."""
        return pairs("--set", self.setting)


def pairs(option: str, texts: Sequence[str]) -> dict[str, str]:
    """Read name=value options; raises ConfigError for anything else."""
    read = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise ConfigError(f"{option} {text}: write it as name=value")
        read[name] = value
    return read
