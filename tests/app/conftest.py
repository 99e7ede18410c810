"""A real service: uvicorn processes on a free port, around a real store."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import polars as pl
import pytest
from chaos.rolling_restart import relatives
from tiny import TINY
from worlds import markov_chain

from app.embedded_store import EmbeddedStore
from training.config import TrainingConfig
from training.dataset import Dataset
from training.pipeline import Pipeline
from training.preparation import Preparation

START_SECONDS = 40.0
CONTENT_SERVICE = Path(__file__).with_name("content_service.py")


class Service:
    """One `liverec serve` with its workers, or one worker whose bundle reads content."""

    def __init__(
        self, bundle: Path, redis_url: str, workers: int, content: str | None = None, **environment: str
    ) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        command = [sys.executable, "-m", "liverec", "serve", "--bundle", str(bundle), "--port", str(self.port)]
        command += ["--workers", str(workers)]
        if content is not None:
            command = [sys.executable, str(CONTENT_SERVICE), str(bundle), str(self.port), content]
        variables = os.environ | {"REDIS_URL": redis_url} | environment
        variables = {name: value for name, value in variables.items() if value}
        self.process = subprocess.Popen(command, env=variables, stderr=subprocess.PIPE)
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=10)

    def wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.process.stderr.read().decode()
            try:
                if self.http.get("/health/ready").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError("the service did not become ready")

    def stop(self, how: signal.Signals = signal.SIGINT) -> int:
        self.http.close()
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(20)
        finally:
            self.process.kill()
            self.process.stderr.close()


Start = Callable[..., Service]


@pytest.fixture(scope="session")
def running() -> Iterator[list[Service]]:
    """All services that nobody has stopped yet but those that last."""
    services: list[Service] = []
    yield services
    stop_all(services)


@pytest.fixture(scope="module", autouse=True)
def stopped_with_the_module(running: list[Service]) -> Iterator[None]:
    """Stop what the tests of a module have started: an idle service takes time from all that follow."""
    yield
    stop_all(running)


def stop_all(services: list[Service]) -> None:
    """Stop services, and forget them."""
    while services:
        services.pop().stop()


@pytest.fixture(scope="session")
def start(tiny_bundle: Path, store_url: str, running: list[Service]) -> Iterator[Start]:
    """Start services that are stopped at the end of the module, or, those that last, of all tests."""
    lasting: list[Service] = []

    def one(
        workers: int = 1,
        redis_url: str = store_url,
        bundle: Path = tiny_bundle,
        content: str | None = None,
        lasts: bool = False,
        **environment: str,
    ) -> Service:
        service = Service(bundle, redis_url, workers, content, **environment)
        (lasting if lasts else running).append(service)
        service.wait()
        return service

    yield one
    stop_all(lasting)


@pytest.fixture(scope="session")
def implicit_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of data without ratings."""
    views = markov_chain().with_columns(kind=pl.lit("view"), value=pl.lit(None, dtype=pl.Float64))
    chosen = {**TINY, "retriever": {"model": "popularity"}, "ranker": {"model": "none"}}
    config = TrainingConfig.model_validate(chosen)
    folder = tmp_path_factory.mktemp("implicit") / "b"
    Pipeline(Preparation.of(Dataset("views", {"all": views.lazy()}, None), config), config, print).run(folder)
    return folder


@pytest.fixture(scope="session")
def service(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Service:
    """Two workers on one store."""
    return start(workers=2, lasts=True, LIVEREC_VAR=str(tmp_path_factory.mktemp("v")))


@pytest.fixture(scope="module")
def bundles(steered_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the bundles a and b and a damaged one."""
    folder = tmp_path_factory.mktemp("relatives")
    shutil.copytree(steered_bundle, folder / "a")
    relatives(folder / "a")
    return folder


@pytest.fixture(scope="session")
def steered_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A store to which nobody adds items: the tests with that bundle know all that can be answered."""
    with EmbeddedStore(tmp_path_factory.mktemp("k")) as store:
        yield store.url


@pytest.fixture(scope="session")
def steered(
    start: Start, steered_bundle: Path, steered_store: str, tmp_path_factory: pytest.TempPathFactory
) -> Service:
    """Two workers with that bundle."""
    var = str(tmp_path_factory.mktemp("w"))
    return start(workers=2, lasts=True, redis_url=steered_store, bundle=steered_bundle, LIVEREC_VAR=var)


@pytest.fixture(scope="session")
def item_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A store for the tests that change items, so that no others see them."""
    with EmbeddedStore(tmp_path_factory.mktemp("i")) as store:
        yield store.url


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """A store that nobody else uses."""
    with EmbeddedStore(tmp_path) as store:
        yield store.url


@pytest.fixture(scope="session")
def pair(start: Start, item_store: str) -> tuple[Service, Service]:
    """Two workers, each with a port of its own, whose bundle reads content."""
    first, second = (start(redis_url=item_store, content="1", lasts=True) for _ in range(2))
    return first, second


@pytest.fixture(scope="session")
def reader(pair: tuple[Service, Service]) -> Service:
    """A worker whose bundle reads content."""
    return pair[0]
