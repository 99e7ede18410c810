"""DataOptions: what the commands that read data are told of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from archive.manifest import is_archive
from engine.errors import ConfigError
from liverec.recorded_data import with_recorded
from training.config import TrainingConfig, load_config
from training.dataset import Dataset, checked_media, described, open_dataset


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
    archive: Path | None = None
    tenant: str = ""

    def dataset(self) -> Dataset:
        """Open the data set, with the events of the archive if there is one; it may be the whole data set."""
        if is_archive(Path(self.source)):
            if self.archive is not None:
                raise ConfigError(
                    f"--data {self.source} is an archive already; leave --archive out, or give other data"
                )
            alone = with_recorded(None, Path(self.source), self.tenant)
            return replace(alone, items=described(self.items, self._columns()), media=checked_media(self.media))
        return self._offline() if self.archive is None else with_recorded(self._offline, self.archive, self.tenant)

    def _offline(self) -> Dataset:
        return open_dataset(self.source, cache=self.cache, items=self.items, media=self.media, columns=self._columns())

    def _columns(self) -> dict[str, str]:
        return named_values("--column", self.column)

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
