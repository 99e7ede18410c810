"""The drill: a backup is made while people rate, the store is lost, and what the backup has is as it was."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis

from app.archiver import Archiver
from app.embedded_store import EmbeddedStore
from app.exploration_log import ExploredPlace
from app.item_document import ItemDocument
from app.item_store import Draft, ItemStore
from app.settings import Settings
from app.store import RESTORING_KEY, Outcome, Store
from app.store_connection import StoreConnection
from app.user_store import UserStore
from archive.archive import Archive
from archive.archive_snapshot import ArchiveSnapshot
from engine.errors import ConfigError
from engine.events import UNDO, Event, History
from liverec import backup
from liverec.event_archiving import EventArchiving
from liverec.event_verification import verify_events

IDS = ("alice", "b/ö\n", "x:{p1}:v:y", "{p3}:v:z", " ", "12:3")


@contextmanager
def store_in(folder: Path) -> Iterator[str]:
    folder.mkdir(exist_ok=True)
    with EmbeddedStore(folder) as store:
        yield store.url


def with_store(url: str, work: Callable[[Store], Awaitable[None]], tenant: str = "", **limits: int) -> None:
    async def run() -> None:
        connection = await StoreConnection.connect(url, Settings(**limits))
        try:
            await work(await Store.of(connection.within(tenant)))
        finally:
            await connection.close()

    asyncio.run(run())


def events_of(user_id: str, count: int, start: int = 0) -> list[Event]:
    return [
        Event(user_id, f"item {number % 7}", "rating", 1.0 + number % 5, 1e9 + number, f"e {number}")
        for number in range(start, start + count)
    ]


async def fill(store: Store) -> None:
    for user_id in IDS:
        await store.write(events_of(user_id, 9))
        await store.write(
            [Event(user_id, "item 1", UNDO, None, 2e9, "undo"), Event(user_id, "i", "view", None, 1e9, "w")]
        )
    await store.write(events_of("gone", 3))
    await store.write(events_of("back", 3))
    for user_id in ("gone", "back"):
        await UserStore(store).forget(user_id)
    await store.write(events_of("back", 2, start=10))
    items = ItemStore(store.connection)
    await items.put([Draft(ItemDocument("new", 0, 1.0, metadata={"title": "ö"}), image=b"\0\xff")])
    await items.put([Draft(ItemDocument("deleted", 0, 1.0, is_deleted=True))])
    place = ExploredPlace("r", "alice", "new", 1, 0.5, 1.0, "m")
    await store.keep("alice", 11, "field", b"{}", [place])


def contents(url: str) -> dict[str, object]:
    """Return all that must be the same, with how long it lives to the minute."""
    found: dict[str, object] = {}
    with Redis.from_url(url) as redis:
        for key in sorted(redis.scan_iter(count=1_000)):
            name = key.decode()
            if name.endswith(("{items}:seq", "{items}:log")) or "}:c:" in name:
                continue
            kind = redis.type(key)
            read = {
                b"string": lambda key=key: redis.get(key),
                b"hash": lambda key=key: redis.hgetall(key),
                b"zset": lambda key=key: redis.zrange(key, 0, -1, withscores=True),
                b"stream": lambda key=key: redis.xrange(key),
            }[kind]
            found[name] = read(), round(redis.ttl(key) / 60)
    return found


def restored(url: str, folder: Path, monkeypatch: pytest.MonkeyPatch, tenant: str = "") -> None:
    monkeypatch.setenv("REDIS_URL", url)
    backup.restore(folder, tenant)


@pytest.mark.parametrize("tenant", ["", "acme"])
def test_what_comes_back_is_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tenant: str) -> None:
    with store_in(tmp_path / "a") as url:
        with_store(url, fill, tenant)
        if tenant:
            with_store(url, lambda store: store.write(events_of("of no tenant", 1)))
        before = {key: value for key, value in contents(url).items() if not tenant or key.startswith(f"{tenant}:")}
        monkeypatch.setenv("REDIS_URL", url)
        backup.backup(tmp_path / "backup", tenant)
    assert (tmp_path / "backup").stat().st_mode & 0o777 == 0o700
    with store_in(tmp_path / "b") as url:
        restored(url, tmp_path / "backup", monkeypatch, tenant)
        assert contents(url) == before

        async def repeated(store: Store) -> None:
            again = await store.write(events_of("alice", 9))
            assert {each.outcome for each in again} == {Outcome.DUPLICATE}
            assert [each.version for each in again] == list(range(1, 10))
            assert [each.version for each in await store.write(events_of("gone", 1, start=50))] == [4]
            seq = await ItemStore(store.connection).seq()
            await ItemStore(store.connection).put([Draft(ItemDocument("newer", 0, 1.0))])
            assert await ItemStore(store.connection).seq() == seq + 1 > 1_600_000_000_000

        with_store(url, repeated, tenant)


def test_a_backup_under_load_has_each_event_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes back of a user is what the log says, and nothing that was acknowledged before is missing."""
    with store_in(tmp_path / "a") as url:
        acknowledged, is_over = [0], threading.Event()

        async def rate(store: Store) -> None:
            while not is_over.is_set():
                lot = [
                    Event(f"u{each % 5}", f"item {each % 7}", "rating", 2.0, 1e9, f"e {each}")
                    for each in range(acknowledged[0], acknowledged[0] + 5)
                ]
                await store.write(lot)
                acknowledged[0] += 5

        thread = threading.Thread(target=with_store, args=(url, rate))
        thread.start()
        while acknowledged[0] < 500:
            is_over.wait(0.01)
        at_least = acknowledged[0]
        monkeypatch.setenv("REDIS_URL", url)
        backup.backup(tmp_path / "backup", "")
        is_over.set()
        thread.join()
    with store_in(tmp_path / "b") as url:
        restored(url, tmp_path / "backup", monkeypatch)

        async def check(store: Store) -> None:
            states = [await store.read(f"u{each}", "") for each in range(5)]
            exported = [await UserStore(store).export(f"u{each}") for each in range(5)]
            assert sum(state.version for state in states) == sum(len(each.log) for each in exported) >= at_least
            for state, each in zip(states, exported, strict=True):
                assert [entry.history_version for entry in each.log] == list(range(1, state.version + 1))
                newest = {entry.item_id: entry.event_id for entry in each.log}
                assert {event.item_id: event.event_id for event in state.history.events} == newest
                written = [Event(each.user_id, entry.item_id, "rating", 2.0, 1e9, entry.event_id) for entry in each.log]
                assert {again.outcome for again in await store.write(written)} == {Outcome.DUPLICATE}

        with_store(url, check)


