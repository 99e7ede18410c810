"""Contestants: the servers that benchmarks/serving.py measures, each started, filled and stopped."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import traffic
from peers.environment import PeerError, installed
from serving_process import ServingProcess, free_port, serving

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from valkey_server import ValkeyServer

HERE = Path(__file__).parent
PEER_PACKAGES = ("LibRecommender==1.5.2", "faiss-cpu", "pydantic", "redis", "sanic", "ujson", "uvloop")


@contextlib.contextmanager
def liverec(bundle: Path, folder: Path, workers: int, **settings: str) -> Iterator[ServingProcess]:
    """Serve a bundle, with a store of its own in the folder."""
    port = free_port()
    command = [sys.executable, "-m", "liverec", "serve", "--bundle", str(bundle), "--port", str(port)]
    places = {"LIVEREC_VAR": str(folder), "PYTHONPATH": str(HERE.parent), "LIVEREC_WORKERS": str(workers), **settings}
    with serving(command, port, "/health/ready", **places) as process:
        yield process


def fill(process: ServingProcess, item_ids: list[str]) -> None:
    """Give a service the histories of all who will ask."""
    with httpx.Client(base_url=f"http://127.0.0.1:{process.port}", timeout=60) as http:
        for events in traffic.histories(item_ids, np.random.default_rng(1)):
            http.post("/rate", json=events).raise_for_status()


def ask_everybody(process: ServingProcess) -> None:
    """Have a service keep an answer for each user."""
    with httpx.Client(base_url=f"http://127.0.0.1:{process.port}", timeout=60) as http:
        for user in range(traffic.USERS):
            http.get(f"/recommend/u{user}").raise_for_status()


@contextlib.contextmanager
def ceiling(store: Path, size: int) -> Iterator[ServingProcess]:
    """Run the bare server, beside the store that a service has in this folder."""
    port = free_port()
    url = f"unix://{store / 'valkey' / 'valkey.sock'}"
    command = [sys.executable, str(HERE / "ceiling.py"), "--port", str(port), "--redis", url, "--size", str(size)]
    with serving(command, port, "/bare") as process:
        yield process


@contextlib.contextmanager
def librecommender(venvs: Path, folder: Path, items: int) -> Iterator[ServingProcess | None]:
    """Run LibRecommender's server in its own environment; None, with a word why, where that cannot be."""
    try:
        python = installed("librecommender", PEER_PACKAGES, venvs)
    except PeerError as error:
        print(f"LibRecommender is NOT MEASURED: {error}", file=sys.stderr)
        yield None
        return
    port = free_port()
    with ValkeyServer(folder, appendonly="no") as store:
        driver = [str(python), str(HERE / "peers" / "librecommender_server.py"), "--port", str(port)]
        driver += ["--redis", f"127.0.0.1:{store.port}", "--items", str(items), "--users", str(traffic.USERS)]
        with serving([*driver, "--seen", str(traffic.EVENTS)], port, "/", wanted=404) as process:
            yield process
