"""The files of a report, by the names that they have in the bundle."""

from __future__ import annotations

from training.report.item_map import ItemMap
from training.report.item_map_drawing import item_map_png
from training.report.model_card import model_card
from training.report.page import page
from training.report.quality import Quality
from training.report.run import Run

PAGE = "report.html"
CARD = "MODEL_CARD.md"
ITEM_MAP = "item_map.png"


def report_files(run: Run) -> dict[str, bytes]:
    """Measure what a report needs beyond the manifest, and write page, model card and map."""
    quality, item_map = Quality.of(run), ItemMap.of(run.bundle)
    files = {PAGE: page(run, quality, item_map), CARD: model_card(run, quality)}
    return files if item_map is None else files | {ITEM_MAP: item_map_png(item_map, with_legend=True)}
