"""The archiver loses nothing and doubles nothing, whenever it is killed; benchmarks/chaos.py kills it more often."""

from __future__ import annotations

from pathlib import Path

from chaos.archiver_kills import run


def test_nothing_is_lost_or_doubled_when_the_archiver_is_killed(tmp_path: Path) -> None:
    figures = run(tmp_path, size=8, seed=6)
    assert figures["acknowledged"] == figures["rows"] > 100
    assert figures["files written"] > 1, "it was killed before it did anything"
