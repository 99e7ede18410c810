"""Permits: how many requests of a worker are being worked on."""

from __future__ import annotations


class Permits:
    """Who waits for a body gives its permit back until that is there: a slow client keeps nobody out."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._taken = 0

    @property
    def has_room(self) -> bool:
        """Whether there is one left."""
        return self._taken < self.most

    def take(self) -> None:
        """Take one. Who takes one without room must give it back at once."""
        self._taken += 1

    def give(self) -> None:
        """Give one back."""
        self._taken -= 1
