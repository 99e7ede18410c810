"""Reach: what of a config is left out because the data is too large for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine.errors import ConfigError
from training.config import TrainingConfig
from training.retriever_config import RetrieverConfig

# Its weights are cut row by row, so items may be more than what is inverted, but each costs a row of all.
EASE_ITEMS = 10


def within_reach(config: TrainingConfig, items: int, users: int, say: Callable[[str], None]) -> TrainingConfig:
    """Leave EASE out of the features and sources where items, or users and items, are too many for it."""
    most = config.neighbours.ease_up_to
    if min(items, users) <= most and items <= EASE_ITEMS * most:
        return config
    if config.retriever.model == "ease":
        raise ConfigError(
            f"retriever.model = 'ease': {items:,} items and {users:,} users are too many (ease_up_to = {most:,})"
        )
    read = config.ranker.features if config.ranker.model != "none" else ()
    dropped = [name for name in read if name.startswith("ease")]
    kept: Sequence[RetrieverConfig] = [each for each in config.sources if each.model != "ease"]
    if not dropped and len(kept) == len(config.sources):
        return config
    say(f"{items:,} items and {users:,} users are too many for EASE (neighbours.ease_up_to = {most:,})")
    features = tuple(name for name in config.ranker.features if name not in dropped)
    ranker = config.ranker.model_copy(update={"features": features})
    return config.model_copy(update={"ranker": ranker, "sources": tuple(kept)})