def archived(url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", url)
    EventArchiving(folder, "", None, takes_over=False).run(0, once=True)


def test_what_was_archived_after_the_backup_comes_back_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The drill: backup, more ratings, some archived, one user forgotten; then the store and all its files are lost."""
    archive = tmp_path / "archive"
    with store_in(tmp_path / "a") as url:
        with_store(url, lambda store: store.write([*events_of("alice", 4), *events_of("gone", 2)]))
        archived(url, archive, monkeypatch)
        with_store(url, lambda store: store.write(events_of("alice", 2, start=4)))
        backup.backup(tmp_path / "backup", "")
        with_store(url, lambda store: store.write([*events_of("alice", 3, start=6), *events_of("new", 2)]))
        with_store(url, lambda store: store.write([Event("alice", "item 6", UNDO, None, 2e9, "undo")]))
        with_store(url, lambda store: UserStore(store).forget("gone"))
        archived(url, archive, monkeypatch)
        with_store(url, lambda store: store.write(events_of("alice", 1, start=9)))
    with store_in(tmp_path / "b") as url:
        monkeypatch.setenv("REDIS_URL", url)
        backup.restore(tmp_path / "backup", "", archive)

        async def check(store: Store) -> None:
            state = await store.read("alice", "")
            # Of the last one nobody had a copy.
            assert (state.version, {event.event_id for event in state.history.events}) == (
                10,
                {f"e {number}" for number in (2, 3, 4, 5, 7, 8)},
            )
            assert [(await store.read(each, "")).version for each in ("new", "gone")] == [2, 0]
            again = await store.write([*events_of("alice", 9), Event("alice", "item 6", UNDO, None, 2e9, "undo")])
            assert {each.outcome for each in again} == {Outcome.DUPLICATE}
            assert again[-1].removed == 1
            await store.write(events_of("alice", 1, start=9))

        with_store(url, check)
        archived(url, archive, monkeypatch)
        assert verify_events(archive, "")
    with ArchiveSnapshot(archive) as snapshot:
        assert snapshot.scan().select("user_id", "event_id").collect().is_unique().all()
        assert snapshot.manifest.rows == 13


def between_users_and_log(monkeypatch: pytest.MonkeyPatch, work: Callable[[Store], Awaitable[None]]) -> None:
    """Let something happen while a backup is made, after the users and before the log were read."""
    streams = backup.StoreSnapshot._streams

    async def later(snapshot: backup.StoreSnapshot):
        await work(await Store.of(snapshot._connection))
        async for lot in streams(snapshot):
            yield lot

    monkeypatch.setattr(backup.StoreSnapshot, "_streams", later)


def test_what_is_archived_while_it_is_made_comes_back_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "archive"

    async def later(store: Store) -> None:
        await store.write(events_of("alice", 2, start=2))
        with Archive(archive, "", 64) as opened:
            await Archiver(store.connection, store.pseudonyms, opened).round()
        await store.write(events_of("alice", 1, start=4))

    with store_in(tmp_path / "a") as url:
        with_store(url, lambda store: store.write(events_of("alice", 2)))
        archived(url, archive, monkeypatch)
        with monkeypatch.context() as patch:
            between_users_and_log(patch, later)
            backup.backup(tmp_path / "backup", "")
    with store_in(tmp_path / "b") as url:
        monkeypatch.setenv("REDIS_URL", url)
        backup.restore(tmp_path / "backup", "", archive)

        async def check(store: Store) -> None:
            state = await store.read("alice", "")
            assert (state.version, [event.event_id for event in state.history.events]) == (
                5,
                [f"e {number}" for number in range(5)],
            )

        with_store(url, check)
        archived(url, archive, monkeypatch)
        assert verify_events(archive, "")


def test_whom_only_the_archive_knows_to_be_forgotten_stays_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "archive"
    with store_in(tmp_path / "a") as url:
        with_store(url, lambda store: store.write(events_of("ann", 4)))
        archived(url, archive, monkeypatch)
        backup.backup(tmp_path / "backup", "")
        with_store(url, lambda store: UserStore(store).forget("ann"))
        archived(url, archive, monkeypatch)
    with store_in(tmp_path / "b") as url:
        monkeypatch.setenv("REDIS_URL", url)
        with pytest.raises(ConfigError, match=f"went to the archive in {archive}.*--without-archive"):
            backup.restore(tmp_path / "backup", "")
        backup.restore(tmp_path / "backup", "", archive)

        async def check(store: Store) -> None:
            assert (await store.read("ann", "")).version == 0
            assert await UserStore(store).count_forgotten(["ann"]) == 1
            assert await store.load([History(tuple(events_of("ann", 1)))]) == 0
            assert [each.version for each in await store.write(events_of("ann", 2, start=20))] == [5, 6]

        with_store(url, check)
        archived(url, archive, monkeypatch)
        with_store(url, lambda store: UserStore(store).forget("ann"))
        archived(url, archive, monkeypatch)
        with ArchiveSnapshot(archive) as snapshot:
            assert snapshot.manifest.rows == 0


def test_an_archive_of_another_store_is_refused_and_one_s_own_can_be_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "other"):
        with store_in(tmp_path / name) as url:
            with_store(url, lambda store: store.write(events_of("alice", 3)))
            archived(url, tmp_path / f"archive {name}", monkeypatch)
            backup.backup(tmp_path / f"backup {name}", "")
    with store_in(tmp_path / "b") as url:
        monkeypatch.setenv("REDIS_URL", url)
        with pytest.raises(ConfigError, match="is not the archive of this store"):
            backup.restore(tmp_path / "backup a", "", tmp_path / "archive other")
        backup.restore(tmp_path / "backup a", "", is_without=True)
        with pytest.raises(ConfigError, match="given up"):
            archived(url, tmp_path / "archive a", monkeypatch)

        async def check(store: Store) -> None:
            assert (await store.read("alice", "")).version == 3

        with_store(url, check)


def test_a_user_who_came_back_is_no_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    async def later(store: Store) -> None:
        await UserStore(store).forget("ann")
        await store.write(events_of("ann", 1, start=9))

    with store_in(tmp_path / "a") as url:
        with_store(url, lambda store: store.write(events_of("ann", 4)))
        monkeypatch.setenv("REDIS_URL", url)
        with monkeypatch.context() as patch:
            between_users_and_log(patch, later)
            backup.backup(tmp_path / "backup", "")
    with store_in(tmp_path / "b") as url:
        restored(url, tmp_path / "backup", monkeypatch)
        assert "gaps" not in capsys.readouterr().err

        async def check(store: Store) -> None:
            assert (await store.read("ann", "")).version == 5

        with_store(url, check)


def test_who_was_forgotten_while_it_was_made_stays_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with store_in(tmp_path / "a") as url:

        async def work(store: Store) -> None:
            await store.write([*events_of("gone", 3), *events_of("back", 3), *events_of("alice", 3)])

        async def forget(store: Store) -> None:
            for user_id in ("gone", "back"):
                await UserStore(store).forget(user_id)
            await store.write(events_of("back", 2, start=10))

        with_store(url, work)
        users = backup.StoreSnapshot._users

        async def with_forgetting(snapshot: backup.StoreSnapshot):
            async for lot in users(snapshot):
                yield lot
            store = await Store.of(snapshot._connection)
            await forget(store)

        monkeypatch.setattr(backup.StoreSnapshot, "_users", with_forgetting)
        monkeypatch.setenv("REDIS_URL", url)
        backup.backup(tmp_path / "backup", "")
    with store_in(tmp_path / "b") as url:
        restored(url, tmp_path / "backup", monkeypatch)

        async def check(store: Store) -> None:
            versions = {each: (await store.read(each, "")).version for each in ("gone", "back", "alice")}
            assert versions == {"gone": 0, "back": 5, "alice": 3}
            assert (await UserStore(store).export("gone")).log == []
            kept = await UserStore(store).export("back")
            assert [event.event_id for event in kept.events] == ["e 10", "e 11"] == [each.event_id for each in kept.log]
            assert {each.outcome for each in await store.write(events_of("gone", 3))} == {Outcome.WRITTEN}

        with_store(url, check)


def test_only_an_empty_store_is_filled_and_none_is_used_before_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store_in(tmp_path / "a") as url:
        with_store(url, fill)
        monkeypatch.setenv("REDIS_URL", url)
        backup.backup(tmp_path / "backup", "")
        before = contents(url)
        with pytest.raises(ConfigError, match="not empty"):
            backup.restore(tmp_path / "backup", "")
        with pytest.raises(ConfigError, match="exists"):
            backup.backup(tmp_path / "backup", "")
    with store_in(tmp_path / "b") as url:
        put, count = backup.StoreRestoration.put, [0]

        async def stopped(*args: object) -> None:
            count[0] += 1
            await put(*args)
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(backup.StoreRestoration, "put", stopped)
            with pytest.raises(KeyboardInterrupt):
                restored(url, tmp_path / "backup", patch)
        with Redis.from_url(url) as redis:
            assert redis.exists(RESTORING_KEY)
        with pytest.raises(ConfigError, match="a part of a backup; repeat `liverec restore`"):
            with_store(url, fill)
        restored(url, tmp_path / "backup", monkeypatch)
        assert contents(url) == before


def test_a_damaged_backup_is_refused_by_the_name_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with store_in(tmp_path / "a") as url:
        with_store(url, fill)
        monkeypatch.setenv("REDIS_URL", url)
        backup.backup(tmp_path / "backup", "")
    monkeypatch.setenv("REDIS_URL", "unix:///nowhere")
    for path in sorted((tmp_path / "backup").iterdir()):
        content = path.read_bytes()
        for damaged in (content[:-1], content + b" ", bytes([content[0] ^ 1]) + content[1:], None):
            path.unlink()
            if damaged is not None:
                path.write_bytes(damaged)
            with pytest.raises(Exception, match=r"manifest\.json" if "manifest" in path.name else path.name) as raised:
                backup.restore(tmp_path / "backup", "")
            assert type(raised.value).__name__ == "DataError"
        path.write_bytes(content)


def test_the_commands(tmp_path: Path) -> None:
    def call(url: str, *words: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"REDIS_URL": url}
        return subprocess.run(
            [sys.executable, "-m", "liverec", *words], env=environment, capture_output=True, text=True
        )

    with store_in(tmp_path / "a") as url:
        with_store(url, fill)
        made = call(url, "backup", "--out", str(tmp_path / "backup"))
        assert (made.returncode, "values" in made.stderr) == (0, True)
    with store_in(tmp_path / "b") as url:
        done = call(url, "restore", str(tmp_path / "backup"))
        assert (done.returncode, "is in the store" in done.stderr) == (0, True)
        again = call(url, "restore", str(tmp_path / "backup"))
        assert (again.returncode, "not empty" in again.stderr) == (2, True)
