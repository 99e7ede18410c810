"""RankerConfig: the second stage and how it learns."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from engine.features import FEATURES
from models import RANKERS
from training.stage_config import StageConfig, check_network


class RankerConfig(StageConfig):
    """The second stage."""

    model: str = "ncf"
    """Which network of models/ reranks, or "none"."""
    keep: Literal["if_better", "always"] = "if_better"
    """Whether the bundle gets the ranker only if it beats the retriever's metric on validation."""
    features: tuple[str, ...] = (
        "retrieval_score",
        "retrieval_rank",
        "popularity",
        "recency",
        "ease",
        "ease_10",
        "cooccurrence_10",
        "cooccurrence_3",
    )
    """Candidate features (engine/features.py); the first must be retrieval_score. Each further source adds its own."""
    held_out: int = Field(default=10, ge=1)
    """How many of each user's newest training events are kept from the first retriever and teach the ranker."""
    most_lists: int = Field(default=20_000, ge=1)
    """How many of those events are used at most; drawn by the seed."""
    negatives: int = Field(default=30, ge=1)
    """Candidates drawn from each list beside the right one."""
    queries_per_batch: int = Field(default=32, ge=1)
    """Lists in one step."""
    epochs: int = Field(default=4, ge=1, le=10_000)
    patience: int = Field(default=3, ge=1)
    learning_rate: float = Field(default=2e-3, gt=0, le=1)
    warmup_steps: int = Field(default=50, ge=0)
    weight_decay: float = Field(default=0.01, ge=0, le=1)
    averaging: float = Field(default=0.99, ge=0, lt=1)

    @model_validator(mode="after")
    def _known_network(self) -> Self:
        if self.model != "none":
            check_network("ranker", self.model, self.network, RANKERS, {"width", "features"})
        if not self.features or self.features[0] != "retrieval_score":
            raise ValueError(f"features begin with {self.features[:1]}; the first must be 'retrieval_score'")
        if unknown := set(self.features) - set(FEATURES):
            raise ValueError(f"unknown features {sorted(unknown)}; known: {sorted(FEATURES)}")
        return self
