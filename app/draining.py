"""Draining: what the connections of a worker know about its end."""

from __future__ import annotations

from uvicorn.server import ServerState


class Draining(ServerState):
    """Until when a worker that was told to end answers (the time of its loop); None as long as it was not."""

    def __init__(self) -> None:
        super().__init__()
        self.ends_at: float | None = None
