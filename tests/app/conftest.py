"""A real service: uvicorn processes on a free port, around a real store."""

from __future__ import annotations

import os
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
from tiny import TINY
from worlds import markov_chain

from training.config import TrainingConfig
from training.dataset import Dataset
from training.pipeline import Pipeline
from training.preparation import Preparation

START_SECONDS = 40.0


class Service:
    """One `liverec serve` with its workers."""

    def __init__(self, bundle: Path, redis_url: str, workers: int, **environment: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        command = [sys.executable, "-m", "liverec", "serve", "--bundle", str(bundle), "--port", str(self.port)]
        variables = os.environ | {"REDIS_URL": redis_url} | environment
        variables = {name: value for name, value in variables.items() if value}
        self.process = subprocess.Popen([*command, "--workers", str(workers)], env=variables, stderr=subprocess.PIPE)
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
def start(tiny_bundle: Path, store_url: str) -> Iterator[Start]:
    """Start services that are stopped at the end."""
    running: list[Service] = []

    def one(workers: int = 1, redis_url: str = store_url, bundle: Path = tiny_bundle, **environment: str) -> Service:
        service = Service(bundle, redis_url, workers, **environment)
        running.append(service)
        service.wait()
        return service

    yield one
    for service in running:
        service.stop()


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
    return start(workers=2, LIVEREC_VAR=str(tmp_path_factory.mktemp("v")))
