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

import psutil

STORES = ("valkey-server", "redis-server")


@dataclass
class ServingProcess:
    port: int
    process: subprocess.Popen[bytes]
    seconds_to_ready: float

    def resident_megabytes(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def family(self) -> list[psutil.Process]:
        """Return the processes that serve; a store of their own is none of them."""
        root = psutil.Process(self.process.pid)
        family = [root, *root.children(recursive=True)]
        return [each for each in family if not each.name().startswith(STORES)]

    def cpu_seconds(self) -> float:
        """Return the processor time that all of them have used."""
        return sum(sum(each.cpu_times()[:2]) for each in self.family())

    def megabytes(self) -> dict[str, float]:
        """Return the share of memory (PSS) of the one that has most, and what that has to itself."""
        most = max((each.memory_full_info() for each in self.family()), key=lambda info: info.pss)
        return {"share (PSS)": round(most.pss / 1e6, 1), "private (USS)": round(most.uss / 1e6, 1)}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def serving(
    command: Sequence[str], port: int, path: str, *, wanted: int = 200, **environment: str
) -> Iterator[ServingProcess]:
    """Run a command that listens on the port, and wait until the path answers as wanted."""
    started = time.perf_counter()
    process = subprocess.Popen(command, env=os.environ | environment, start_new_session=True)
    try:
        while answers(port, path) != wanted:
            if process.poll() is not None or time.perf_counter() - started > 60:
                raise SystemExit(f"{' '.join(command)} does not serve {path}")
            time.sleep(0.005)
        yield ServingProcess(port, process, time.perf_counter() - started)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)


def answers(port: int, path: str) -> int:
    """Return the status that the path answers, 0 for none."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()
