"""The item map as a picture: points, and as many titles as have room."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from training.report.item_map import ItemMap

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LABELS = 18
TRIED = 150
LONGEST_LABEL = 30
# The room of one letter and of a line, in shares of the picture's width and height.
LETTER, LINE = 0.0093, 0.036
Box = tuple[float, float, float, float]
Side = Literal["left", "right"]


def item_map_png(item_map: ItemMap, *, with_legend: bool) -> bytes:
    """Draw the map in the colours that matplotlib is set to."""
    from matplotlib import rc_context

    # A title with dollars is no formula.
    with rc_context({"text.parse_math": False}), warnings.catch_warnings():
        # A title in a script that the font lacks shows boxes; that is no reason to trouble whoever trains.
        warnings.simplefilter("ignore")
        return _drawn(item_map, with_legend=with_legend)


def _drawn(item_map: ItemMap, *, with_legend: bool) -> bytes:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6.4), layout="constrained")
    axes = figure.add_subplot()
    axes.set(xticks=[], yticks=[], frame_on=False)
    _draw_points(axes, item_map)
    _draw_titles(axes, item_map)
    if with_legend and item_map.has_categories:
        legend = axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, reverse=True)
        for handle in filter(None, legend.legend_handles):
            handle.set(sizes=[45.0])
    encoded = io.BytesIO()
    figure.savefig(encoded, format="png", dpi=120)
    return encoded.getvalue()


def _draw_points(axes: Axes, item_map: ItemMap) -> None:
    sizes = 8.0 + 110.0 * item_map.popularity / item_map.popularity.max()
    for kind in reversed(item_map.kinds):
        rows = list(kind.rows)
        across, up = item_map.points[rows].T
        # A label that starts with _ would be taken for a hidden one.
        label = f"{kind.name} ({len(rows):,})".lstrip("_")
        axes.scatter(across, up, s=sizes[rows], color=kind.colour, alpha=0.75, linewidths=0, label=label)


def _draw_titles(axes: Axes, item_map: ItemMap) -> None:
    from matplotlib import rcParams
    from matplotlib.patheffects import withStroke

    halo = [withStroke(linewidth=2.5, foreground=rcParams["figure.facecolor"])]
    for row, side in _placed(item_map):
        axes.annotate(
            _label(item_map.titles[row]),
            tuple(item_map.points[row]),
            xytext=(4 if side == "left" else -4, 3),
            textcoords="offset points",
            ha=side,
            fontsize=9,
            path_effects=halo,
        )


def _placed(item_map: ItemMap) -> list[tuple[int, Side]]:
    """Choose the most popular items whose titles have room beside those chosen before, and how to align them."""
    low, high = item_map.points.min(axis=0), item_map.points.max(axis=0)
    places: npt.NDArray[np.float64] = (item_map.points - low) / (high - low)
    chosen: list[tuple[int, Side]] = []
    boxes: list[Box] = []
    for row, (across, up) in enumerate(places[:TRIED].tolist()):
        width = LETTER * len(_label(item_map.titles[row]))
        side: Side = "left" if across + width <= 1.0 else "right"
        left = across if side == "left" else across - width
        box = (left, up, left + width, up + LINE)
        if not any(_overlap(box, other) for other in boxes):
            chosen.append((row, side))
            boxes.append(box)
    return chosen[:LABELS]


def _label(title: str) -> str:
    return title if len(title) <= LONGEST_LABEL else f"{title[: LONGEST_LABEL - 1]}…"


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
