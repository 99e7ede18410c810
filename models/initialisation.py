"""How weights start: Glorot & Bengio, "Understanding the difficulty of training deep feedforward networks", 2010."""

from __future__ import annotations

from torch import nn


def glorot(module: nn.Module) -> None:
    """Draw dense weights uniformly and item vectors normally by Glorot's variance, biases zero; for `Module.apply`."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Embedding):
        nn.init.xavier_normal_(module.weight)
