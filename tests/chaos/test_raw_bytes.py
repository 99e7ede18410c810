"""A short run of hostile bytes; benchmarks/fuzz.py sends many more."""

from __future__ import annotations

from pathlib import Path

from chaos.raw_bytes import run


def test_every_answer_is_http_and_no_error_is_unforeseen(tmp_path: Path, steered_bundle: Path) -> None:
    figures = run(tmp_path, 400, seed=3, bundle=steered_bundle)
    assert {"400", "414", "422", "431", "200"} <= figures["by status"].keys()
