"""A short outage of each kind; that it is a short one proves all but the times."""

from __future__ import annotations

from pathlib import Path

from chaos.store_outage import run


def test_the_store_goes_away_and_comes_back(tiny_bundle: Path, tmp_path: Path) -> None:
    figures = run(tmp_path, 3, seed=1, bundle=tiny_bundle)
    assert (figures["lost"], figures["doubled"]) == (0, 0)
    assert int(str(figures["reads"])) > 500
