"""A service that knows films, for all examples."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from served import served


@pytest.fixture(scope="session")
def url(films_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(films_bundle, tmp_path_factory.mktemp("v")) as address:
        yield address
