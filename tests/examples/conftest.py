"""A service that knows films, for all examples."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from films import train_on_films
from served import served


@pytest.fixture(scope="session")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    bundle = train_on_films(tmp_path_factory.mktemp("films") / "b")
    with served(bundle, tmp_path_factory.mktemp("v")) as address:
        yield address
