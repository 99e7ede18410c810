"""`liverec archive` and `liverec events`: what goes out comes in again, and what is wrong is found."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recorded import EVENTS, ODD, fill, rated, row, with_store
from redis import Redis

from app.event_log import EventLog
from app.store import Store
from app.user_store import UserStore
from archive.event_file import write_events
from archive.event_rows import table_of
from engine.errors import DataError
from engine.events import Event
from training.written_events import FIELDS, read_written_events

SUFFIXES = (".parquet", ".csv", ".jsonl")
Command = Callable[..., tuple[int, str]]


def empty(url: str) -> None:
    with Redis.from_url(url) as redis:
        redis.flushall()


def read_all(url: str) -> dict[str, tuple[Event, ...]]:
    async def read(store: Store) -> dict[str, tuple[Event, ...]]:
        return {user: (await store.read(user, "")).history.events for user in (ODD, "true", "1e5")}

    return with_store(url, read)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_exported_can_be_imported(url: str, command: Command, tmp_path: Path, suffix: str) -> None:
    fill(url, EVENTS[:3])
    assert command("archive", "--out", tmp_path / "a", "--once", url=url)[0] == 0
    fill(url, EVENTS[3:])
    before, out = read_all(url), tmp_path / f"events{suffix}"
    code, said = command("events", "export", "--out", out, "--archive", tmp_path / "a", url=url)
    assert (code, "5 events are in" in said, "3 were archived, 2 were not yet" in said) == (0, True, True), said
    empty(url)
    assert command("events", "import", out, url=url) == (0, "5 events were written, 0 were there already")
    assert read_all(url) == before
    assert command("events", "import", out, url=url) == (0, "0 events were written, 5 were there already")
    assert read_all(url) == before


def test_what_the_archive_has_is_not_imported_again_when_its_ids_are_forgotten(
    url: str, command: Command, tmp_path: Path
) -> None:
    fill(url)
    out = tmp_path / "events.parquet"
    assert command("events", "export", "--out", out, url=url)[0] == 0
    assert command("archive", "--out", tmp_path / "a", "--once", url=url)[0] == 0
    with Redis.from_url(url) as redis:
        redis.delete(*redis.scan_iter("*:e:*"))
    code, said = command("events", "import", out, "--archive", tmp_path / "a", url=url)
    assert (code, said) == (0, "0 events were written, 5 were there already")


def test_events_without_ids_get_the_same_ones_each_time(url: str, command: Command, tmp_path: Path) -> None:
    file = tmp_path / "sent.csv"
    file.write_text("user,movie,rating,timestamp\na,1,4,2026-01-02\na,1,4,2026-01-02\nb,1,3,2026-01-03T04:05:06Z\n")
    assert command("events", "import", file, url=url) == (0, "2 events were written, 1 were there already")
    assert command("events", "import", file, url=url) == (0, "0 events were written, 3 were there already")
    events = with_store(url, lambda store: store.read("b", "")).history.events
    assert [(event.item_id, event.kind, event.value, event.timestamp) for event in events] == [
        ("1", "rating", 3.0, 1767413106.0)
    ]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (",1,rating,4,5,", "user_id must have"),
        (f"{'x' * 257},1,rating,4,5,", "user_id must have"),
        ("a,1,rating,,5,", "a rating needs a value"),
        ("a,1,rating,inf,5,", "a rating needs a value"),
        ("a,1,view,3,5,", "only a rating has a value"),
        ("a,1,rating,4,,", "the timestamp is missing"),
        ("a,1,rating,4,-5,", "the timestamp is missing, negative"),
        ("a,1,rating,4,99999999999,", "the timestamp lies in the future"),
        ("a,1,a\tb,,5,", "kind must have"),
        (f"a,1,rating,4,5,{'x' * 257}", "event_id has more than"),
    ],
)
def test_impossible_rows_are_refused_before_anything_is_written(
    url: str, command: Command, tmp_path: Path, line: str, words: str
) -> None:
    file = tmp_path / "sent.csv"
    file.write_text(f"user_id,item_id,kind,rating,timestamp,event_id\nb,1,rating,4,5,e-1\n{line}\n")
    code, said = command("events", "import", file, url=url)
    assert code == 2, said
    assert words in said
    assert "1 rows, for example 3. Nothing was written" in said
    with Redis.from_url(url) as redis:
        assert not list(redis.scan_iter("*:log"))


def test_event_ids_of_other_events_are_named_after_the_rest_is_written(
    url: str, command: Command, tmp_path: Path
) -> None:
    fill(url, [rated("a", "1", "e-1")])
    file = tmp_path / "sent.csv"
    file.write_text("user_id,item_id,rating,timestamp,event_id\na,9,4,5,e-9\na,2,4,5,e-1\n")
    # The log still has an event of that id, so the row counts as there.
    assert command("events", "import", file, url=url) == (0, "1 events were written, 1 were there already")
    with Redis.from_url(url) as redis:
        redis.delete(*redis.scan_iter("*:log"))
    code, said = command("events", "import", file, url=url)
    assert code == 2
    assert "1 event_ids belong to other events" in said
    assert "'e-1' of user 'a'" in said


def test_forgotten_users_stay_forgotten(url: str, command: Command, tmp_path: Path) -> None:
    fill(url)
    out = tmp_path / "events.csv"
    assert command("archive", "--out", tmp_path / "a", "--once", url=url)[0] == 0
    assert command("events", "export", "--out", out, "--archive", tmp_path / "a", url=url)[0] == 0
    with_store(url, lambda store: UserStore(store).forget("true"))
    code, said = command("events", "import", out, "--archive", tmp_path / "a", url=url)
    assert (code, said.endswith("3 events of users who were forgotten were left out")) == (0, True), said
    assert read_all(url)["true"] == ()
    # Until the next round the archive still has them, and nobody is shown them.
    later = tmp_path / "later.parquet"
    assert command("events", "export", "--out", later, "--archive", tmp_path / "a", url=url)[0] == 0
    assert "true" not in pl.read_parquet(later)["user_id"].to_list()
    assert command("events", "verify", "--archive", tmp_path / "a", url=url)[0] == 0


def test_an_archive_alone_is_exported_and_says_what_is_missing(url: str, command: Command, tmp_path: Path) -> None:
    fill(url)
    assert command("archive", "--out", tmp_path / "a", "--once", url=url)[0] == 0
    code, said = command("events", "export", "--out", tmp_path / "x.csv", "--archive", tmp_path / "a")
    assert (code, "REDIS_URL is not set" in said, "5 events" in said) == (0, True, True)
    assert command("events", "export", "--out", tmp_path / "x.csv")[0] == 2
    code, said = command("events", "export", "--out", tmp_path / "x.xlsx", url=url)
    assert (code, "must end in" in said) == (2, True)
    code, said = command("events", "export", "--out", tmp_path / "x.csv", url=url)
    assert (code, "give it with --archive" in said) == (2, True), "the log alone is not everything"


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40).filter(
    lambda text: len(text.encode()) <= 256
)
KINDS = st.sampled_from(["view", "like", "undo", "rating", "véga 1"])
TIMES = st.floats(0, 1.7e9).map(lambda time: round(time, 6))


@pytest.mark.parametrize("suffix", SUFFIXES)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    events=st.lists(
        st.tuples(TEXTS, TEXTS, KINDS, st.floats(-1e6, 1e6), TIMES, TEXTS, st.just("") | TEXTS), min_size=1, max_size=6
    )
)
def test_all_ids_survive_all_formats(tmp_path: Path, suffix: str, events: list[tuple[object, ...]]) -> None:
    path = tmp_path / f"events{suffix}"
    rows = [
        row(f"{number}-0")._replace(
            user_id=user,
            item_id=item,
            kind=kind,
            value=value if kind == "rating" else None,
            timestamp=time,
            event_id=event_id,
            recommendation_id=led,
        )
        for number, (user, item, kind, value, time, event_id, led) in enumerate(events)
    ]
    table = table_of(rows)
    write_events(table.lazy(), path)
    wanted = table.with_row_index().sort("timestamp", "index").select(FIELDS).rows()
    assert read_written_events(path, 0.0).select(FIELDS).rows() == wanted


def test_a_directory_or_a_foreign_file_is_refused(tmp_path: Path) -> None:
    for name, content in {"x.txt": b"a", "x.csv": b"\xff\xfe\x00", "y.csv": b"user_id,item_id\na,1\n"}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=name):
            read_written_events(tmp_path / name, 0.0)


def test_the_archiver_ends_cleanly_when_it_is_told_to(url: str, tmp_path: Path) -> None:
    fill(url)
    command = [sys.executable, "-m", "liverec", "archive", "--out", str(tmp_path / "a"), "--every", "0.05"]
    environment = os.environ | {"REDIS_URL": url, "LIVEREC_PARTITIONS": "4"}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as process, Redis.from_url(url) as redis:
        while not redis.exists("liverec:archive") or any(redis.xlen(key) for key in redis.scan_iter("*:log")):
            assert process.poll() is None, process.stderr.read().decode()
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=30)[1].decode()
    assert process.returncode == 0, said
    assert said.count("\n") == 1, "a round without events says nothing"
    assert "5 events archived" in said
    assert with_store(url, lambda store: EventLog(store.connection).length()) == 0


OFFLINE = "user_id,item_id,rating,timestamp\ntrue,7,4,1\nnobody,7,3,1\n"


def test_data_with_an_archive_has_both_and_what_is_not_archived_yet(url: str, command: Command, tmp_path: Path) -> None:
    fill(url, EVENTS[:4])
    assert command("archive", "--out", tmp_path / "a", "--once", url=url)[0] == 0
    fill(url, EVENTS[4:])
    file, out = tmp_path / "offline.csv", tmp_path / "out"
    file.write_text(OFFLINE)
    code, said = command("data", file, "--archive", tmp_path / "a", "--out", out, url=url)
    assert (code, "4 events are archived, and 1 in the store beyond them" in said) == (0, True), said
    both = pl.read_parquet(out / "all.parquet").sort("user_id", "item_id")
    # The undo took its rating along.
    assert both.select("user_id", "item_id").rows() == [
        ("1e5", "x"),
        ("nobody", "7"),
        (ODD, "007"),
        ("true", "7"),
        ("true", ODD),
    ]
    with_store(url, lambda store: UserStore(store).forget("true"))
    code, said = command("data", file, "--archive", tmp_path / "a", "--out", out, url=url)
    assert (code, "1 users of the data were forgotten" in said) == (0, True), said
    assert "true" not in pl.read_parquet(out / "all.parquet")["user_id"].to_list()
    code, said = command("data", tmp_path / "a", "--out", out)
    assert (code, "not archived yet was not read" in said) == (0, True), said
    assert pl.read_parquet(out / "all.parquet").height == 2


def test_an_archive_is_given_once_and_never_loaded(url: str, command: Command, tmp_path: Path) -> None:
    fill(url)
    assert command("archive", "--out", tmp_path / "a", "--once", url=url)[0] == 0
    code, said = command("data", tmp_path / "a", "--archive", tmp_path / "a", url=url)
    assert (code, "is an archive already" in said) == (2, True)
    code, said = command("load", "--data", tmp_path / "a", url=url)
    assert (code, "would count twice" in said) == (2, True)
    code, said = command("data", "--archive", tmp_path / "nothing", url=url)
    assert (code, "this is no archive of events" in said) == (2, True), said
