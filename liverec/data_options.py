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
    items: Sequence[Path] = ()
    config: Sequence[Path] = ()
    setting: Sequence[str] = ()
    media: Path | None = None

    def dataset(self) -> Dataset:
        """Open the data set."""
        columns = named_values("--column", self.column)
        return open_dataset(self.source, cache=self.cache, items=self.items, media=self.media, columns=columns)

    def training_config(self) -> TrainingConfig:
        """Read the config."""
        return load_config(self.config, self.overrides())

    def overrides(self) -> dict[str, str]:
        """Return what --set says, by key."""
        return named_values("--set", self.setting)


def named_values(option: str, texts: Sequence[str]) -> dict[str, str]:
    """Read name=value options; raises ConfigError for anything else."""
    read = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise ConfigError(f"{option} {text}: write it as name=value")
        read[name] = value
    return read
