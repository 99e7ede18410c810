"""StoreSocket: what a connection to the store does otherwise than the client library does it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, cast

from redis.asyncio import BlockingConnectionPool
from redis.asyncio.connection import AbstractConnection


class StoreSocket(AbstractConnection):
    """Sends so that being cancelled is never lost; to be mixed into the library's kinds of connections."""

    async def send_packed_command(self, command: bytes | str | Iterable[bytes], check_health: bool = True) -> None:
        """Send within the socket's timeout; raises TimeoutError."""
        # The library uses asyncio.wait_for, which up to Python 3.11 goes on when it is cancelled at its end: whoever
        # has a deadline would then wait for an answer without one.
        seconds, self.socket_timeout = self.socket_timeout, None
        try:
            async with asyncio.timeout(seconds):
                await super().send_packed_command(command, check_health)
        finally:
            self.socket_timeout = seconds

    def hand_over(self, protocol: asyncio.Protocol) -> asyncio.Transport:
        """Have a protocol read what comes from now on, and return what it writes to; `end` is all that is left here."""
        transport: asyncio.Transport = cast(Any, self._writer).transport
        transport.set_protocol(protocol)
        return transport

    def end(self) -> None:
        """Close without waiting for anything."""
        cast(Any, self)._close()


def with_store_sockets(pool: BlockingConnectionPool) -> BlockingConnectionPool:
    """Return the pool, whose connections from now on are StoreSockets of its own kind: TCP, TLS or a Unix socket."""
    kind: Any = pool.connection_class
    pool.connection_class = type("StoreSocket", (StoreSocket, kind), {})
    return pool
