"""Server: what must run around the service, and the processes that serve."""

from __future__ import annotations

import asyncio
import http.client
import ipaddress
import logging
import os
import resource
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial

import uvicorn
from pydantic import SecretStr
from uvicorn.config import STARTUP_FAILURE

from app.api_keys import KeyFile
from app.draining_server import DrainingServer
from app.embedded_store import EmbeddedStore
from app.metrics import FOLDER_VARIABLE
from app.proven import open_proven
from app.server_config import READY_SECONDS, ServerConfig
from app.service import create_app
from app.settings import Settings
from app.store import Store
from app.supervisor import Supervisor
from engine.errors import ConfigError

logger = logging.getLogger("liverec")
OTHER_FILES = 1_024
"""What a worker has open besides: the bundle, and a connection to the store for each request."""
Announce = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Server:
    """Starts a store if there is none, checks that everything fits, and serves until it is told to stop."""

    settings: Settings

    @classmethod
    def of(cls, overrides: Mapping[str, object]) -> Server:
        """Read the environment; overrides that are not None win."""
        return cls(Settings.read({name: value for name, value in overrides.items() if value is not None}))

    @property
    def url(self) -> str:
        """Where the service will be."""
        host = f"[{self.settings.host}]" if ":" in self.settings.host else self.settings.host
        return f"http://{host}:{self.settings.port}"

    def run(self, prepare: Callable[[str], None] | None = None, announce: Announce | None = None) -> None:
        """Serve. `prepare` gets the store's URL before the start, `announce` the service's once it is ready."""
        self.check_address()
        self.check_keys()
        # uvicorn raises SIGTERM again when it is done: without this the process would end before its store is stopped.
        signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
        # Who is not ready to look for another bundle yet will open the newest anyway.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with ExitStack() as stack:
            settings = self.settings
            if settings.redis_url is None:
                store = stack.enter_context(EmbeddedStore(settings.var))
                settings = settings.model_copy(update={"redis_url": SecretStr(store.url)})
            asyncio.run(_check_store(settings))
            if prepare is not None and settings.redis_url is not None:
                prepare(settings.redis_url.get_secret_value())
            if announce is not None:
                threading.Thread(target=self._announce, args=(announce,), daemon=True).start()
            _serve(settings)

    def check_address(self) -> None:
        """Raise ConfigError unless the service can listen where it should."""
        host, port = self.settings.host, self.settings.port
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        except (OSError, UnicodeError) as error:
            raise ConfigError(f"LIVEREC_HOST is {host!r}, which is no address ({error})") from error
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
            except OSError as error:
                raise ConfigError(
                    f"cannot listen on {host}:{port} ({error.strerror}); choose another --port"
                ) from error

    def check_keys(self) -> None:
        """Raise ConfigError if the file of keys cannot be used; without one, warn if others can reach the service."""
        settings = self.settings
        if settings.keys is not None:
            KeyFile(settings.keys).keys(settings.tenants)
        elif not _is_loopback(settings.host):
            logger.warning(
                "LIVEREC_KEYS is not set, and the service listens on %s: all who reach it may do all", settings.host
            )

    def _announce(self, announce: Announce) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if _is_ready(self.settings.host, self.settings.port):
                announce(self.url)
                return
            time.sleep(0.05)


def _is_loopback(host: str) -> bool:
    addresses = (each[4][0] for each in socket.getaddrinfo(host, None))
    return all(ipaddress.ip_address(str(address).partition("%")[0]).is_loopback for address in addresses)


async def _check_store(settings: Settings) -> None:
    assert settings.redis_url is not None  # noqa: S101 (the caller has just set it)
    store = await Store.connect(settings.redis_url.get_secret_value(), settings)
    await store.close()


def _is_ready(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=1)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()


def _serve(settings: Settings) -> None:
    _allow_files(settings.max_connections)
    vouchers = {tenant: open_proven(settings.of_tenant(tenant))[0].voucher for tenant in settings.tenants}
    if settings.workers == 1:
        # Nothing but the app may hold the bundle: another may take its place.
        config = ServerConfig(create_app(settings, open_proven(settings), vouchers), settings)
        _serve_alone(DrainingServer(config))
        return
    vouchers[""] = open_proven(settings)[0].voucher
    os.environ.update(settings.environment())
    folder = settings.var.resolve() / "metrics"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.environ[FOLDER_VARIABLE] = str(folder)
    config = ServerConfig(partial(create_app, vouchers=vouchers), settings)
    Supervisor(config, [config.bind_socket()]).run()


def _serve_alone(server: uvicorn.Server) -> None:
    # uvicorn raises SIGINT again when it is done.
    with suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(STARTUP_FAILURE)


def _allow_files(connections: int) -> None:
    """Allow this process and its children the open files that the connections need, as far as the system does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * connections + OTHER_FILES
    if resource.RLIM_INFINITY != soft < needed:
        most = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
