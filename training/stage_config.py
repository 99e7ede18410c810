"""StageConfig: what every stage has, a network and how it learns."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from pydantic import Field
from torch import nn

from training.section import Section


class StageConfig(Section):
    """A network and how it learns."""

    network: dict[str, Any] = Field(default_factory=dict)
    """Arguments of the network's class; see the files in models/."""
    epochs: int = Field(ge=1, le=10_000)
    """Passes over the data at most."""
    patience: int = Field(ge=1)
    """Stop after so many validations without a better result."""
    learning_rate: float = Field(gt=0, le=1)
    """Peak learning rate; it warms up linearly and falls as a cosine."""
    warmup_steps: int = Field(ge=0)
    """Steps until the peak learning rate."""
    weight_decay: float = Field(ge=0, le=1)
    """Decoupled weight decay (AdamW) of the network."""
    embedding_decay: float = Field(default=0.0, ge=0, le=1)
    """Decoupled weight decay of the item vectors."""
    validate_every: int = Field(default=1, ge=1)
    """Epochs between two validations."""
    averaging: float = Field(ge=0, lt=1)
    """Decay of the moving average of the weights that is validated and exported; 0 switches it off."""


def check_network(
    stage: str,
    model: str,
    arguments: Mapping[str, Any],
    known: Mapping[str, type[nn.Module]],
    given: set[str],
    also: str = "",
) -> nn.Module:
    """Make the network without memory; raises ValueError naming what it does not take."""
    if model not in known:
        raise ValueError(f"unknown {stage} {model!r}; known: {sorted(known)}{also}")
    allowed = set(inspect.signature(known[model]).parameters) - given - {"facts"}
    if unknown := set(arguments) - allowed:
        raise ValueError(f"{model} takes no {sorted(unknown)}; it takes {sorted(allowed)}")
    try:
        with torch.device("meta"):
            return known[model](*(4 for _ in given), **arguments)
    except (TypeError, ValueError, RuntimeError, ArithmeticError) as error:
        raise ValueError(f"{model} cannot be made with {dict(arguments)}: {error}") from error
