"""Picture: a drawing inside a page, once for light and once for dark surroundings."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from training.curve import CurvePoint
from training.report.curve_drawing import curves_png, measured_metric
from training.report.item_map import ItemMap
from training.report.item_map_drawing import item_map_png

# matplotlib's settings by name
Theme = dict[Any, Any]


def _theme(ink: str, paper: str, line: str) -> Theme:
    clear: Theme = {"axes.facecolor": "none", "savefig.facecolor": "none", "font.size": 11.0}
    inked = ("text.color", "axes.labelcolor", "axes.titlecolor", "xtick.color", "ytick.color")
    return clear | dict.fromkeys(inked, ink) | {"axes.edgecolor": line, "figure.facecolor": paper}


LIGHT = _theme("#1c2330", "#ffffff", "#9aa3b2")
DARK = _theme("#e4e8ef", "#171c26", "#5b6577")


@dataclass(frozen=True, slots=True)
class Picture:
    """Two PNG files as data URIs, their size in pixels, and what they show in words."""

    light: str
    dark: str
    width: int
    height: int
    alt: str

    @classmethod
    def of(cls, draw: Callable[[], bytes], alt: str) -> Picture:
        """Draw twice."""
        light, dark = _drawn(draw, LIGHT), _drawn(draw, DARK)
        width, height = struct.unpack(">II", light[16:24])
        return cls(_uri(light), _uri(dark), width, height, alt)


def curve_pictures(curve: Sequence[CurvePoint], metric: str) -> list[Picture]:
    """Draw one picture for each stage that learned."""
    stages: dict[str, list[CurvePoint]] = {}
    for point in curve:
        stages.setdefault(point.stage, []).append(point)
    return [_curve_picture(own, metric) for own in stages.values()]


def map_picture(item_map: ItemMap) -> Picture:
    """Draw the map; its legend stands in the page."""
    colours = ", coloured by category" if item_map.has_categories else ""
    alt = f"Map of {len(item_map.titles):,} items{colours}; the table below names some neighbours"
    return Picture.of(lambda: item_map_png(item_map, with_legend=False), alt)


def _curve_picture(own: Sequence[CurvePoint], metric: str) -> Picture:
    words = f"Learning curve of {own[0].stage}: {len(own)} epochs, loss from {own[0].loss:.4g} to {own[-1].loss:.4g}"
    if (shown := measured_metric(own, metric)) is not None:
        values = ", ".join(f"{point.metrics[shown]:.4f}" for point in own if shown in point.metrics)
        words += f"; validation {shown} {values}"
    return Picture.of(lambda: curves_png(own, metric), words)


def _drawn(draw: Callable[[], bytes], theme: Theme) -> bytes:
    from matplotlib import rc_context

    with rc_context(theme):
        return draw()


def _uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
