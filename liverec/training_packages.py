"""Training packages: whether those are there that some commands need and serving does not."""

from __future__ import annotations

from importlib.util import find_spec

from engine.errors import ConfigError


def need_training() -> None:
    """Raise ConfigError unless the packages that training needs are installed."""
    if find_spec("torch") is None or find_spec("polars") is None:
        raise ConfigError("this command needs the training packages; install them with: pip install 'liverec[train]'")


def need_polars() -> None:
    """Raise ConfigError unless what reads and writes tables is installed."""
    if find_spec("polars") is None:
        raise ConfigError("this command needs polars; install it with: pip install 'liverec[archive]'")
