"""A process that serves HTTP, for benchmarks: started, waited for, measured, stopped."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass
class ServingProcess:
    port: int
    process: subprocess.Popen[bytes]
    seconds_to_ready: float

    def resident_megabytes(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def serving(command: Sequence[str], port: int, path: str, **environment: str) -> Iterator[ServingProcess]:
    """Run a command that listens on the port, and wait until the path answers 200."""
    started = time.perf_counter()
    process = subprocess.Popen(command, env=os.environ | environment, start_new_session=True)
    try:
        while not answers(port, path):
            if process.poll() is not None or time.perf_counter() - started > 60:
                raise SystemExit(f"{' '.join(command)} does not serve {path}")
            time.sleep(0.005)
        yield ServingProcess(port, process, time.perf_counter() - started)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)


def answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
