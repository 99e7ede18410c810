"""The archiver moves each event once: after crashes, after backups, and while users are forgotten."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from recorded import PARTITIONS, SETTINGS, archive_round, archived, rated, with_store
from redis import Redis
from valkey_server import ValkeyServer

from app.archiver import LEAST_SECONDS, Archiver, Round
from app.embedded_store import EmbeddedStore
from app.event_encoding import log_entry
from app.event_log import EventLog
from app.keys import Keys
from app.recorded_events import RecordedEvents
from app.store import Outcome, Store
from app.user_store import UserStore
from archive.archive import Archive
from engine.errors import ConfigError, StoreError
from engine.events import Event

ODD = 'odd/ключ "x",\n{p1}'


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "archive"


def test_events_move_into_the_archive_as_they_count(url: str, out: Path) -> None:
    async def work(store: Store) -> None:
        led = Event(ODD, "i/1", "view", None, 5.0, "e-2", "r-1")
        await store.write([rated(ODD, "i/1", "e-1", timestamp=9.0), led], timed_here={"e-2"})
        done = await archive_round(store, out)
        assert (done.archived, str(done)) == (2, "2 events archived")
        assert await EventLog(store.connection).length() == 0
        assert str(await archive_round(store, out)) == ""
        assert [each.outcome for each in await store.write([led])] == [Outcome.DUPLICATE]
        assert (await archive_round(store, out)).archived == 0

    with_store(url, work)
    rows = archived(out).drop("log_id", "partition").rows()
    assert rows == [
        (ODD, "i/1", "rating", 4.0, 9.0, 9.0, "e-1", "", 1),
        (ODD, "i/1", "view", None, 9.0, 5.0, "e-2", "r-1", 2),
    ]


def test_what_is_still_in_the_log_after_a_crash_is_not_archived_again(url: str, out: Path) -> None:
    async def work(store: Store) -> None:
        await store.write([rated("a", "1", "e-1"), rated("b", "1", "e-1")])
        entries = await EventLog(store.connection).oldest(10)
        keep = [(partition, each) for partition, lot in entries.items() for each in lot]
        await archive_round(store, out)
        for partition, each in keep:
            # As if the archiver had been killed between the commit and the trimming; XADD takes no id that is not new.
            key = f"{{p{partition}}}:log"
            fields = {"event": log_entry(each.event), "version": each.version, "timestamp": each.timestamp}
            await store.connection.redis.delete(key)
            await store.connection.redis.xadd(key, fields, id=each.log_id)
        assert (await archive_round(store, out)).archived == 0
        assert await EventLog(store.connection).length() == 0

    with_store(url, work)
    assert archived(out).height == 2


def test_older_ids_of_a_store_that_was_set_back_are_archived_late(url: str, out: Path) -> None:
    async def work(store: Store) -> None:
        await store.write([rated("a", "1", "e-1")])
        await archive_round(store, out)
        entry = {"event": log_entry(Event("a", "2", "view", None, 3.0, "e-2"))}
        log = Keys.of("a", PARTITIONS).log
        await store.connection.redis.delete(log)
        await store.connection.redis.xadd(log, {**entry, "version": 2, "timestamp": "3"}, id="1000-0")
        assert (await archive_round(store, out)).archived == 1

    with_store(url, work)
    assert archived(out)["event_id"].to_list() == ["e-1", "e-2"]


def test_a_second_archive_is_refused_until_it_takes_over(url: str, tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        await store.write([rated("a", "1", "e-1")])
        await archive_round(store, tmp_path / "first")
        await store.write([rated("a", "2", "e-2")])
        with pytest.raises(ConfigError, match=r"first.*second.*--take-over") as refused:
            await archive_round(store, tmp_path / "second")
        assert len(str(refused.value)) < 500
        assert await EventLog(store.connection).length() == 1
        assert (await archive_round(store, tmp_path / "second", takes_over=True)).archived == 1
        with pytest.raises(ConfigError, match="--take-over"):
            await archive_round(store, tmp_path / "first")

    with_store(url, work)


def test_a_moved_archive_is_known_again(url: str, tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        await store.write([rated("a", "1", "e-1")])
        await archive_round(store, tmp_path / "first")
        (tmp_path / "first").rename(tmp_path / "second")
        await store.write([rated("a", "2", "e-2")])
        assert (await archive_round(store, tmp_path / "second")).archived == 1

    with_store(url, work)


def test_a_large_log_takes_several_rounds(url: str, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.archiver.ROWS_AT_ONCE", 3 * PARTITIONS)

    async def work(store: Store) -> list[tuple[int, bool]]:
        await store.write([rated("a", str(number), f"e-{number}") for number in range(7)])
        rounds = [await archive_round(store, out) for _ in range(3)]
        return [(each.archived, each.is_full) for each in rounds]

    assert with_store(url, work) == [(3, True), (3, True), (1, False)]


def test_forgetting_reaches_archive_and_event_ids(url: str, out: Path) -> None:
    async def work(store: Store) -> None:
        await store.write([rated(ODD, "1", "e-1"), rated("b", "1", "e-1")])
        await archive_round(store, out)
        await UserStore(store).forget(ODD)
        await store.write([rated(ODD, "2", "e-2")])
        done = await archive_round(store, out)
        assert (done.archived, done.forgotten) == (1, 1)
        assert [row[0] for row in archived(out).select("event_id", "user_id").rows() if row[1] == ODD] == ["e-2"]
        # The id of an event is a trace of it, and would swallow a new one.
        assert [each.outcome for each in await store.write([rated(ODD, "1", "e-1")])] == [Outcome.WRITTEN]
        assert [each.outcome for each in await store.write([rated("b", "1", "e-1")])] == [Outcome.DUPLICATE]
        assert (await archive_round(store, out)).forgotten == 0

    with_store(url, work)
    assert archived(out).height == 3


def test_a_user_who_is_forgotten_while_being_archived_is_gone_after_the_next_round(
    url: str, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(store: Store) -> None:
        await store.write([rated("a", "1", "e-1"), rated("b", "1", "e-1")])
        append = Archive.append

        def forget_first(archive: Archive, rows: object) -> None:
            monkeypatch.undo()
            asyncio.run_coroutine_threadsafe(UserStore(store).forget("a"), loop)
            append(archive, rows)

        loop = asyncio.get_running_loop()
        monkeypatch.setattr(Archive, "append", forget_first)
        assert (await archive_round(store, out)).archived == 2
        await asyncio.sleep(0.2)
        with await RecordedEvents.read(store, out) as recorded:
            assert recorded.rows.collect()["user_id"].to_list() == ["b"]
        assert (await archive_round(store, out)).forgotten == 1

    with_store(url, work)
    assert archived(out)["user_id"].to_list() == ["b"]


def test_log_entries_that_a_broken_off_forgetting_left_are_not_archived(url: str, out: Path) -> None:
    async def work(store: Store) -> None:
        await store.write([rated("a", "1", "e-1")])
        name = store.pseudonyms.of_user("a")
        await store.connection.redis.hset(Keys.of("a", PARTITIONS).forgotten, name, 1)
        assert (await archive_round(store, out)).archived == 0
        assert await EventLog(store.connection).length() == 0
        assert [each.outcome for each in await store.write([rated("a", "1", "e-1")])] == [Outcome.WRITTEN]

    with_store(url, work)


def test_tenants_have_archives_of_their_own(url: str, tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        tenant = await Store.of(store.connection.within("t"))
        await store.write([rated("a", "1", "e-1")])
        await tenant.write([rated("a", "2", "e-1")])
        assert (await archive_round(tenant, tmp_path / "t")).archived == 1
        assert (await archive_round(store, tmp_path / "none")).archived == 1
        with pytest.raises(ConfigError, match="tenant"):
            await archive_round(tenant, tmp_path / "none")
        with pytest.raises(ConfigError, match="--tenant"):
            await RecordedEvents.read(store, tmp_path / "t")

    with_store(url, work)
    assert archived(tmp_path / "t")["item_id"].to_list() == ["2"]


def test_the_archive_and_the_log_are_read_as_one(url: str, out: Path) -> None:
    async def work(store: Store) -> None:
        await store.write([rated("a", "1", "e-1")])
        await archive_round(store, out)
        await store.write([rated("a", "2", "e-2")])
        with await RecordedEvents.read(store, out) as recorded:
            assert (recorded.archived, recorded.logged) == (1, 1)
            assert sorted(recorded.rows.collect()["event_id"]) == ["e-1", "e-2"]
        with pytest.raises(ConfigError, match=str(out)):
            await RecordedEvents.read(store, None)

    with_store(url, work)


def test_an_hour_between_rounds_is_no_hour_of_waiting_for_the_store(tmp_path: Path, out: Path) -> None:
    said: list[str] = []

    async def work(store: Store) -> None:
        stop = asyncio.Event()
        server.kill()
        with Archive(out, "", PARTITIONS) as archive:
            archiver = Archiver(store.connection, store.pseudonyms, archive)
            running = asyncio.create_task(archiver.run(stop, 3_600, said.append))
            async with asyncio.timeout(30):
                while not said:
                    await asyncio.sleep(0.01)
                server.spawn()
                while "the store is back" not in said:
                    await asyncio.sleep(0.01)
            stop.set()
            await running

    with ValkeyServer(tmp_path / "server") as server:
        with_store(server.url, work)


def test_no_time_between_rounds_still_leaves_a_pause(url: str, out: Path) -> None:
    rounds: list[None] = []

    class Counting(Archiver):
        async def round(self) -> Round:
            rounds.append(None)
            return Round()

    async def work(store: Store) -> None:
        stop = asyncio.Event()
        with Archive(out, "", PARTITIONS) as archive:
            running = asyncio.create_task(Counting(store.connection, store.pseudonyms, archive).run(stop, 0, print))
            await asyncio.sleep(0.3)
            stop.set()
            began = len(rounds)
            await running
        assert len(rounds) == began

    with_store(url, work)
    # A pause is never shorter, and the first has none before it.
    assert 1 <= len(rounds) <= 0.3 / LEAST_SECONDS + 2


def test_the_archiver_waits_for_a_store_that_is_away(tmp_path: Path, out: Path) -> None:
    said: list[str] = []

    async def work(url: str) -> None:
        store = await Store.connect(url, SETTINGS)
        stop = asyncio.Event()
        with Archive(out, "", PARTITIONS) as archive:
            running = asyncio.create_task(
                Archiver(store.connection, store.pseudonyms, archive).run(stop, 0.01, said.append)
            )
            server.__exit__(None, None, None)
            while not said:
                await asyncio.sleep(0.01)
            with EmbeddedStore(tmp_path):
                while "the store is back" not in said:
                    await asyncio.sleep(0.01)
                await store.write([rated("a", "1", uuid.uuid4().hex)])
                while "1 events archived" not in said:
                    await asyncio.sleep(0.01)
                stop.set()
                await running
        await store.close()

    server = EmbeddedStore(tmp_path)
    with server:
        asyncio.run(work(server.url))
    assert said[0].startswith("waiting for the store")
    assert len(said) == 3, said


def test_without_a_store_a_round_says_so(tmp_path: Path, out: Path) -> None:
    async def work(store: Store) -> None:
        server.__exit__(None, None, None)
        with pytest.raises(StoreError):
            await archive_round(store, out)

    with EmbeddedStore(tmp_path) as server:
        with_store(server.url, work)


def test_old_days_are_removed_and_come_back_only_for_a_moment(url: str, out: Path) -> None:
    async def work(store: Store) -> None:
        await store.write([rated("a", "1", "e-1")])
        entry = {"event": log_entry(Event("a", "2", "view", None, 3.0, "e-2"))}
        with Redis.from_url(url) as redis:
            redis.xadd(Keys.of("b", PARTITIONS).log, {**entry, "version": 2, "timestamp": "3"}, id="1000-0") if (
                Keys.of("b", PARTITIONS).log != Keys.of("a", PARTITIONS).log
            ) else pytest.fail("choose another user")
        done = await archive_round(store, out, keep_days=30)
        assert (done.archived, done.expired) == (2, 1)

    with_store(url, work)
    assert archived(out)["event_id"].to_list() == ["e-1"]


def test_metrics_tell_what_is_not_archived(start: Callable[..., Any], url: str) -> None:
    service = start(redis_url=url)
    assert "liverec_unarchived_events 0.0" in service.http.get("/metrics").text
    for user in ("a", "b", "c"):
        assert service.http.post("/rate", json={"user_id": user, "item_id": "1", "rating": 4}).status_code == 200
    assert "liverec_unarchived_events 3.0" in service.http.get("/metrics").text


def test_a_service_imports_neither_polars_nor_the_archive() -> None:
    check = "import sys, app.service, app.server; sys.exit(bool({'polars', 'archive', 'torch'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", check]).returncode == 0


def test_a_full_store_can_be_archived_and_forgotten_from(url: str, out: Path) -> None:
    """It is the log that fills a store: who makes room must not be refused for that there is none."""

    async def fill(store: Store) -> None:
        await store.write([rated(user_id, "1", "e-1") for user_id in ("a", "b")])
        await store.connection.redis.config_set("maxmemory", 1)
        with pytest.raises(StoreError, match="maxmemory"):
            await store.write([rated("a", "2", "e-2")])

    async def make_room(store: Store) -> None:
        assert (await UserStore(store).forget("b")).events == 1
        assert (await archive_round(store, out)).archived == 1
        assert await EventLog(store.connection).length() == 0
        await store.connection.redis.config_set("maxmemory", 0)
        assert [each.version for each in await store.write([rated("b", "1", "e-9")])] == [2]

    with_store(url, fill)
    with_store(url, make_room)
