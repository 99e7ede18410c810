"""Page: the report as one HTML file that needs nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from training.report.examples import examples_of
from training.report.grid import Grid, percent, probability, share
from training.report.item_map import ItemMap
from training.report.particulars import cleaning_grids, data_particulars, training_particulars
from training.report.picture import curve_pictures, map_picture
from training.report.quality import Quality
from training.report.quality_grids import beyond_grid, group_grids, quality_grid, rating_grid, validation_grid
from training.report.run import Run

SECTIONS = {
    "training": "What was trained on what",
    "curves": "How it learned",
    "quality": "Quality",
    "beyond": "Beyond accuracy",
    "groups": "By group",
    "examples": "Examples",
    "map": "Map of the items",
    "cleaning": "Cleaning",
}
TEMPLATE = "page.html.jinja"


def page(run: Run, quality: Quality | None, item_map: ItemMap | None) -> bytes:
    """Render the page; a section with nothing to show is left out."""
    metrics = run.manifest.metrics
    content: dict[str, Any] = {
        "training": {"data": data_particulars(run), "made": training_particulars(run), "settings": _settings(run)},
        "curves": curve_pictures(run.curve, run.config.metric),
        "quality": [grid for grid in (_test_grid(quality), validation_grid(metrics), rating_grid(metrics)) if grid],
        "beyond": beyond_grid(quality) if quality else None,
        "groups": group_grids(quality) if quality else [],
        "examples": examples_of(run),
        "map": {"drawn": item_map, "picture": map_picture(item_map)} if item_map else None,
        "cleaning": cleaning_grids(run.preparation.reports),
    }
    sections = {name: heading for name, heading in SECTIONS.items() if content[name]}
    template = _environment().get_template(TEMPLATE)
    rendered = template.render(**content, run=run, sections=sections, tiles=_tiles(quality), measured=quality)
    return rendered.encode()


@cache
def _environment() -> Environment:
    # Titles and names come from strangers' files: every one of them is escaped.
    return Environment(
        loader=PackageLoader("training.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _test_grid(quality: Quality | None) -> Grid | None:
    return quality_grid(quality) if quality else None


def _settings(run: Run) -> str:
    manifest = run.manifest
    settings: Mapping[str, Any] = {
        "sources": {source.name: source.config for source in manifest.sources},
        "ranker": manifest.ranker.config | {"features": manifest.ranker.features} if manifest.ranker else None,
        "cleaning": manifest.data.cleaning,
    }
    return json.dumps(settings, indent=2, ensure_ascii=False)


def _tiles(quality: Quality | None) -> list[tuple[str, str, str]]:
    """Return the few numbers that stand at the top: label, value, note."""
    if quality is None:
        return []
    served, metric, lead = quality.served, quality.metric, quality.lead()
    low, high = served.intervals[metric]
    tiles = [(metric, share(served.means[metric]), f"95 % interval {share(low)} to {share(high)}")]
    if lead is not None:
        tiles.append(
            (f"Against {lead.baseline}", percent(lead.share, is_signed=True), f"p {_equals(probability(lead.p_value))}")
        )
    tiles.append(("HR@10", percent(served.means["HR@10"], 1), "users with a hit among ten"))
    tiles.append(
        ("Coverage@10", percent(served.beyond_accuracy["Coverage@10"], 1), "of the catalogue is shown to someone")
    )
    return tiles


def _equals(p_value: str) -> str:
    return p_value if p_value.startswith("<") else f"= {p_value}"
