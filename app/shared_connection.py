"""SharedConnection: many askers, one connection; what takes a connection of its own costs each of them more."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from redis.asyncio import ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from app.reply_line import ReplyLine

Commands = Sequence[Sequence[str | bytes | int | float]]


class SharedConnection:
    """Connects when it is first asked, and again when it must. `pool` says where to and how; none of its own are used.

    It is for commands that do not block: a reply waits for those before it.
    """

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self._line: ReplyLine | None = None
        self._left: list[ReplyLine] = []
        self._connecting = asyncio.Lock()

    async def ask(self, commands: Commands) -> list[Any]:
        """Return the replies; raises the first error among them, and ConnectionError where there is no server.

        Commands must do no harm if they are sent twice: what breaks off is tried once more.
        """
        try:
            replies = await (await self._opened()).ask(commands)
        except RedisConnectionError:
            # Most likely the connection died while nobody asked.
            replies = await (await self._opened()).ask(commands)
        for reply in replies:
            if isinstance(reply, ResponseError | RedisConnectionError):
                raise reply
        return replies

    async def open(self) -> None:
        """Connect now; who asks first need not wait for it."""
        await self._opened()

    def renew(self) -> None:
        """Connect anew for what is asked from now on."""
        if self._line is not None:
            self._line.leave()
            self._left = [line for line in (*self._left, self._line) if not line.is_closed]
            self._line = None

    def close(self) -> None:
        """Break off."""
        self.renew()
        for line in self._left:
            line.abort()

    async def _opened(self) -> ReplyLine:
        if self._line is not None and self._line.is_open:
            return self._line
        async with self._connecting:
            if self._line is None or not self._line.is_open:
                self._line = await self._open()
            return self._line

    async def _open(self) -> ReplyLine:
        connection: Any = self._pool.make_connection()  # type: ignore[no-untyped-call]
        try:
            await connection.connect()
        except BaseException:
            connection.end()
            raise
        line = ReplyLine()
        line.take_over(connection)
        return line
