"""A store and a service that are killed and started again, on the same files, socket and port."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
from served import free_port, wait_for

from app.embedded_store import EmbeddedStore

ROOT = Path(__file__).parents[2]


class KillableStore:
    """A private server whose process is killed without warning; what it had on disk is what the next one reads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server = EmbeddedStore(folder)
        self.url = self._server.url

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.__exit__(kind, error, trace)

    def kill(self) -> None:
        assert self._server.pid is not None
        os.kill(self._server.pid, signal.SIGKILL)
        # It is our child: until somebody waits for it, its lock on the folder may still stand.
        self._server.__exit__(None, None, None)

    def restart(self) -> None:
        self._server = EmbeddedStore(self._folder)
        self._server.__enter__()


class KillableService:
    """`liverec serve` with its workers."""

    def __init__(self, bundle: Path, redis_url: str, workers: int, log: Path, **environment: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [sys.executable, "-m", "liverec", "serve", "--bundle", str(bundle)]
        self._command += ["--port", str(self.port), "--workers", str(workers)]
        self._environment = os.environ | {"REDIS_URL": redis_url} | environment
        self._workers = workers
        self._files = ExitStack()
        self._log = self._files.enter_context(log.open("ab"))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self._files.close()

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._command, env=self._environment, cwd=ROOT, stdout=self._log, stderr=self._log
        )
        self.wait()

    def wait(self) -> None:
        """Return once it answers that it is ready."""
        assert self._process is not None
        wait_for(f"{self.url}/health/ready", self._process)

    def kill(self) -> None:
        """Kill all of its processes at once."""
        assert self._process is not None
        family = [psutil.Process(self._process.pid), *self.children()] if self._process.poll() is None else []
        for each in family:
            each.kill()
        psutil.wait_procs(family, timeout=20)
        self._process.wait()

    def kill_worker(self, number: int) -> None:
        """Kill one worker; what started it starts another."""
        workers = self.children()
        if workers:
            workers[number % len(workers)].kill()

    def children(self) -> list[psutil.Process]:
        assert self._process is not None
        found = psutil.Process(self._process.pid).children(recursive=True)
        return [each for each in found if each.is_running() and "resource_tracker" not in str(each.cmdline())]
