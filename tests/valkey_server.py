"""ValkeyServer: a real server on a port of its own that can be killed, stopped and started again on its files."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from redis import Redis
from redis.exceptions import RedisError
from served import free_port

from app.embedded_store import _executable
from app.parent import end_with_parent

START_SECONDS = 20.0


class ValkeyServer:
    """Writes to disk before it answers, unless `options` say otherwise."""

    def __init__(self, folder: Path, **options: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.port = free_port()
        given = {"port": str(self.port), "bind": "127.0.0.1", "dir": str(folder), "save": ""}
        given |= {"appendonly": "yes", "appendfsync": "always", **options}
        self._command = [_executable(), *(part for name, value in given.items() for part in (f"--{name}", value))]
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self) -> None:
        """Start it; returns when it answers."""
        self.spawn()
        self.wait()

    def spawn(self) -> None:
        """Start it; it ends with the thread that calls this."""
        with (self._folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log, preexec_fn=end_with_parent)  # noqa: PLW1509

    def wait(self) -> None:
        """Return when it answers."""
        ends = time.monotonic() + START_SECONDS
        while not self._answers():
            assert time.monotonic() < ends, f"no answer; see {self._folder / 'server.log'}"
            time.sleep(0.005)

    def kill(self) -> None:
        """Kill it (SIGKILL).

        What it has written is with the system and stays; a power cut would take what is not on disk.
        """
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def hang(self) -> None:
        """Stop it from doing anything, its connections staying open."""
        self._send(signal.SIGSTOP)

    def go_on(self) -> None:
        self._send(signal.SIGCONT)

    def ask(self, *command: str | int) -> object:
        """Return what it answers to a command."""
        with Redis.from_url(self.url) as redis:
            return redis.execute_command(*command)

    def _send(self, number: signal.Signals) -> None:
        assert self.process is not None
        os.kill(self.process.pid, number)

    def _answers(self) -> bool:
        with suppress(RedisError, OSError):
            return bool(self.ask("PING"))
        return False
