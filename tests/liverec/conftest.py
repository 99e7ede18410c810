"""A service that knows films, and both clients of it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flaky_proxy import FlakyProxy
from recorded import PARTITIONS
from served import served

from app.embedded_store import EmbeddedStore
from liverec.client import AsyncClient, Client
from liverec.command_line import main


class Awaited:
    """An AsyncClient whose calls are waited for, so that one test does for both clients."""

    def __init__(self, runner: asyncio.Runner, client: AsyncClient) -> None:
        self._runner = runner
        self._client = client

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def method(*arguments: object, **named: object) -> Any:
            return self._runner.run(getattr(self._client, name)(*arguments, **named))

        return method

    def pages(self, *arguments: object, **named: object) -> list[Any]:
        async def all_of_them() -> list[Any]:
            return [page async for page in self._client.pages(*arguments, **named)]

        return self._runner.run(all_of_them())


Connect = Callable[..., Any]


@pytest.fixture(scope="session")
def films_url(films_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(films_bundle, tmp_path_factory.mktemp("v")) as address:
        yield address


@pytest.fixture(params=["plain", "async"])
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Make clients of one kind, which are closed at the end."""
    if request.param == "plain":
        made: list[Client] = []
        yield lambda *arguments, **named: made.append(Client(*arguments, **named)) or made[-1]
        for each in made:
            each.close()
        return
    with asyncio.Runner() as runner:
        awaited: list[Awaited] = []
        yield lambda *a, **named: awaited.append(Awaited(runner, AsyncClient(*a, **named))) or awaited[-1]
        for each in awaited:
            each.close()


@pytest.fixture
def client(connect: Connect, films_url: str) -> Any:
    return connect(films_url)


@pytest.fixture
def proxy(films_url: str) -> Iterator[FlakyProxy]:
    """What stands between client and service, and fails when told to."""
    with FlakyProxy(films_url) as between:
        yield between


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """A store that nobody else uses."""
    with EmbeddedStore(tmp_path) as store:
        yield store.url


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    """Run a command of events on a store; return its exit code and what it said."""
    monkeypatch.setenv("LIVEREC_PARTITIONS", str(PARTITIONS))
    monkeypatch.setenv("LIVEREC_STORE_TIMEOUT_SECONDS", "20")
    monkeypatch.setenv("COLUMNS", "1000")

    def one(*arguments: object, url: str = "") -> tuple[int, str]:
        monkeypatch.setenv("REDIS_URL", url)
        monkeypatch.setattr(sys, "argv", ["liverec", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), " ".join(capsys.readouterr().err.split())

    return one
