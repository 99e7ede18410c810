"""BulkLot: events that go to the store together."""

from __future__ import annotations

from collections.abc import Container

from app.event_encoding import history_entry, log_entry, owner_of_id
from app.keys import Keys
from app.pseudonyms import Pseudonyms
from app.store_connection import Arguments, Command, StoreConnection
from engine.events import Event

EVENTS_OF_A_COMMAND = 128
"""The script reads their markers in one call, whose arguments Lua's stack must hold."""
EVENTS_OF_A_TRANSACTION = 256
"""The server does nothing else meanwhile (some milliseconds), and then writes all of it to its disk at once."""


class BulkLot:
    """Sorts events into calls of write_many.lua: those of a partition together, each user's in their order."""

    def __init__(self, connection: StoreConnection, pseudonyms: Pseudonyms, timed_here: Container[str] = ()) -> None:
        self.events: list[Event] = []
        self._connection = connection
        self._pseudonyms = pseudonyms
        self._timed_here = timed_here
        self._keys: dict[str, Keys] = {}
        self._open: dict[str, _Call] = {}
        self._calls: list[_Call] = []

    def add(self, event: Event) -> None:
        """Take one more."""
        keys = self._keys.get(event.user_id)
        if keys is None:
            keys = self._keys[event.user_id] = self._connection.keys_of(event.user_id)
        call = self._open.get(keys.log)
        if call is None or len(call.places) == EVENTS_OF_A_COMMAND:
            call = self._open[keys.log] = _Call(keys)
            self._calls.append(call)
        call.add(len(self.events), event, keys, event.event_id in self._timed_here, self._pseudonyms)
        self.events.append(event)

    def transactions(self, options: Arguments) -> list[list[Command]]:
        """Return the commands in lots, each to be done at once."""
        lots, count = list[list[Command]](), EVENTS_OF_A_TRANSACTION
        for call in self._calls:
            if count + len(call.places) > EVENTS_OF_A_TRANSACTION:
                lots.append([])
                count = 0
            lots[-1].append(call.command(options))
            count += len(call.places)
        return lots

    def sorted_back(self, replies: list[bytes]) -> list[int]:
        """Return the outcome of each event, from the replies to the commands."""
        outcomes = [0] * len(self.events)
        for call, reply in zip(self._calls, replies, strict=True):
            for place, digit in zip(call.places, reply, strict=True):
                outcomes[place] = digit - ord("0")
        return outcomes


class _Call:
    """One call of the script."""

    def __init__(self, keys: Keys) -> None:
        self.places: list[int] = []
        """Where its events stand in the lot."""
        self._names = [keys.log, keys.forgotten]
        self._users: dict[str, int] = {}
        self._pseudonyms: list[str] = []
        self._markers: list[str] = []
        self._entries: Arguments = []

    def add(self, place: int, event: Event, keys: Keys, is_timed_here: bool, pseudonyms: Pseudonyms) -> None:
        user = self._users.get(event.user_id)
        if user is None:
            user = self._users[event.user_id] = len(self._users) + 1
            self._names += (keys.history, keys.items, keys.opinions, keys.version, keys.cache)
            self._pseudonyms.append(pseudonyms.of_user(event.user_id))
        self.places.append(place)
        self._markers.append(keys.event(event.event_id))
        self._entries += (user, log_entry(event), event.timestamp, int(is_timed_here), history_entry(event))
        self._entries += (event.item_id, event.kind, owner_of_id(event))

    def command(self, options: Arguments) -> Command:
        arguments: Arguments = [*options, len(self._users), *self._pseudonyms, *self._entries]
        return self._names + self._markers, arguments
