"""Nothing that a service logs names a user, an item, a key or a password, whatever goes wrong."""

from __future__ import annotations

import signal
from pathlib import Path

import httpx
from chaos.access_matrix import operations, url_of
from key_ring import SCOPES, KeyRing, keyed, sent
from redis import Redis

CANARY = "canary7f3"


def test_nothing_is_named(start, url: str, tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "keys.toml")
    key = ring.add(*SCOPES)
    password = f"{CANARY}-password"
    with Redis.from_url(url) as redis:
        redis.execute_command("ACL", "SETUSER", "shop", "on", f">{password}", "~*", "+@all")
    address = url.replace("unix://", f"unix://shop:{password}@", 1)
    service = start(redis_url=address, content="1", **keyed(ring))
    http = httpx.Client(base_url=service.http.base_url, headers=sent(key), timeout=20)
    for number, operation in enumerate(operations()):
        name = f"{CANARY}-{number}"
        for headers in ({}, sent(f"liverec_{CANARY}_{'0' * 64}")):
            bodies = (b"", f'{{"user_id": "{name}", "item_id": "{name}", "rating": 99}}'.encode(), CANARY.encode())
            for body in bodies:
                http.request(operation.method, url_of(operation, name), headers=headers, content=body)
    http.post("/rate", json={"user_id": CANARY, "item_id": CANARY, "rating": 4}).raise_for_status()
    # What nobody foresaw: the network of these tests reads the number of an item, and this is none.
    broken = http.post("/items", json={"item_id": CANARY, "metadata": {"near": f"item {CANARY}"}})
    assert broken.status_code == 500
    assert CANARY not in broken.text
    # What the network refuses: it is said in the answer.
    assert http.post("/items", json={"item_id": CANARY, "metadata": {"near": "nowhere"}}).status_code == 422
    ring.path.write_text(f'[[keys]]\nname = "{CANARY}"\nsecret = "{key}"')
    _wait_for_the_file_to_be_looked_at(service, http)
    http.close()
    service.process.send_signal(signal.SIGINT)
    log = service.process.stderr.read().decode()
    assert f"unforeseen error in request {broken.headers['x-request-id']}: builtins.ValueError" in log
    assert "content_service.py" in log
    assert "the keys stay as they were" in log
    assert CANARY not in log
    assert key.split("_")[2] not in log


def _wait_for_the_file_to_be_looked_at(service, http: httpx.Client) -> None:
    for _ in range(200):
        if "liverec_key_file_failures_total 1.0" in http.get("/metrics").text:
            return
    raise AssertionError("the file was not looked at")
