"""A service as people start it: `liverec serve` with a store of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[1]
START_SECONDS = 40.0


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def served(bundle: Path, var: Path, **settings: str) -> Iterator[str]:
    """Serve a bundle, with a store of its own if REDIS_URL is not given; gives the URL."""
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
    environment |= {"LIVEREC_VAR": str(var), **settings}
    command = [sys.executable, "-m", "liverec", "serve", "--bundle", str(bundle), "--port", str(port)]
    with subprocess.Popen(command, env=environment, cwd=ROOT) as process:
        try:
            wait_for(f"http://127.0.0.1:{port}/health/ready", process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    """Return once the address answers 200; fails if the process ends or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    with httpx.Client() as http:
        while time.monotonic() < deadline:
            assert process.poll() is None
            with suppress(httpx.TransportError):
                if http.get(address).status_code == 200:
                    return
            time.sleep(0.05)
    raise AssertionError(f"{address} did not become ready")
