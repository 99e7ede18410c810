"""`liverec events verify` finds what is wrong, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from recorded import EVENTS, ODD, archive_round, fill, rated, with_store
from redis import Redis

from app.keys import Keys
from app.store import Store
from app.user_store import UserStore
from engine.events import Event, History

Command = Callable[..., tuple[int, str]]


def verified(command: Command, url: str, folder: Path) -> tuple[int, str]:
    return command("events", "verify", "--archive", folder, url=url)


@pytest.fixture
def lived(url: str, tmp_path: Path) -> Path:
    """An archive and a store after a life: loaded histories, trimmed ones, forgotten users, opinions in any order."""

    async def work(store: Store) -> None:
        await store.load(
            [History((Event("true", "null", "rating", 1.0, 3.9), Event("true", "old", "view", None, 0.5)))]
        )
        await store.write(EVENTS)
        await archive_round(store, tmp_path / "a")
        await store.write([rated("long", str(number), f"e-{number}", float(number % 50)) for number in range(1_100)])
        await store.write([rated("gone", "1", "e-1"), rated("back", "1", "e-1"), rated("back", "1", "e-2", 0.5)])
        await archive_round(store, tmp_path / "a")
        await UserStore(store).forget("gone")
        await UserStore(store).forget("back")
        await store.write([rated("back", "2", "e-3")])

    with_store(url, work)
    return tmp_path / "a"


def test_what_is_right_is_found_right(url: str, command: Command, lived: Path) -> None:
    code, said = verified(command, url, lived)
    assert code == 0, said
    code, said = command("events", "verify", "--archive", lived)
    assert (code, "histories in the store were not looked at" in said) == (0, True)
    assert command("events", "verify")[0] == 2
    assert command("events", "verify", url=url)[0] == 2, "without the archive every history would look wrong"


@pytest.mark.parametrize("user", ["1e5", "long", "back", "true", ODD])
def test_an_event_that_a_history_lost_is_found(url: str, command: Command, lived: Path, user: str) -> None:
    with Redis.from_url(url) as redis:
        redis.zremrangebyrank(Keys.of(user, 4).history, -1, -1)
    code, said = verified(command, url, lived)
    assert (code, "lacks" in said) == (1, True), said
    assert repr(user)[1:4] in said


def test_an_event_that_nothing_recorded_is_found(url: str, command: Command, lived: Path) -> None:
    fill(url, [rated("new", "1", "e-1")])
    with Redis.from_url(url) as redis:
        redis.delete(Keys.of("new", 4).log)
    code, said = verified(command, url, lived)
    assert (code, "user 'new': should not have rating of item '1'" in said) == (1, True), said


def test_a_store_that_was_set_back_is_found(url: str, command: Command, lived: Path) -> None:
    with Redis.from_url(url) as redis:
        redis.decr(Keys.of("long", 4).version)
    code, said = verified(command, url, lived)
    assert (code, "the store is at version 1099, but version 1100 was written" in said) == (1, True), said


def test_a_damaged_file_is_found(url: str, command: Command, lived: Path) -> None:
    file = next(lived.rglob("*.parquet"))
    file.write_bytes(file.read_bytes()[:-1])
    code, said = verified(command, url, lived)
    assert (code, "is not what was written" in said) == (1, True)
