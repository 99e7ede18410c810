"""Evaluation: a recommender's answers against held-out events, through the served path."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from engine.events import History
from engine.recommender import Query, Recommender
from training.interactions import histories_of
from training.metrics import CUTOFFS, ranking_metrics


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Users with their histories and the items that should come first."""

    user_ids: tuple[str, ...]
    histories: tuple[History, ...]
    wanted: tuple[frozenset[str], ...]

    @classmethod
    def of(cls, known: pl.DataFrame, held_out: pl.DataFrame, most: int | None = None, seed: int = 0) -> Evaluation:
        """Take the histories from `known` and the wanted items from `held_out`; at most `most` users, drawn by seed."""
        targets = held_out.group_by("user_id", maintain_order=True).agg("item_id").sort("user_id")
        if most is not None and len(targets) > most:
            drawn = np.random.default_rng(seed).choice(len(targets), most, replace=False)
            targets = targets[np.sort(drawn)]
        user_ids = tuple(targets["user_id"])
        wanted = tuple(frozenset(items) for items in targets["item_id"].to_list())
        return cls(user_ids, tuple(histories_of(known, user_ids)), wanted)

    def __len__(self) -> int:
        return len(self.user_ids)

    def measure(self, recommender: Recommender) -> dict[str, float]:
        """Return the ranking metrics of the recommender's answers."""
        answers = recommender.recommend([Query(history, max(CUTOFFS)) for history in self.histories])
        return ranking_metrics([[item.item_id for item in answer.items] for answer in answers], self.wanted)
