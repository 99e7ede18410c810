"""DrainingServer: a worker's server, which ends without anybody who was let in going away empty."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import uvicorn

from app.draining import Draining
from app.server_config import DRAIN_SECONDS, ServerConfig

HAND_OVER = signal.SIGUSR1
"""Tells a worker to end, and that others accept already, or nobody should."""
TICK_SECONDS = 0.05
logger = logging.getLogger("liverec")


class DrainingServer(uvicorn.Server):
    """On SIGTERM it goes on accepting until the drain is over: who balances sees a worker that ends, not one that died.

    On SIGINT, which a person sends, and on HAND_OVER it accepts no more. Who has connected by then is answered in any
    case. A second SIGINT ends it at once; so does a second SIGTERM if it is alone.
    """

    config: ServerConfig

    def __init__(self, config: ServerConfig) -> None:
        super().__init__(config)
        self.server_state = self._draining = Draining()
        self._accepts_on = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end; in earnest if it has begun."""
        if sig != signal.SIGTERM:
            self._accepts_on = False
        if self.should_exit and self.config.workers == 1:
            self.force_exit = True
        super().handle_exit(sig, frame)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals as long as it serves."""
        with super().capture_signals():
            signal.signal(HAND_OVER, self._hand_over)
            yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain; then end all, DRAIN_SECONDS from now at the latest."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        self._draining.ends_at = ends_at = began + self.config.limits.drain
        for connection in list(self.server_state.connections):
            connection.shutdown()
        while self._accepts_on and not self.force_exit and loop.time() < ends_at:
            await asyncio.sleep(TICK_SECONDS)
        await self._accept_the_last()
        self.config.timeout_graceful_shutdown = round(DRAIN_SECONDS - (loop.time() - began))
        await super().shutdown(sockets)

    def _hand_over(self, _number: int, _frame: FrameType | None) -> None:
        self._accepts_on, self.should_exit = False, True

    async def _accept_the_last(self) -> None:
        """Stop to listen, but take those that the system has connected already: it would reset them."""
        # A copy keeps the socket open when the server closes.
        copies = [each.dup() for server in self.servers for each in server.sockets]
        for server in self.servers:
            server.close()
        waiting = [each for copy in copies for each in _waiting(copy, self.config.backlog)]
        loop = asyncio.get_running_loop()
        for connection in waiting:
            await loop.connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> asyncio.Protocol:
        made: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return made


def _waiting(listener: socket.socket, most: int) -> Sequence[socket.socket]:
    """Return who waits to be accepted; closes the listener."""
    found: list[socket.socket] = []
    with listener:
        listener.setblocking(False)
        try:
            while len(found) < most:
                connection, _ = listener.accept()
                connection.setblocking(False)
                found.append(connection)
        except BlockingIOError:
            pass
        except OSError as error:
            logger.warning("not all who wait for the service could be accepted: %s", error)
    return found
