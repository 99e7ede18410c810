"""Joined writes: the same bytes in the same order, however they are cut, and nothing kept back."""

from __future__ import annotations

import asyncio
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.joined_transport import AT_ONCE, JoinedTransport

PIECES = st.lists(st.one_of(st.binary(max_size=50), st.just(b"x" * (AT_ONCE + 1))), max_size=12)


class Calls:
    """A transport that only counts; what is behind it is the system's."""

    def __init__(self, real: asyncio.Transport) -> None:
        self._real = real
        self.count = 0

    def write(self, data: bytes) -> None:
        self.count += 1
        self._real.write(data)

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)


async def joined(ours: socket.socket) -> tuple[JoinedTransport, Calls]:
    loop = asyncio.get_running_loop()
    real, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
    calls = Calls(real)
    return JoinedTransport(calls, loop), calls  # type: ignore[arg-type]


async def received(theirs: socket.socket) -> bytes:
    theirs.setblocking(False)
    found = b""
    while piece := await asyncio.get_running_loop().sock_recv(theirs, 1 << 20):
        found += piece
    return found


@settings(max_examples=60, deadline=None)
@given(PIECES, st.data())
def test_all_of_it_comes_in_order(pieces: list[bytes], data: st.DataObject) -> None:
    turns = data.draw(st.lists(st.sampled_from(["", "flush", "turn"]), min_size=len(pieces), max_size=len(pieces)))

    async def run() -> bytes:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            transport, _ = await joined(ours)
            reading = asyncio.create_task(received(theirs))
            for piece, turn in zip(pieces, turns, strict=True):
                transport.write(piece)
                if turn == "flush":
                    transport.flush()
                elif turn == "turn":
                    await asyncio.sleep(0)
            transport.close()
            return await reading

    assert asyncio.run(run()) == b"".join(pieces)


def test_one_turn_is_one_call() -> None:
    async def run() -> tuple[int, bytes]:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            transport, calls = await joined(ours)
            for piece in (b"head", b"body", b"end"):
                transport.write(piece)
            assert (calls.count, transport.get_write_buffer_size()) == (0, 11)
            await asyncio.sleep(0.01)
            count = calls.count
            transport.close()
            return count, await received(theirs)

    assert asyncio.run(run()) == (1, b"headbodyend")


def test_what_is_aborted_is_not_sent() -> None:
    async def run() -> bytes:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            transport, _ = await joined(ours)
            transport.write(b"never")
            transport.abort()
            await asyncio.sleep(0.01)
            return await received(theirs)

    assert asyncio.run(run()) == b""


@pytest.mark.parametrize("end", ["close", "write_eof"])
def test_the_last_is_sent_before_the_end(end: str) -> None:
    async def run() -> bytes:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            transport, _ = await joined(ours)
            transport.write(b"last")
            getattr(transport, end)()
            found = await received(theirs)
            transport.abort()
            return found

    assert asyncio.run(run()) == b"last"
