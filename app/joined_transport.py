"""JoinedTransport: what is written in one turn of the loop goes to the system in one call."""

from __future__ import annotations

import asyncio

AT_ONCE = 65_536
"""What is longer is not kept back to be joined."""


class JoinedTransport(asyncio.Transport):
    """A transport around another one. The server writes head and body of an answer apart, and each call costs much."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._pieces: list[bytes | bytearray | memoryview] = []
        # Of these the server makes use with each request.
        self.is_closing = transport.is_closing  # type: ignore[method-assign]
        self.get_extra_info = transport.get_extra_info  # type: ignore[method-assign]
        self.pause_reading = transport.pause_reading  # type: ignore[method-assign]
        self.resume_reading = transport.resume_reading  # type: ignore[method-assign]

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send data by the next turn of the loop."""
        if not self._pieces:
            self._loop.call_soon(self.flush)
        self._pieces.append(data)
        if len(data) > AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Send now what was written."""
        if self._pieces:
            joined, self._pieces = b"".join(self._pieces), []
            self._transport.write(joined)

    def write_eof(self) -> None:
        """Say that nothing follows what was written."""
        self.flush()
        self._transport.write_eof()

    def close(self) -> None:
        """Close once all is sent."""
        self.flush()
        self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._pieces.clear()
        self._transport.abort()

    def get_write_buffer_size(self) -> int:
        """Return how many bytes are not sent yet."""
        return self._transport.get_write_buffer_size() + sum(len(piece) for piece in self._pieces)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set when writing is to pause."""
        self._transport.set_write_buffer_limits(high, low)
