"""RatingsConfig: how ratings are predicted, and how that is learned."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from models import RETRIEVERS, SequenceEncoder
from training.refiner_config import RefinerConfig
from training.retriever_config import MaskRate, RetrieverConfig

BIAS = "bias"
# Of a source of candidates, what has no meaning for ratings.
UNREAD = {
    "name",
    "depth",
    "negatives",
    "sampling",
    "hard_pool",
    "calibration",
    "margin",
    "negative_weight",
    "following",
    "first_epochs",
}


class RatingsConfig(RetrieverConfig):
    """The rating predictor: a network of models/ with the squared error as loss, or "bias"."""

    model: str = "rating_factorisation"
    """A network of models/, or "bias": mean + item bias + user bias."""
    objective: Literal["auto", "next_event", "masked", "reconstruction"] = "masked"
    loss: Literal["mse"] = "mse"
    orientation: Literal["user", "item"] = "user"
    """"item" trains on the ratings of each item (item-based AutoRec); users are folded in by ridge regression."""
    fold_in: float = Field(default=1.0, gt=0)
    """Lambda of that ridge regression."""
    keep: Literal["if_better", "always"] = "if_better"
    """Whether the bundle gets the network only if its RMSE on validation is below that of the biases."""
    refiner: RefinerConfig = Field(default_factory=RefinerConfig)
    """The second stage."""
    max_length: int = Field(default=500, ge=2, le=10_000)
    """How many of the newest rated events it reads; the ranking networks read window.max_length."""
    mask_rate: MaskRate | tuple[MaskRate, MaskRate] = (0.05, 0.5)
    events_per_batch: int = Field(default=10_000, ge=1)
    epochs: int = Field(default=24, ge=1, le=10_000)
    patience: int = Field(default=4, ge=1)
    learning_rate: float = Field(default=4e-3, gt=0, le=1)
    warmup_steps: int = Field(default=20, ge=0)
    weight_decay: float = Field(default=0.0, ge=0, le=1)
    averaging: float = Field(default=0.9, ge=0, lt=1)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if unread := self.model_fields_set & UNREAD:
            raise ValueError(f"ratings are learned without {sorted(unread)}; leave them out")
        if self.model != BIAS:
            if self.kind != "network":
                raise ValueError(f"{self.model} cannot predict ratings; take a network of models/, or {BIAS!r}")
            self._check_network()
            if self.orientation == "item":
                self._check_over_items()
        return self

    def _check_over_items(self) -> None:
        follows_time = issubclass(RETRIEVERS[self.model], SequenceEncoder)
        if follows_time:
            raise ValueError(f"{self.model} follows time; with orientation = 'item' take a set network, as autoencoder")
        if self.refiner.model != "none":
            raise ValueError("a refiner goes with orientation = 'user' only; set ratings.refiner.model = 'none'")
