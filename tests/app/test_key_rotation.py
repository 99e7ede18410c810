"""The file of keys changes under load: what is added works, what is taken away does not, nothing fails in between."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import httpx
from key_ring import KeyRing, keyed, sent

HTTP = httpx.Client(timeout=20, limits=httpx.Limits(max_keepalive_connections=0))
TAKES_SECONDS = 2.0
SLACK_SECONDS = 3.0
"""How late a busy machine may be."""


class Caller(threading.Thread):
    """Asks with one key again and again, over new connections, so that all workers are asked."""

    def __init__(self, url: str, key: str) -> None:
        super().__init__(daemon=True)
        self.url, self.key = url, key
        self.statuses: list[int] = []
        self.is_over = threading.Event()

    def run(self) -> None:
        while not self.is_over.is_set():
            self.statuses.append(status_of(self.url, self.key))


def status_of(url: str, key: str) -> int:
    with HTTP.stream("GET", url, headers=sent(key)) as answer:
        return answer.status_code


def seconds_until(url: str, key: str, status: int) -> float:
    """Return how long it takes until a key gets this status 20 times on end."""
    started, on_end, first = time.monotonic(), 0, 0.0
    while on_end < 20:
        assert time.monotonic() - started < 20
        if status_of(url, key) == status:
            first = first if on_end else time.monotonic()
            on_end += 1
        else:
            on_end = 0
    return first - started


def test_keys_change_under_load(start, url: str, tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "keys.toml")
    steady, old = ring.add("read"), ring.add("read")
    service = start(workers=2, redis_url=url, LIVEREC_VAR=str(tmp_path / "v"), **keyed(ring))
    address = f"{service.http.base_url}/popular"
    callers = [Caller(address, steady) for _ in range(2)]
    for each in callers:
        each.start()
    for _ in range(2):
        new = ring.add("read")
        assert seconds_until(address, new, 200) < TAKES_SECONDS + SLACK_SECONDS
        assert status_of(address, old) == 200
        ring.revoke(old)
        assert seconds_until(address, old, 401) < TAKES_SECONDS + SLACK_SECONDS
        old = new
        good = ring.path.read_text()
        ring.path.write_text("[[keys")
        time.sleep(1.5)
        assert status_of(address, new) == 200
        ring.path.write_text(good)
    for each in callers:
        each.is_over.set()
        each.join(30)
    assert {status for each in callers for status in each.statuses} == {200}
    assert min(len(each.statuses) for each in callers) > 20
