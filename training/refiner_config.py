"""RefinerConfig: the second stage of rating prediction, and how it learns."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from models import RANKERS
from training.stage_config import StageConfig, check_network


class RefinerConfig(StageConfig):
    """A network that corrects predicted ratings; it learns on ratings that the first network has not seen."""

    model: Literal["ncf", "none"] = "none"
    """Off by default: on MovieLens 100K it did not pay (docs/decisions/0004)."""
    keep: Literal["if_better", "always"] = "if_better"
    """Whether the bundle gets it only if it lowers the RMSE on validation."""
    hidden_share: float = Field(default=0.2, gt=0, lt=1)
    """Share of the ratings that a first network does not see, so that they can teach the refiner."""
    pairs_per_batch: int = Field(default=512, ge=1)
    """Ratings in one step."""
    most_users: int = Field(default=20_000, ge=1)
    """At most so many users teach it."""
    epochs: int = Field(default=8, ge=1, le=10_000)
    patience: int = Field(default=4, ge=1)
    learning_rate: float = Field(default=2e-3, gt=0, le=1)
    warmup_steps: int = Field(default=20, ge=0)
    weight_decay: float = Field(default=0.1, ge=0, le=1)
    averaging: float = Field(default=0.99, ge=0, lt=1)

    @model_validator(mode="after")
    def _known_network(self) -> Self:
        if self.model != "none":
            check_network("refiner", self.model, self.network, RANKERS, {"width", "features"})
        return self
