"""Training packages: whether they are there."""

from __future__ import annotations

from importlib.util import find_spec

from engine.errors import ConfigError


def need_training() -> None:
    """Raise ConfigError unless the packages that training needs are installed."""
    if find_spec("torch") is None or find_spec("polars") is None:
        raise ConfigError("this command needs the training packages; install them with: pip install 'liverec[train]'")
