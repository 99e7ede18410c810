"""What the store holds against what was acknowledged: nothing lost, nothing twice, each history what its log says."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any

from redis import Redis
from specification_model import Sent, counting

from app.event_encoding import decode_entries
from app.keys import Keys
from chaos.rating_load import Acknowledged
from engine.events import Event

PARTITIONS = 64


@dataclass(frozen=True)
class Logged:
    """An entry of the log."""

    event: dict[str, Any]
    version: int
    timestamp: float

    @property
    def sent(self) -> Sent:
        event = self.event
        return Sent(event["item_id"], event["kind"], event["value"], self.timestamp, event["event_id"], self.version)


def audit(url: str, acknowledged: dict[str, Acknowledged]) -> dict[str, object]:
    """Return counts that must be 0: lost, doubled, altered, and histories that differ from the log."""
    with Redis.from_url(url) as redis:
        logged = [entry for partition in range(PARTITIONS) for entry in _entries(redis, f"{{p{partition}}}:log")]
        users = {entry.event["user_id"] for entry in logged}
        histories = {user_id: _history(redis, user_id) for user_id in users}
    times = Counter(entry.event["event_id"] for entry in logged)
    by_id = {entry.event["event_id"]: entry for entry in logged}
    return {
        "acknowledged": len(acknowledged),
        "logged": len(logged),
        "lost": sorted(set(acknowledged) - set(by_id))[:5],
        "doubled": sorted(event_id for event_id, count in times.items() if count > 1)[:5],
        "altered": [each for each in acknowledged if each in by_id and not _is_same(acknowledged[each], by_id[each])][
            :5
        ],
        "versions with gaps": _gaps(logged),
        "histories that differ": sorted(user for user in users if histories[user] != _replayed(user, logged))[:5],
    }


def _entries(redis: Redis, key: str) -> list[Logged]:
    found: Any = redis.xrange(key)
    return [
        Logged(json.loads(fields[b"event"]), int(fields[b"version"]), float(fields[b"timestamp"]))
        for _, fields in found
    ]


def _history(redis: Redis, user_id: str) -> list[Event]:
    found: Any = redis.zrange(Keys.of(user_id, PARTITIONS).history, 0, -1, withscores=True)
    return decode_entries(user_id, found)


def _replayed(user_id: str, logged: list[Logged]) -> list[Event]:
    sent = [entry.sent for entry in logged if entry.event["user_id"] == user_id]
    return [
        Event(user_id, each.item_id, each.kind, each.rating, each.time or 0.0, each.event_id) for each in counting(sent)
    ]


def _is_same(acknowledged: Acknowledged, entry: Logged) -> bool:
    body, event = acknowledged.body, entry.event
    content = body["user_id"], body["item_id"], body.get("kind", "rating"), body.get("rating")
    is_timed = body.get("timestamp") in (None, event["timestamp"])
    # The receipt of a list names the highest version of the user.
    return (
        content == tuple(event[name] for name in ("user_id", "item_id", "kind", "value"))
        and is_timed
        and (acknowledged.version >= entry.version)
    )


def _gaps(logged: list[Logged]) -> list[str]:
    versions: dict[str, list[int]] = defaultdict(list)
    for entry in logged:
        versions[entry.event["user_id"]].append(entry.version)
    return [user for user, found in versions.items() if sorted(found) != list(range(1, len(found) + 1))][:5]
