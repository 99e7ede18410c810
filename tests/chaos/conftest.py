"""A bundle for the scenarios that need not train their own."""

from __future__ import annotations

from pathlib import Path

import pytest
from steered_world import train


@pytest.fixture(scope="session")
def chaos_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small bundle with two sources and a ranker."""
    return train(tmp_path_factory.mktemp("chaos") / "b")
