"""The store goes away under load, killed and hanging: every GET is answered, no write is acknowledged in vain."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from served import served
from steered_world import ITEMS, train
from valkey_server import ValkeyServer

from chaos.http_load import Answered, HttpLoad, Request

RATE, WRITE_SHARE, HURRIED_SHARE = 150.0, 0.1, 0.4
DEADLINE_MS = 50
USERS = [f"user {number}" for number in range(40)]
CALM_SECONDS = 3.0
LONG = 30
"""From so many seconds on, the times are promised too: what the first requests wait is a small part of all then."""
MOST_P99_SECONDS, MOST_RECOVERY_SECONDS = 0.05, 2.0
ALLOWANCE_MS = 10.0
"""A deadline counts from the request's arrival, `took_ms` from when its work begins; and timers fire a little late."""


@dataclass
class Outage:
    """When the store went, when it was let back and when it answered again (time.monotonic)."""

    how: str
    began: float
    ended: float = 0.0
    returned: float = 0.0

    def within(self, answers: Sequence[Answered]) -> list[Answered]:
        """Return those that were due and answered without a store."""
        return [each for each in answers if self.began <= each.due and each.ended <= self.ended]


def run(folder: Path, size: int, seed: int, bundle: Path | None = None) -> dict[str, object]:
    """Let the store hang, and be killed, for `size` seconds each; returns counts and times."""
    bundle = bundle or train(folder / "bundle")
    with ExitStack() as stack:
        store = stack.enter_context(ValkeyServer(folder / "store"))
        environment = {"REDIS_URL": store.url, "LIVEREC_WORKERS": "2"}
        url = stack.enter_context(served(bundle, folder / "var", **environment))
        load = HttpLoad(urlsplit(url).port or 0, RATE, _requests(random.Random(seed)))
        outages = asyncio.run(_drive(load, store, size))
        http = stack.enter_context(httpx.Client(base_url=url, timeout=30))
        return _judged(http, load.answers, outages, size) | {"seed": seed, "seconds": size}


async def _drive(load: HttpLoad, store: ValkeyServer, size: int) -> list[Outage]:
    outages = []
    ways = {"hanging": (store.hang, store.go_on), "killed": (store.kill, store.spawn)}
    async with load.running():
        for how, (end, begin) in ways.items():
            await asyncio.sleep(CALM_SECONDS)
            end()
            outage = Outage(how, time.monotonic())
            outages.append(outage)
            await asyncio.sleep(size)
            outage.ended = time.monotonic()
            begin()
            # A killed server reads its files first.
            await asyncio.to_thread(store.wait)
            outage.returned = time.monotonic()
        await asyncio.sleep(CALM_SECONDS)
    return outages


def _requests(randomness: random.Random) -> Callable[[], Request]:
    def one() -> Request:
        user_id = randomness.choice(USERS)
        if randomness.random() < WRITE_SHARE:
            event = {"user_id": user_id, "item_id": randomness.choice(ITEMS), "rating": randomness.randint(1, 5)}
            event["event_id"] = f"{randomness.getrandbits(64):x}"
            return Request("POST", "/rate", (), json.dumps(event).encode(), event)
        is_hurried = randomness.random() < HURRIED_SHARE
        headers = (("X-Deadline-Ms", str(DEADLINE_MS)),) if is_hurried else ()
        return Request("GET", f"/recommend/{user_id.replace(' ', '%20')}?n={randomness.randint(3, 6)}", headers)

    return one


def _judged(http: httpx.Client, answers: Sequence[Answered], outages: Sequence[Outage], size: int) -> dict[str, object]:
    reads = [each for each in answers if each.request.method == "GET"]
    writes = [each for each in answers if each.request.method == "POST"]
    statuses = Counter(each.status for each in reads)
    assert statuses.keys() == {200}, f"a GET was not answered with 200: {statuses}"
    refused = [each for each in writes if each.status != 200]
    assert {each.status for each in refused} <= {503}, Counter(each.status for each in writes)
    assert all(b"retry-after: 1" in each.headers for each in refused), "a 503 without Retry-After"
    figures = {outage.how: _figures(outage, reads, writes, size) for outage in outages}
    return {"reads": len(reads), **figures, **_counted(http, writes)}


