"""RetrieverConfig: one source of candidates and how it learns."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator
from torch import nn

from engine.errors import ConfigError
from engine.features import TABLES
from models import RETRIEVERS, SequenceEncoder
from training.stage_config import StageConfig, check_network

POPULARITY = "popularity"
CONTENT = "content"
FULL_SOFTMAX_UP_TO = 20_000
SAMPLED = ("sampled_softmax", "bpr", "bce", "gbce", "ccl")
UNIT_LENGTH_LOSSES = ("ccl", "bpr", "mse")
MaskRate = Annotated[float, Field(ge=0, lt=1)]
NAMING = {"name", "model", "depth"}


class RetrieverConfig(StageConfig):
    """A source of candidates: a network of models/, an item-to-item table, or popularity."""

    name: str = Field(default="", pattern="^([a-z][a-z0-9_]{0,63})?$")
    """What answers and features call it; by default the model's name."""
    model: str = "sasrec"
    """A network of models/ that encodes the history; or "ease", "cooccurrence", "item_knn", "popularity"; or "content":
    what is like the history by its content."""
    objective: Literal["auto", "next_event", "following", "masked", "reconstruction", "sequence_reconstruction"] = (
        "auto"
    )
    """What it learns to predict (training/objectives.py); "auto" takes what its paper does."""
    loss: Literal["auto", "softmax", "sampled_softmax", "bpr", "bce", "gbce", "ccl", "mse"] = "auto"
    """"auto": softmax over the whole catalogue up to 20,000 items, above it a sampled one; ccl for cosine scores."""
    negatives: int = Field(default=1_024, ge=1)
    """How many items a sampled loss draws for each batch."""
    sampling: Literal["uniform", "popularity", "in_batch"] = "uniform"
    """Where they are drawn from; the sampled softmax corrects what is drawn oftener than uniformly (logQ)."""
    hard_pool: int = Field(default=1, ge=1, le=100)
    """Draw so many times `negatives` and keep for each history those that it scores highest."""
    calibration: float = Field(default=0.75, ge=0, le=1)
    """t of gBCE: 0 is plain BCE, 1 gives calibrated probabilities."""
    margin: float = Field(default=0.4, ge=0, lt=1)
    """Cosine below which the contrastive loss (ccl) leaves a negative alone."""
    negative_weight: float = Field(default=150.0, gt=0)
    """Weight of the mean of the negatives in ccl."""
    mask_rate: MaskRate | tuple[MaskRate, MaskRate] = 0.5
    """Share of the events hidden by the objectives masked and reconstruction; of two, each history draws between."""
    following: int = Field(default=5, ge=1, le=1_000)
    """How many next events the objectives following and sequence_reconstruction predict from each prefix."""
    rare_items: float = Field(default=0.0, ge=0, le=1)
    """Weight of a target is its item's popularity to minus this power, so 1 gives each item the same say."""
    rare_ratings: float = Field(default=0.0, ge=0, le=1)
    """The same for how often the target's rating occurs."""
    events_per_batch: int = Field(default=1_500, ge=1)
    """Events (padding included) in one step."""
    histories: Literal["whole", "newest"] = "whole"
    """Whether an epoch sees all of a history that is longer than the window, in pieces, or only its newest events."""
    batches: int | None = Field(default=None, ge=1)
    """At most so many batches an epoch, drawn anew each time: of much data, validation and checkpoints come sooner."""
    shuffle_ties: bool = True
    """Whether events of one user with equal timestamps are put in a new random order for each epoch."""
    depth: int = Field(default=200, ge=1, le=10_000)
    """How many candidates it proposes to the ranker."""
    continued_rate: float = Field(default=0.8, gt=0, le=1)
    """Share of learning_rate with which the final retriever goes on from the first one."""
    first_epochs: int = Field(default=8, ge=1)
    """Epochs of the first retriever, which has not seen the held-out events; the final one goes on from it. Without a
    ranker there is none."""
    validate_every: int = Field(default=2, ge=1)
    epochs: int = Field(default=10, ge=1, le=10_000)
    patience: int = Field(default=2, ge=1)
    learning_rate: float = Field(default=6e-3, gt=0, le=1)
    warmup_steps: int = Field(default=60, ge=0)
    weight_decay: float = Field(default=0.05, ge=0, le=1)
    averaging: float = Field(default=0.995, ge=0, lt=1)

    @property
    def kind(self) -> Literal["network", "neighbours", "popularity", "content"]:
        """What the source is made of."""
        if self.model == CONTENT:
            return "content"
        if self.model == POPULARITY:
            return "popularity"
        return "neighbours" if self.model in TABLES else "network"

    @property
    def source_name(self) -> str:
        """The name that answers and features show; an item-to-item table goes by its model's name."""
        return self.name or self.model

    def loss_over(self, item_count: int) -> str:
        """Return the loss over so many items, "auto" being resolved; raises ConfigError on what does not go with it."""
        if self.loss != "auto":
            return self.loss
        if bool(getattr(self._made(), "unit_length", False)):
            return "ccl"
        if item_count > FULL_SOFTMAX_UP_TO:
            return "sampled_softmax"
        if self.hard_pool > 1:
            raise ConfigError(
                f"{self.source_name}: hard_pool is for sampled losses, and over {item_count:,} items the loss is"
                " softmax; set loss = 'sampled_softmax'"
            )
        return "softmax"

    @field_validator("mask_rate")
    @classmethod
    def _ascends(cls, rate: float | tuple[float, float]) -> float | tuple[float, float]:
        if isinstance(rate, tuple) and rate[0] > rate[1]:
            raise ValueError(f"mask_rate {rate}: the first share must not be above the second")
        return rate

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.kind != "network":
            self._check_counted()
            return self
        self._check_network()
        return self

    def _made(self) -> nn.Module:
        counted = f" and {[*TABLES, POPULARITY, CONTENT]}"
        return check_network("retriever", self.model, self.network, RETRIEVERS, {"item_count"}, counted)

    def _check_network(self) -> None:
        network = self._made()
        self._check_objective(network)
        self._check_loss(network)

    def _check_counted(self) -> None:
        if self.source_name != self.model:
            raise ValueError(f"{self.model} is counted once for all; leave out name = {self.name!r}")
        if trained := self.model_fields_set - NAMING:
            raise ValueError(f"{self.model} is counted, not trained; leave out {sorted(trained)}")

    def _check_objective(self, network: nn.Module) -> None:
        if self.objective == "next_event" and not isinstance(network, SequenceEncoder):
            raise ValueError(
                f"{self.model} reads a history as a whole and cannot learn by next_event; take following or masked"
            )
        if self.objective == "sequence_reconstruction" and not hasattr(network, "reconstructions"):
            raise ValueError(f"{self.model} has no decoder for sequence_reconstruction; take recurrent_autoencoder")
        if self.hard_pool > 1 and self.loss not in ("auto", *SAMPLED):
            raise ValueError(f"hard_pool is for the sampled losses {SAMPLED}, not for {self.loss}")

    def _check_loss(self, network: nn.Module) -> None:
        unit_length = bool(getattr(network, "unit_length", False))
        if self.loss == "ccl" and not unit_length:
            raise ValueError(f"ccl compares cosines, and {self.model} scores without a bound; take simplex, or softmax")
        if unit_length and self.loss not in ("auto", *UNIT_LENGTH_LOSSES):
            raise ValueError(f"{self.model} scores within -1..1, too narrow for {self.loss}; take ccl or bpr")
