"""A service with a store of its own, whose processes, memory and log can be looked at."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from served import ROOT, free_port, wait_for


@dataclass
class ChaosService:
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def workers(self) -> list[psutil.Process]:
        """Return the processes that serve."""
        parent = psutil.Process(self.process.pid)
        return [each for each in parent.children() if _is_worker(each)] or [parent]

    def megabytes(self) -> float:
        """Return the memory of all workers; what they share counts once (PSS)."""
        return sum(each.memory_full_info().pss for each in self.workers()) / 2**20

    def tracebacks(self) -> str:
        text = self.log.read_text(errors="replace")
        return text[text.find("Traceback") :][:3_000] if "Traceback" in text else ""


def _is_worker(process: psutil.Process) -> bool:
    try:
        return "spawn_main" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return False


@contextmanager
def chaos_service(bundle: Path, folder: Path, workers: int = 1, **environment: str) -> Iterator[ChaosService]:
    """Serve a bundle until the block ends; the log is in the folder."""
    port, log = free_port(), folder / "service.log"
    variables = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
    variables |= {"LIVEREC_VAR": str(folder / "var")} | environment
    command = [sys.executable, "-m", "liverec", "serve", "--bundle", str(bundle), "--port", str(port)]
    command += ["--workers", str(workers)]
    with log.open("wb") as file:
        process = subprocess.Popen(command, env=variables, cwd=ROOT, stderr=file, stdout=file)
    service = ChaosService(port, process, log)
    try:
        wait_for(f"{service.url}/health/ready", process)
        yield service
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        finally:
            process.kill()