def _figures(outage: Outage, reads: Sequence[Answered], writes: Sequence[Answered], size: int) -> dict[str, object]:
    away = outage.within(reads)
    seconds = sorted(each.seconds for each in reads if outage.began <= each.due < outage.ended)
    whole = [each for each in away if each.degraded is None]
    assert not whole, f"{outage.how}: {len(whole)} answers read a store that was away"
    false = [each for each in outage.within(writes) if each.status == 200]
    assert not false, f"{outage.how}: {len(false)} writes were acknowledged without a store"
    first, last = _recovery(outage, reads)
    p99 = seconds[int(len(seconds) * 0.99)]
    if size >= LONG:
        assert p99 < MOST_P99_SECONDS, f"{outage.how}: 1 % of the answers took longer than {p99 * 1e3:.0f} ms"
        assert last < MOST_RECOVERY_SECONDS, f"{outage.how}: it took {last:.2f} s until all was well"
    hurried = [each for each in reads if each.request.headers and outage.began <= each.due < outage.ended]
    late = [each for each in hurried if each.took_ms > DEADLINE_MS + ALLOWANCE_MS]
    if size >= LONG:
        assert not late, f"{outage.how}: {len(late)} of {len(hurried)} answers took longer than their deadline"
    return {
        "reads": len(seconds),
        "degraded": dict(Counter(each.degraded for each in away)),
        "writes_refused": sum(each.status == 503 for each in outage.within(writes)),
        "p50_ms": _ms(seconds[len(seconds) // 2]),
        "p99_ms": _ms(p99),
        "longest_ms": _ms(seconds[-1]),
        "with_deadline": len(hurried),
        "late_against_deadline": len(late),
        "longest_took_with_deadline_ms": max(each.took_ms for each in hurried),
        "longest_with_deadline_ms": _ms(max(each.seconds for each in hurried)),
        "first_whole_after_s": round(first, 3),
        "all_whole_after_s": round(last, 3),
    }


def _recovery(outage: Outage, reads: Sequence[Answered]) -> tuple[float, float]:
    """Return how long after the store's return the first whole answer came, and the last one that lacked it."""
    after = [each for each in reads if outage.returned <= each.due < outage.returned + CALM_SECONDS]
    whole = [each.ended - outage.returned for each in after if each.degraded is None]
    assert whole, f"{outage.how}: no whole answer in {CALM_SECONDS} s after the store was back"
    lacking = [each.ended - outage.returned for each in after if each.degraded == "store_unreachable"]
    return min(whole), max(lacking, default=0.0)


def _counted(http: httpx.Client, writes: Sequence[Answered]) -> dict[str, object]:
    """Repeat what was refused; each event must be logged once, and none that was acknowledged be missing."""
    logged = _logged(http)
    acknowledged = [each.request.tag["event_id"] for each in writes if each.status == 200]
    lost = [event_id for event_id in acknowledged if not logged[event_id]]
    assert not lost, f"{len(lost)} acknowledged events are lost: {lost[:3]}"
    refused = [each.request.tag for each in writes if each.status != 200]
    written = sum(logged[event["event_id"]] for event in refused)
    for event in refused:
        http.post("/rate", json=event).raise_for_status()
    logged = _logged(http)
    doubled = [event_id for event_id, count in logged.items() if count > 1]
    assert not doubled, f"{len(doubled)} events count twice: {doubled[:3]}"
    assert len(logged) == len(writes), f"{len(writes)} events were sent and {len(logged)} are logged"
    return {"writes": len(writes), "refused": len(refused), "refused_yet_written": written, "lost": 0, "doubled": 0}


def _logged(http: httpx.Client) -> Counter[str]:
    exported = []
    for user_id in USERS:
        answer = http.get(f"/users/{user_id}/export")
        assert answer.status_code == 200, f"long after the store is back: {answer.text}"
        exported.append(answer.json())
    return Counter(each["event_id"] for each in chain.from_iterable(user["log"] for user in exported))


def _ms(seconds: float) -> float:
    return round(seconds * 1e3, 1)
