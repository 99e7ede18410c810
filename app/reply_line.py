"""ReplyLine: one connection to the store on which many commands are under way at once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import hiredis
from redis.asyncio.connection import DefaultParser
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse

from app.joined_transport import JoinedTransport
from app.store_socket import StoreSocket

NOTHING_YET = object()
LEAVING_SECONDS = 60.0
"""After which nobody waits for a reply any more."""


@dataclass(slots=True)
class Asked:
    """Who waits for so many replies, and those that have come."""

    future: asyncio.Future[list[Any]]
    count: int
    replies: list[Any] = field(default_factory=list)

    def take(self, reply: object) -> bool:
        """Take a reply; return whether it was the last."""
        self.replies.append(reply)
        if len(self.replies) < self.count:
            return False
        # Who was cancelled has gone; the replies come nevertheless.
        if not self.future.done():
            self.future.set_result(self.replies)
        return True

    def fail(self, error: Exception) -> None:
        """Say that no more replies will come."""
        if not self.future.done():
            self.future.set_exception(error)


class ReplyLine(asyncio.Protocol):
    """Gives each reply to who asked: they come in the order of the commands. What the server pushes unasked is dropped.

    Errors of the server are among the replies; when the connection ends, all who wait get ConnectionError.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        parse_error = cast(Any, DefaultParser).parse_error
        self._reader = hiredis.Reader(protocolError=InvalidResponse, replyError=parse_error, notEnoughData=NOTHING_YET)
        self._asked: deque[Asked] = deque()
        self._transport: asyncio.Transport | None = None
        self._connection: StoreSocket | None = None
        self._is_leaving = False

    @property
    def is_open(self) -> bool:
        """Whether more may be asked."""
        return not (self._is_leaving or self.is_closed)

    @property
    def is_closed(self) -> bool:
        """Whether no more replies will come."""
        return self._transport is None or self._transport.is_closing()

    def take_over(self, connection: StoreSocket) -> None:
        """Begin on a connection that is made and greeted."""
        self._connection = connection
        # Who asks in the same turn shares a call to the system.
        self._transport = JoinedTransport(connection.hand_over(self), self._loop)

    def ask(self, commands: Sequence[Sequence[str | bytes | int | float]]) -> asyncio.Future[list[Any]]:
        """Send commands and return what will be their replies."""
        assert self._transport is not None  # noqa: S101 (who asks has looked whether it is open)
        future: asyncio.Future[list[Any]] = self._loop.create_future()
        self._asked.append(Asked(future, len(commands)))
        self._transport.write(b"".join([packed(*each) for each in commands]))
        return future

    def leave(self) -> None:
        """Ask no more, and close once all replies are there."""
        self._is_leaving = True
        self._loop.call_later(LEAVING_SECONDS, self.abort)
        self._close_if_done()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Hand over the replies that are complete."""
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not NOTHING_YET:
                if not isinstance(reply, hiredis.PushNotification):
                    self._hand_over(reply)
        except InvalidResponse:
            self.abort()
        if self._is_leaving:
            self._close_if_done()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell all who wait."""
        self._is_leaving = True
        if self._connection is not None:
            self._connection.end()
        error = RedisConnectionError(f"the connection ended ({exc or 'the server closed it'})")
        while self._asked:
            self._asked.popleft().fail(error)

    def _hand_over(self, reply: object) -> None:
        if not self._asked:
            raise InvalidResponse("a reply that nobody asked for")
        if self._asked[0].take(reply):
            self._asked.popleft()

    def _close_if_done(self) -> None:
        if not self._asked and self._transport is not None:
            self._transport.close()


def packed(*words: str | bytes | int | float) -> bytes:
    """Return a command as it is sent; the client library's own way takes several times as long."""
    # Its types know of tuples of one length only.
    command: bytes = hiredis.pack_command(cast(Any, words))
    return command
