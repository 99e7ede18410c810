"""The users of the store in docker-compose.yml: each can do what its program does, and nothing else."""

from __future__ import annotations

import asyncio
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from composed_store import CLIENTS, ROOT, ComposedStore, make_users, password
from redis import Redis
from redis.exceptions import AuthenticationError, ResponseError

from app.settings import Settings
from app.store import Store
from engine.events import Event, History

pytestmark = pytest.mark.timeout(120)

FORBIDDEN = (
    "FLUSHALL",
    "FLUSHDB",
    "KEYS *",
    "CONFIG SET appendonly no",
    "CONFIG REWRITE",
    "DEBUG SLEEP 0",
    "SHUTDOWN NOSAVE",
    "REPLICAOF NO ONE",
    "ACL LIST",
    "ACL SETUSER mallory on",
    "MODULE LIST",
    "MONITOR",
    "CLIENT KILL TYPE normal",
    "CLIENT LIST",
    "SCRIPT FLUSH",
    "FUNCTION FLUSH",
    "SAVE",
    "BGREWRITEAOF",
    "MIGRATE 127.0.0.1 1 {p0}:log 0 1",
    "SWAPDB 0 1",
    "SUBSCRIBE news",
    "SLOWLOG GET",
)
CALL = re.compile(r"redis\.call\('(\w+)'", re.IGNORECASE)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposedStore]:
    with ComposedStore(tmp_path_factory.mktemp("u")) as running:
        yield running


@pytest.fixture
def refusals(store: ComposedStore) -> Iterator[list[str]]:
    """What the store refused a user during the test: filled at its end, when it must be empty."""
    refused: list[str] = []
    with Redis.from_url(store.url("inspector")) as inspector:
        inspector.acl_log_reset()
        yield refused
        refused += [f"{each['username']}: {each['reason']} {each['object']}" for each in inspector.acl_log()]
    assert refused == []


def rated(user_id: str, item_id: str, event_id: str) -> Event:
    return Event(user_id, item_id, "rating", 5.0, 1_000.0, event_id)


def test_no_password_stands_where_the_store_reads(store: ComposedStore) -> None:
    users = (store.folder / "users.acl").read_text(encoding="utf-8")
    words = [password(store.folder, client) for client in CLIENTS]
    assert all(re.fullmatch("[0-9a-f]{64}", word) for word in words)
    assert len(set(words)) == len(CLIENTS)
    assert not [word for word in words if word in users]


def test_passwords_stay_until_they_are_rotated(tmp_path: Path) -> None:
    make_users(tmp_path)
    first, users = [password(tmp_path, client) for client in CLIENTS], (tmp_path / "users.acl").read_bytes()
    make_users(tmp_path)
    assert [password(tmp_path, client) for client in CLIENTS] == first
    assert (tmp_path / "users.acl").read_bytes() == users
    make_users(tmp_path, "rotate")
    assert not set(first) & {password(tmp_path, client) for client in CLIENTS}
    assert (tmp_path / "users.acl").read_bytes() != users


def test_what_a_stopped_start_left_is_made_whole(tmp_path: Path) -> None:
    make_users(tmp_path)
    (tmp_path / "urls" / "trainer" / "REDIS_URL").write_text("", encoding="utf-8")
    make_users(tmp_path)
    assert len(password(tmp_path, "trainer")) == 64


def test_nobody_enters_without_a_password(store: ComposedStore) -> None:
    with Redis.from_url(store.url_without_user) as anyone, pytest.raises((AuthenticationError, ResponseError)):
        anyone.ping()
    wrong = store.url("service").replace(password(store.folder, "service"), "0" * 64)
    with Redis.from_url(wrong) as mallory, pytest.raises(AuthenticationError):
        mallory.ping()
    with (
        Redis.from_url(store.url("service").replace("service:", "default:")) as default,
        pytest.raises(AuthenticationError),
    ):
        default.ping()


@pytest.mark.parametrize("user", [*CLIENTS, "health"])
def test_nobody_may_do_what_harms_the_server(store: ComposedStore, user: str) -> None:
    with Redis.from_url(store.url(user)) as client:
        for command in FORBIDDEN:
            # Whatever its users may do, the server has no DEBUG.
            with pytest.raises(ResponseError, match=r"permissions to run|DEBUG command not allowed"):
                client.execute_command(*command.split())
        assert client.ping()


REFUSED = [
    ("health", "GET liverec:secret"),
    ("service", "SET elsewhere 1"),
    ("service", "GET p0:h:someone"),
    ("trainer", "DEL {p0}:log"),
    ("trainer", "SET {p0}:e:1:a:b 1"),
    ("trainer", "HSET {items}:state a b"),
    ("archiver", "DEL {p0}:h:someone"),
    ("archiver", "HSET {p0}:forgotten a 1"),
    ("archiver", "XADD {p0}:log * a b"),
    ("operator", "SET elsewhere 1"),
]
ALLOWED = [
    ("service", "SET {p63}:v:someone 1"),
    ("service", "ZADD acme:{p0}:h:someone 1 a"),
    ("service", "XREAD STREAMS {items}:log 0-0"),
    ("service", "XADD acme:liverec:exposures * a b"),
    ("service", "ZINCRBY {trend}:hour 1 a"),
    ("service", "CONFIG GET maxmemory-policy"),
    ("service", "INFO server"),
    ("service", "WAITAOF 1 0 100"),
    ("trainer", "XRANGE {p0}:log - +"),
    ("trainer", "HGETALL acme:{p0}:forgotten"),
    ("archiver", "XRANGE {p0}:log - + COUNT 10"),
    ("archiver", "XDEL acme:{p0}:log 1-0"),
    ("archiver", "XLEN {p0}:log"),
    ("archiver", "HGETALL {p0}:forgotten"),
    ("archiver", "HMGET liverec:archive id folder"),
    ("archiver", "DEL {p0}:e:1:a:b"),
    ("operator", "SCAN 0"),
    ("operator", "ZSCAN {p0}:h:someone 0"),
    ("operator", "XADD {p0}:log * a b"),
]


