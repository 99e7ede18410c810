"""Curve: how a stage learned."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One epoch: mean training loss, learning rate, seconds since the start, what validation measured (if it ran)."""

    stage: str
    epoch: int
    seconds: float
    loss: float
    learning_rate: float
    metrics: Mapping[str, float]


def curves_json(points: Sequence[CurvePoint]) -> bytes:
    """Encode the points as JSON."""
    return json.dumps([asdict(point) for point in points], indent=1).encode()
