"""The short form of `python benchmarks/chaos.py bulk_kills`."""

from __future__ import annotations

from pathlib import Path

from chaos.bulk_kills import EVENTS, run


def test_no_kill_loses_or_doubles_what_an_upload_reported(tmp_path: Path, steered_bundle: Path) -> None:
    found = run(tmp_path, size=1, seed=1, bundle=steered_bundle)
    assert found["acknowledged"] == found["logged"] == 2 * EVENTS
    assert found["reported before"] > 0
