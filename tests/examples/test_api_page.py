"""docs/api.md says what the service does."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from app.list_options import TrendingOptions
from app.options import RecommendOptions
from engine.boost import Boost
from engine.filter_expression import FilterExpression
from engine.window import DEFAULT_WEIGHTS

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
SECTIONS = dict(re.findall(r"^## ([^\n]*)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
BEYOND = {"window"}


def rows(section: str) -> list[list[str]]:
    lines = re.findall(r"^\|(.*)\|$", SECTIONS[section], re.MULTILINE)
    return [[cell.strip() for cell in line.split(" | ")] for line in lines]


def test_every_endpoint_has_its_row(url: str) -> None:
    paths = httpx.get(f"{url}/openapi.json").json()["paths"]
    offered = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    named = set[tuple[str, str]]()
    for cell, *_ in rows("Endpoints, and their counterparts"):
        for method, path in re.findall(r"`([A-Z]+) (/[^`]*)`", cell):
            named.add((method, path))
            named |= {(method, f"{path.rpartition('/')[0]}{more}") for more in re.findall(r", `(/[^`]*)`", cell)}
    assert named - {("PUT", "/feedback")} == offered - {("GET", "/metrics")}


def test_every_option_has_its_row() -> None:
    named = set(re.findall(r"`(\w+)`", " ".join(row[0] for row in rows("Options of a recommendation"))))
    assert named == RecommendOptions.model_fields.keys()
    assert TrendingOptions.model_fields.keys() - named == BEYOND


@pytest.mark.parametrize("filter_text", re.findall(r"\| `([^`]*)` \|$", SECTIONS["Filters"], re.MULTILINE))
def test_filters_can_be_read(filter_text: str) -> None:
    FilterExpression.parse(filter_text)


def test_boosts_can_be_read() -> None:
    for text in re.findall(r"`boost=([^`]*)`", SECTIONS["Boosts"]):
        assert Boost.parse(text).weight == 0.5


def test_weights_are_the_default_ones() -> None:
    said = dict[str, float]()
    for kinds, weights, _ in rows("Ratings and feedback")[3:]:
        names = re.findall(r"`(\w+)`", kinds)
        said |= dict(zip(names, map(float, weights.split(", ")), strict=True))
    assert said == DEFAULT_WEIGHTS
