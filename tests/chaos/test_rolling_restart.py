"""One round of restarts and swaps under load; benchmarks/chaos.py does many."""

from __future__ import annotations

from pathlib import Path

from chaos.rolling_restart import run


def test_no_request_fails_while_workers_and_bundles_change(tmp_path: Path, steered_bundle: Path) -> None:
    figures = run(tmp_path, 1, seed=1, bundle=steered_bundle)
    assert figures["requests"] > 300
    assert figures["ratings acknowledged"] > 50
