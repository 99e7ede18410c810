"""Model card: what a bundle is for, how well it does what, and for whom not (Mitchell et al., 2019)."""

from __future__ import annotations

import re
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from training.report.particulars import data_particulars, training_particulars
from training.report.quality import Quality
from training.report.quality_grids import (
    GROUP_NOTES,
    beyond_grid,
    group_grids,
    quality_grid,
    rating_grid,
    validation_grid,
)
from training.report.run import Run

TEMPLATE = "model_card.md.jinja"
MARKUP = re.compile(r"([\\`*_\[\]<>#|~$&])")


def model_card(run: Run, quality: Quality | None) -> bytes:
    """Render the card in Markdown, from the same numbers as the page."""
    metrics = run.manifest.metrics
    grids = [quality_grid(quality), beyond_grid(quality), *group_grids(quality)] if quality else []
    more = [grid for grid in (validation_grid(metrics), rating_grid(metrics)) if grid]
    rendered = (
        _environment()
        .get_template(TEMPLATE)
        .render(
            run=run,
            data=data_particulars(run),
            made=training_particulars(run),
            measured=quality,
            beyond=quality.served.beyond_accuracy if quality else {},
            grids=grids + more,
            notes=GROUP_NOTES,
        )
    )
    return rendered.encode()


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("training.report"),
        autoescape=False,  # noqa: S701  # nosec B701 # no HTML; `plain` escapes what Markdown reads
        finalize=plain,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def plain(value: object) -> object:
    """Return text as one line that Markdown shows as it stands; anything else as it is."""
    return MARKUP.sub(r"\\\1", " ".join(value.split())) if isinstance(value, str) else value
