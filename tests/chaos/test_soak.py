"""A short soak: all kinds of requests are answered; benchmarks/chaos.py sends a million and looks at the memory."""

from __future__ import annotations

from pathlib import Path

from chaos.soak import MIX, run


def test_all_kinds_are_answered_and_memory_stays(tmp_path: Path, steered_bundle: Path) -> None:
    figures = run(tmp_path, 4_000, seed=1, workers=1, bundle=steered_bundle)
    assert figures["by status"] == {"200": 4_000}
    assert figures["kinds"].keys() == MIX.keys()
