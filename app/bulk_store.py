"""BulkStore: writes many events at once, each as `Store.write` would."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

from redis.exceptions import NoScriptError, ResponseError

from app.bulk_lot import BulkLot
from app.reply_line import packed
from app.store import SECONDS_PER_DAY, Outcome, Store
from app.store_connection import COMMANDS_IN_TIME, Arguments, Command
from engine.events import Event

MULTI, EXEC = packed("MULTI"), packed("EXEC")


class BulkStore:
    """Raises StoreError if the store cannot be reached; what was written then is repeated without harm."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._connection = store.connection
        self._script = store.connection.script("place", "write_many")
        settings = store.connection.settings
        life = settings.history_days * SECONDS_PER_DAY
        self._options: Arguments = [settings.history_limit, settings.dedupe_seconds, life]

    def lot(self, timed_here: Container[str] = ()) -> BulkLot:
        """Return an empty lot. `timed_here` are event_ids as `Store.write` takes them; they may be added later."""
        return BulkLot(self._connection, self._store.pseudonyms, timed_here)

    async def write(self, lot: BulkLot) -> list[Outcome]:
        """Write a lot; returns what became of each event after all are on disk. One round trip."""
        transactions = lot.transactions(self._options)
        seconds = self._connection.settings.store_timeout_seconds * (2 + len(lot.events) / COMMANDS_IN_TIME)
        async with self._connection.guarded(seconds, is_write=True):
            try:
                replies = await self._send(transactions)
            except NoScriptError:
                await self._connection.redis.script_load(self._script.script)
                replies = await self._send(transactions)
        return [Outcome(each) for each in lot.sorted_back(replies)]

    async def write_events(self, events: Sequence[Event], timed_here: Container[str] = ()) -> list[Outcome]:
        """Write events that are there already."""
        lot = self.lot(timed_here)
        for event in events:
            lot.add(event)
        return await self.write(lot)

    async def _send(self, transactions: list[list[Command]]) -> list[bytes]:
        sent = list[bytes]()
        for commands in transactions:
            sent.append(MULTI)
            sent += (packed("EVALSHA", self._script.sha, len(keys), *keys, *rest) for keys, rest in commands)
            sent.append(EXEC)
        replies = await self._connection.exchange(sent, len(sent))
        # Before a transaction's own reply comes one for each command, that it was taken.
        return [_checked(each) for reply in replies if isinstance(reply, list) for each in reply]


def _checked(reply: Any) -> bytes:  # noqa: ANN401 (what the client library gives)
    if isinstance(reply, ResponseError):
        raise reply
    assert isinstance(reply, bytes)  # noqa: S101 (the script gives nothing else)
    return reply
