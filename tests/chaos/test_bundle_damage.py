"""The short form of bundle_damage: nothing damaged opens, nothing crafted crashes."""

from __future__ import annotations

from pathlib import Path

from chaos.bundle_damage import craft, damage


def test_nothing_damaged_opens(topic_bundle: Path, tmp_path: Path) -> None:
    found = damage(topic_bundle, tmp_path, size=700, seed=1)
    assert found["damages"] >= 700


def test_nothing_crafted_crashes(topic_bundle: Path, tmp_path: Path) -> None:
    found = craft(topic_bundle, tmp_path, size=100, seed=1)
    assert found["crafted"] == 100
    assert found["refused"] >= 66
