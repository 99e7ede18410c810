"""SIGKILL of the archiver: it is killed at random moments, and when certain files appear, while events keep coming."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import polars as pl
from redis import Redis

from app.embedded_store import EmbeddedStore
from app.history_check import HistoryCheck
from app.keys import Keys
from app.settings import Settings
from app.store import Outcome, Store
from app.user_store import UserStore
from archive.archive_check import ArchiveCheck
from archive.archive_snapshot import ArchiveSnapshot
from archive.finding import Finding
from engine.events import Event

USERS, ITEMS, LOT = 40, 60, 20
PAUSE_SECONDS = 0.01
PATIENCE_SECONDS = 10.0
LONGEST_SECONDS = 0.25
"""A round takes about 30 ms; kills come within this time after the first contact with the store."""
READY = 3
GONE = "gone/ключ"
KINDS = ("rating", "rating", "like", "view", "click", "dislike", "undo")
Fields = tuple[str, str, str, float | None, float, str]


@dataclass
class Writer:
    """Keeps writing events, some of them twice, and remembers those that were acknowledged."""

    url: str
    random: random.Random
    acknowledged: dict[tuple[str, str], Fields] = field(default_factory=dict)
    repeated: int = 0
    forgotten: int = 0
    failure: BaseException | None = None

    @contextmanager
    def at_work(self) -> Iterator[None]:
        stop = threading.Event()
        thread = threading.Thread(target=self._run, args=(stop,))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
        if self.failure is not None:
            raise self.failure

    def _run(self, stop: threading.Event) -> None:
        try:
            asyncio.run(self._write(stop))
        except BaseException as failure:  # noqa: BLE001 (raised where the writer is ended)
            self.failure = failure

    async def _write(self, stop: threading.Event) -> None:
        store = await Store.connect(self.url, Settings(store_timeout_seconds=30))
        try:
            while not stop.is_set():
                lot = self._lot()
                for event, written in zip(lot, await store.write(lot), strict=True):
                    self._remember(event, written.outcome)
                if self.random.random() < 0.02:
                    await UserStore(store).forget(GONE)
                    self.forgotten += 1
                await asyncio.sleep(PAUSE_SECONDS)
            await UserStore(store).forget(GONE)
        finally:
            await store.close()

    def _lot(self) -> list[Event]:
        again = (
            [Event(*self.acknowledged[key]) for key in self.random.sample(sorted(self.acknowledged), 1)][:1]
            if (self.acknowledged and self.random.random() < 0.1)
            else []
        )
        return [*(self._event() for _ in range(LOT)), *again]

    def _event(self) -> Event:
        user = GONE if self.random.random() < 0.03 else f"user {self.random.randrange(USERS)}"
        kind = self.random.choice(KINDS)
        value = float(self.random.randint(1, 5)) if kind == "rating" else None
        event_id = self.random.randbytes(8).hex()
        item = f"item {self.random.randrange(ITEMS)}"
        return Event(user, item, kind, value, float(self.random.randrange(10**6)), event_id)

    def _remember(self, event: Event, outcome: Outcome) -> None:
        assert outcome is not Outcome.CONFLICT, event
        if outcome is Outcome.DUPLICATE:
            self.repeated += 1
        if event.user_id != GONE:
            key = event.user_id, event.event_id
            self.acknowledged[key] = (
                event.user_id,
                event.item_id,
                event.kind,
                event.value,
                event.timestamp,
                event.event_id,
            )


def archiver(folder: Path, url: str, *options: str) -> subprocess.Popen[bytes]:
    """Start a `liverec archive` that has loaded its code, and waits for a line before it does anything."""
    waiting = (
        "import sys, liverec.command_line, liverec.event_archiving, app.archiver\n"
        "print('ready', flush=True)\n"
        "sys.stdin.readline()\n"
        "liverec.command_line.main()"
    )
    command = [sys.executable, "-c", waiting, "archive", "--out", str(folder), *options]
    environment = os.environ | {"REDIS_URL": url, "LIVEREC_STORE_TIMEOUT_SECONDS": "30"}
    return subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


class Moments:
    """What the killer waits for; each gives up after a while, so that a kill always comes."""

    def __init__(self, folder: Path, redis: Redis, chance: random.Random) -> None:
        self._folder = folder
        self._redis = redis
        self._chance = chance
        self.waits: dict[str, Callable[[], bool]] = {
            "at random": self._at_random,
            "while a file is written": lambda: self._until(self._has(".*.parquet")),
            "before a file is named": lambda: self._until(self._has_unnamed()),
            "while the manifest is written": lambda: self._until(self._has_draft),
            "before the log is trimmed": lambda: self._until(self._manifest_changes()),
            "while the log is trimmed": lambda: self._until(self._log_shrinks()),
        }

    def wait(self) -> str:
        """Wait for one of them; return which it was."""
        name = self._chance.choice(list(self.waits))
        return name if self.waits[name]() else f"{name}, which did not come"

    def _at_random(self) -> bool:
        time.sleep(self._chance.uniform(0, LONGEST_SECONDS))
        return True

    def _until(self, happened: Callable[[], bool]) -> bool:
        end = time.monotonic() + PATIENCE_SECONDS
        while not (came := happened()) and time.monotonic() < end:
            pass
        return came

    def _has(self, pattern: str) -> Callable[[], bool]:
        return lambda: any((self._folder / "events").glob(f"day=*/{pattern}"))

    def _has_draft(self) -> bool:
        return any(self._folder.glob(".*.manifest.json"))

    def _has_unnamed(self) -> Callable[[], bool]:
        before = set((self._folder / "events").glob("day=*/[0-9]*"))
        return lambda: bool(set((self._folder / "events").glob("day=*/[0-9]*")) - before)

    def _manifest_changes(self) -> Callable[[], bool]:
        path = self._folder / "manifest.json"
        before = path.stat().st_mtime_ns if path.exists() else 0
        return lambda: path.exists() and path.stat().st_mtime_ns != before

    def _log_shrinks(self) -> Callable[[], bool]:
        # The log of a user who has events; other partitions are trimmed before and after it.
        log, most = Keys.of("user 0", Settings().partitions).log, [0]

        def shrinks() -> bool:
            there = self._redis.xlen(log)
            most[0] = max(most[0], there)
            return there < most[0]

        return shrinks


def run(folder: Path, size: int, seed: int) -> dict[str, object]:
    """Kill the archiver `size` times; return what was lost and what is doubled."""
    chance = random.Random(seed)
    moments = Counter[str]()
    with EmbeddedStore(folder / "store") as store, Redis.from_url(store.url) as redis:
        writer = Writer(store.url, random.Random(seed + 1))
        out = folder / "archive"
        with writer.at_work(), Ready(out, store.url) as ready:
            for _ in range(size):
                moments[kill(ready.next(), Moments(out, redis, chance))] += 1
        finish(out, store.url)
        findings = verify(out, store.url)
        left = sum(redis.xlen(key) for key in redis.scan_iter("*:log"))
    figures = compare(out, writer)
    assert left == 0, f"{left} entries are left in the log after a clean run (seed {seed})"
    assert not any(finding.wrong for finding in findings), f"{findings} (seed {seed})"
    wrong = {name: figures[name] for name in ("lost", "doubled", "altered", "forgotten rows") if figures[name]}
    assert not wrong, f"{wrong} (seed {seed})"
    return {"kills": size, "seed": seed, **figures, "moments": dict(moments)}


class Ready:
    """Archivers that have been started and wait, so that loading code costs no time between two kills."""

    def __init__(self, folder: Path, url: str) -> None:
        self._start = partial(archiver, folder, url, "--every", "0")
        self._waiting: deque[subprocess.Popen[bytes]] = deque()

    def __enter__(self) -> Ready:
        self._waiting.extend(self._start() for _ in range(READY))
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._waiting:
            process.kill()
            process.communicate()

    def next(self) -> subprocess.Popen[bytes]:
        self._waiting.append(self._start())
        return self._waiting.popleft()


def kill(process: subprocess.Popen[bytes], moments: Moments) -> str:
    """Let an archiver begin, and kill it at some moment; return which."""
    with process:
        # One that is killed while it loads its code proves nothing.
        assert process.stdout.readline() == b"ready\n", process.stderr.read().decode()
        process.stdin.write(b"go\n")
        process.stdin.flush()
        name = moments.wait()
        assert process.poll() is None, process.stderr.read().decode()
        process.kill()
    return name


def finish(out: Path, url: str) -> None:
    """Archive what is left, without being killed."""
    process = archiver(out, url, "--once")
    _, said = process.communicate(b"go\n", timeout=60)
    assert process.returncode == 0, said.decode()


def verify(out: Path, url: str) -> list[Finding]:
    """Return what `liverec events verify` finds."""

    async def histories() -> list[Finding]:
        store = await Store.connect(url, Settings(store_timeout_seconds=30))
        try:
            return await HistoryCheck(store, out, "").findings()
        finally:
            await store.close()

    with ArchiveSnapshot(out) as snapshot:
        return [*ArchiveCheck(snapshot, Settings().dedupe_seconds).findings(), *asyncio.run(histories())]


def compare(out: Path, writer: Writer) -> dict[str, object]:
    """Return how the archive differs from what was acknowledged."""
    with ArchiveSnapshot(out) as snapshot:
        rows = snapshot.scan().collect()
        files = snapshot.manifest.next_number
    there = rows.filter(pl.col("user_id") != GONE)
    keys = Counter(there.select("user_id", "event_id").rows())
    found = {(row[0], row[5]): row for row in there.select(*FIELDS).rows()}
    return {
        "acknowledged": len(writer.acknowledged),
        "repeated": writer.repeated,
        "rows": len(there),
        "files written": files,
        "lost": len(writer.acknowledged.keys() - keys.keys()),
        "doubled": sum(count - 1 for count in keys.values()),
        "altered": sum(found.get(key, fields) != fields for key, fields in writer.acknowledged.items()),
        "forgotten": writer.forgotten,
        "forgotten rows": len(rows) - len(there),
    }


FIELDS = ("user_id", "item_id", "kind", "value", "timestamp", "event_id")
