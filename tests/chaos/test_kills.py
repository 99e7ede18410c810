"""The short form of `python benchmarks/chaos.py kills`."""

from __future__ import annotations

from pathlib import Path

from chaos.kills import run


def test_no_kill_loses_or_doubles_what_was_acknowledged(tmp_path: Path, steered_bundle: Path) -> None:
    found = run(tmp_path, size=3, seed=1, bundle=steered_bundle)
    assert found["acknowledged"] == found["logged"] > 100
    assert "200" in found["tries"]
