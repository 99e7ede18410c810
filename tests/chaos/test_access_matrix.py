"""The whole matrix, once."""

from __future__ import annotations

from pathlib import Path

from chaos.access_matrix import run


def test_no_key_does_what_it_may_not_do(tiny_bundle: Path, tmp_path: Path) -> None:
    figures = run(tmp_path, 1, seed=1, bundle=tiny_bundle)
    assert figures["leaks"] == 0
    assert int(str(figures["cases"])) > 1_000
    assert min(int(str(figures[each])) for each in ("let in", "401", "403")) > 100
