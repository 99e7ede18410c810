"""The picture of benchmarks/serving.py: throughput beside the ceilings, and latencies at a constant rate.

python benchmarks/serving_chart.py    (again, from results/serving.json)
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import result

OURS, OTHERS, PERCENTILES = "#2f6f9f", "#b0b0b0", ("p50", "p90", "p99", "p99.9")


def draw(rows: Mapping[str, Any], path: Path) -> None:
    """Write the picture as SVG."""
    # Without it each picture of the same numbers would differ.
    with plt.rc_context({"svg.hashsalt": "liverec", "font.size": 9}):
        figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
        _throughput(left, rows["throughput"])
        _latencies(right, rows["milliseconds at 60 % of the throughput"])
        figure.savefig(path, metadata={"Date": None})
        plt.close(figure)


def _throughput(axes: Any, rows: Mapping[str, Mapping[str, float]]) -> None:  # noqa: ANN401 (matplotlib names no type)
    counts = {name: row["requests/s on 8"] for name, row in rows.items()}
    names = sorted(counts, key=counts.__getitem__)
    colours = [OTHERS if name.startswith(("ceiling", "LibRecommender")) else OURS for name in names]
    bars = axes.barh(names, [counts[name] for name in names], color=colours)
    axes.bar_label(bars, fmt="{:,.0f}", padding=3)
    axes.set(title="requests a second, eight connections", xlim=(0, 1.15 * max(counts.values())))
    axes.spines[["top", "right"]].set_visible(False)


def _latencies(axes: Any, rows: Mapping[str, Mapping[str, float]]) -> None:  # noqa: ANN401
    for name, row in rows.items():
        axes.plot(PERCENTILES, [row[mark] for mark in PERCENTILES], marker="o", markersize=3, label=name)
    axes.set(title="milliseconds at 60 % of the throughput, open loop", yscale="log")
    axes.grid(axis="y", which="both", alpha=0.3)
    axes.legend(fontsize=7)
    axes.spines[["top", "right"]].set_visible(False)


def main() -> None:
    rows = json.loads((result.RESULTS / "serving.json").read_text())["rows"]
    draw(rows, result.RESULTS / "serving.svg")


if __name__ == "__main__":
    main()
