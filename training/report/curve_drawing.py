"""Learning curves as pictures: training loss, and what validation measured."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from training.curve import CurvePoint

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Both are seen on white and on black.
LOSS, MEASURED = "#8a94a6", "#3f87cf"


def measured_metric(points: Sequence[CurvePoint], metric: str) -> str | None:
    """Return the metric that a stage was validated by: `metric` or one of its own; None if it was not validated."""
    names = next((list(point.metrics) for point in points if point.metrics), [])
    return metric if metric in names else next(iter(names), None)


def curves_png(points: Sequence[CurvePoint], metric: str) -> bytes:
    """Draw the stages side by side, in the colours that matplotlib is set to."""
    from matplotlib.figure import Figure

    stages = list(dict.fromkeys(point.stage for point in points))
    figure = Figure(figsize=(5 * len(stages), 3.3), layout="constrained")
    for axes, stage in zip(figure.subplots(1, len(stages), squeeze=False)[0], stages, strict=True):
        _draw_stage(axes, [point for point in points if point.stage == stage], metric)
    encoded = io.BytesIO()
    figure.savefig(encoded, format="png", dpi=130)
    return encoded.getvalue()


def _draw_stage(axes: Axes, points: Sequence[CurvePoint], metric: str) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.plot([point.epoch for point in points], [point.loss for point in points], color=LOSS, lw=2, marker="o", ms=4)
    axes.set_title(points[0].stage, loc="left", fontweight="bold")
    axes.set(xlabel="epoch", xlim=(points[0].epoch - 0.5, points[-1].epoch + 0.5))
    axes.set_ylabel("training loss")
    axes.spines["top"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    shown = measured_metric(points, metric)
    if shown is None:
        axes.spines["right"].set_visible(False)
    else:
        _draw_measured(axes, [point for point in points if shown in point.metrics], shown)


def _draw_measured(axes: Axes, points: Sequence[CurvePoint], metric: str) -> None:
    right = axes.twinx()
    values = [point.metrics[metric] for point in points]
    right.plot([point.epoch for point in points], values, color=MEASURED, lw=2, marker="o", ms=4)
    right.set_ylabel(f"validation {metric}", color=MEASURED)
    right.spines["top"].set_visible(False)
