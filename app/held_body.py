"""HeldBody: the body of one request, from its first byte until the answer is sent."""

from __future__ import annotations

from starlette.types import Receive

from app.body_budget import BodyBudget, RefusedBodyError
from app.problems import problem


class ClientGoneError(Exception):
    """The client went away before its body had arrived."""


class HeldBody:
    """Takes pieces as long as there is room for them. `most` bytes of its own it may have."""

    def __init__(self, budget: BodyBudget, most: int) -> None:
        self.budget = budget
        self._most = most
        self._size = 0
        self._pieces: list[bytes] = []

    async def read(self, receive: Receive) -> None:
        """Read it whole; raises RefusedBodyError and ClientGoneError."""
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            self._add(message.get("body", b""))
            more = message.get("more_body", False)

    def taken(self) -> bytes:
        """Return all of it; its pieces are let go."""
        content = b"".join(self._pieces)
        self._pieces.clear()
        return content

    def release(self) -> None:
        """Make room for others."""
        self.budget.release(self._size)

    def _add(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._size += len(piece)
        self.budget.hold(len(piece), self._size)
        if self._size > self._most:
            answer = problem(413, f"the body is larger than {self._most} bytes; send less at once")
            raise RefusedBodyError(answer)