@pytest.mark.parametrize(("user", "command"), REFUSED)
def test_a_user_reaches_no_further_than_its_program(store: ComposedStore, user: str, command: str) -> None:
    with Redis.from_url(store.url("inspector")) as inspector:
        assert inspector.acl_dryrun(user, *command.split()) != b"OK"


@pytest.mark.parametrize(("user", "command"), ALLOWED)
def test_a_user_reaches_what_its_program_needs(store: ComposedStore, user: str, command: str) -> None:
    with Redis.from_url(store.url("inspector")) as inspector:
        assert inspector.acl_dryrun(user, *command.split()) == b"OK"


def may_run(inspector: Redis, user: str, command: str) -> bool:
    for count in range(6):
        try:
            return b"permissions to run" not in inspector.acl_dryrun(user, command, *["1"] * count)
        except ResponseError as error:
            assert "number of arguments" in str(error)  # noqa: PT017 (the next number may be right)
    raise AssertionError(command)


def test_the_service_may_run_all_that_its_scripts_call(store: ComposedStore) -> None:
    scripts = (ROOT / "app" / "scripts").glob("*.lua")
    called = {name.upper() for script in scripts for name in CALL.findall(script.read_text(encoding="utf-8"))}
    with Redis.from_url(store.url("inspector")) as inspector:
        refused = [
            f"{user}: {name}; allow it in deploy/store-users.sh"
            for user in ("service", "operator")
            for name in sorted(called)
            if not may_run(inspector, user, name)
        ]
    assert len(called) > 20
    assert refused == []


def test_the_trainer_loads_histories(store: ComposedStore, refusals: list[str]) -> None:
    async def load() -> int:
        trainer = await Store.connect(store.url("trainer"), Settings())
        try:
            return await trainer.load([History((rated("loaded", "1", "e1"), rated("loaded", "2", "e2")))])
        finally:
            await trainer.close()

    assert asyncio.run(load()) == 2


def test_what_was_acknowledged_is_there_after_the_store_was_killed(store: ComposedStore) -> None:
    # While it reads its log again the server asks what the default user may do: see deploy/store-users.sh.
    async def rate() -> int:
        service = await Store.connect(store.url("service"), Settings())
        try:
            await service.write([rated("survivor", str(item), f"s{item}") for item in range(5)])
        finally:
            await service.close()
        store.kill()
        store.start()
        again = await Store.connect(store.url("service"), Settings())
        try:
            return len((await again.read("survivor", "")).history.events)
        finally:
            await again.close()

    assert asyncio.run(rate()) == 5


@pytest.fixture(scope="module")
def service(
    store: ComposedStore, topic_bundle: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """A real service that finds its URL in a file, as in the container."""
    folder = tmp_path_factory.mktemp("secrets")
    (folder / "REDIS_URL").write_text(store.url("service"), encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    variables = {"LIVEREC_SECRETS": str(folder), "LIVEREC_BUNDLE": str(topic_bundle), "LIVEREC_PORT": str(port)}
    variables |= {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "LIVEREC_EXPLORATION_SHARE": "0.5"}
    process = subprocess.Popen([sys.executable, "-m", "liverec", "serve"], env=variables, cwd=ROOT)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10, trust_env=False) as http:
        deadline = time.monotonic() + 60
        while not ready(http):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield http
    process.terminate()
    process.wait(20)


def ready(http: httpx.Client) -> bool:
    try:
        return http.get("/health/ready").status_code == 200
    except httpx.TransportError:
        return False


def test_the_service_does_all_that_it_does(service: httpx.Client, refusals: list[str]) -> None:
    items = [each["item_id"] for each in service.get("/recommend/someone", params={"n": 8}).json()["items"]]
    given = [{"user_id": "someone", "item_id": item, "rating": 4.0} for item in items[:4]]
    calls = [
        ("POST", "/rate", given),
        ("POST", "/rate", {"user_id": "someone", "item_id": items[0], "rating": 1.0}),
        ("POST", "/feedback", {"user_id": "someone", "item_id": items[4], "kind": "view"}),
        ("DELETE", f"/rate/someone/{items[1]}", None),
        ("GET", "/recommend/someone?n=3", None),
        ("GET", "/recommend/someone?n=3", None),
        ("GET", "/users/someone/history", None),
        ("POST", "/predict", {"user_id": "someone", "items": items[5:]}),
        ("POST", "/items", {"item_id": "new one", "title": "new"}),
        ("PATCH", "/items/new%20one", {"title": "newer"}),
        ("GET", "/items/new%20one", None),
        ("DELETE", "/items/new%20one", None),
        ("GET", "/popular", None),
        ("GET", "/trending", None),
        ("GET", "/latest", None),
        ("DELETE", "/users/someone", None),
        ("GET", "/recommend/someone?n=3", None),
        ("GET", "/health/ready", None),
        ("GET", "/metrics", None),
    ]
    for method, path, body in calls:
        answer = service.request(method, path, json=body)
        assert answer.status_code < 400, f"{method} {path}: {answer.text}"
        assert not re.search(r'"degraded": ?"', answer.text), f"{method} {path}: {answer.text}"
