"""Curve: how a stage learned, as numbers and as a picture."""

from __future__ import annotations

import io
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


def curves_png(points: Sequence[CurvePoint], metric: str) -> bytes:
    """Draw loss and a validation metric of each stage over its epochs."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    stages = list(dict.fromkeys(point.stage for point in points))
    figure = Figure(figsize=(5 * len(stages), 3.4), layout="constrained")
    for axes, stage in zip(figure.subplots(1, len(stages), squeeze=False)[0], stages, strict=True):
        own = [point for point in points if point.stage == stage]
        axes.plot([point.epoch for point in own], [point.loss for point in own], color="tab:grey", label="loss")
        axes.set(title=stage, xlabel="epoch", ylabel="training loss")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        measured = [point for point in own if point.metrics]
        right = axes.twinx()
        shown = metric if all(metric in point.metrics for point in measured) else "RMSE"
        right.plot([point.epoch for point in measured], [point.metrics[shown] for point in measured], marker="o", ms=3)
        right.set_ylabel(f"validation {shown}", color="tab:blue")
    encoded = io.BytesIO()
    figure.savefig(encoded, format="png", dpi=110)
    return encoded.getvalue()
