"""Two real workers: what one was told, the other knows; and what was acknowledged survives."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import httpx
import psutil
import pytest

from app.embedded_store import EmbeddedStore


def rating(user_id: str, item: int | str, value: float = 5.0, **more: object) -> dict[str, object]:
    item_id = f"item {item}" if isinstance(item, int) else item
    return {"user_id": user_id, "item_id": item_id, "rating": value, **more}


def fresh() -> httpx.Limits:
    # Without kept connections each request may meet either worker.
    return httpx.Limits(max_keepalive_connections=0)


def test_every_rating_counts_in_the_very_next_answer_on_any_worker(service) -> None:
    chance = random.Random(7)
    with httpx.Client(base_url=service.http.base_url, limits=fresh()) as http:
        rated: dict[str, set[str]] = {}
        for _ in range(150):
            user_id = f"reader {chance.randrange(25)}"
            before = http.get(f"/recommend/{user_id}", params={"n": 24}).json()
            if not before["items"]:
                continue
            item_id = chance.choice(before["items"])["item_id"]
            receipt = http.post("/rate", json=rating(user_id, item_id, chance.randint(1, 5))).json()
            rated.setdefault(user_id, set()).add(item_id)
            after = http.get(f"/recommend/{user_id}", params={"n": 24}).json()
            assert after["history_version"] == receipt["versions"][user_id] == before["history_version"] + 1
            assert not rated[user_id] & {item["item_id"] for item in after["items"]}


def test_two_processes_serve(service) -> None:
    with httpx.Client(base_url=service.http.base_url, limits=fresh()) as http, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: http.get(f"/recommend/{number}"), range(200)))
    children = psutil.Process(service.process.pid).children()
    assert sum("spawn_main" in " ".join(child.cmdline()) for child in children) == 2


def test_a_new_user_is_known_after_one_rating(service) -> None:
    user_id = uuid.uuid4().hex
    stranger = service.http.get(f"/recommend/{user_id}", params={"n": 3}).json()
    assert (stranger["source"], stranger["history_version"]) == ("popular", 0)
    service.http.post("/rate", json=rating(user_id, 7)).raise_for_status()
    known = service.http.get(f"/recommend/{user_id}", params={"n": 3}).json()
    assert known["source"] == "rerank"
    assert "item 8" in {item["item_id"] for item in known["items"]}


def test_an_answer_has_the_documented_shape(service) -> None:
    user_id = uuid.uuid4().hex
    service.http.post("/rate", json=[rating(user_id, 3), rating(user_id, 4)])
    answer = service.http.get(f"/recommend/{user_id}", params={"n": 4}).json()
    schema = service.http.get("/openapi.json").json()["components"]["schemas"]
    assert answer.keys() == schema["Answer"]["properties"].keys()
    assert answer["degraded"] is None
    assert [item["rank"] for item in answer["items"]] == [1, 2, 3, 4]
    for item in answer["items"]:
        assert item.keys() == schema["AnswerItem"]["properties"].keys()
        assert item["metadata"] == {"title": f"the {item['item_id']}", "year": 1995}
        assert item["reason"] == ["sasrec"]
        assert 1 <= item["predicted_rating"] <= 5


def test_the_second_answer_comes_from_the_cache_until_a_rating(service) -> None:
    user_id = uuid.uuid4().hex
    path = f"/recommend/{user_id}"
    first = service.http.get(path)
    deadline = time.monotonic() + 5
    while (second := service.http.get(path)).headers["x-cache"] != "hit":
        assert time.monotonic() < deadline
    assert second.json()["items"] == first.json()["items"]
    assert service.http.get(path, params={"n": 3}).headers["x-cache"] == "miss"
    service.http.post("/rate", json=rating(user_id, 1))
    assert service.http.get(path).headers["x-cache"] == "miss"


@pytest.mark.parametrize("user_id", ["a/b/c", "ключ", "with blank", "q?x=1#y", "%2F", "🙂" * 64, "-", "{p1}"])
def test_any_id_is_fine(service, user_id: str) -> None:
    receipt = service.http.post("/rate", json=rating(user_id, 2)).json()
    assert receipt["versions"].keys() == {user_id}

    answer = service.http.get("/recommend/" + quote(user_id, safe="")).json()
    assert (answer["user_id"], answer["history_version"]) == (user_id, receipt["versions"][user_id])


def test_a_repeated_event_counts_once(service) -> None:
    user_id, event_id = uuid.uuid4().hex, uuid.uuid4().hex
    first = service.http.post("/rate", json=rating(user_id, 1, event_id=event_id)).json()
    again = service.http.post("/rate", json=rating(user_id, 1, event_id=event_id)).json()
    assert (first["accepted"], first["duplicates"]) == (1, 0)
    assert (again["accepted"], again["duplicates"]) == (0, 1)
    assert first["versions"] == again["versions"] == {user_id: 1}


def test_an_idempotency_key_is_the_event_id(service) -> None:
    user_id, headers = uuid.uuid4().hex, {"Idempotency-Key": uuid.uuid4().hex}
    receipts = [service.http.post("/rate", json=rating(user_id, 1), headers=headers).json() for _ in range(3)]
    assert [receipt["duplicates"] for receipt in receipts] == [0, 1, 1]


def test_the_same_event_id_with_another_rating_is_a_conflict(service) -> None:
    user_id, event_id = uuid.uuid4().hex, uuid.uuid4().hex
    service.http.post("/rate", json=rating(user_id, 1, event_id=event_id))
    other = service.http.post("/rate", json=rating(user_id, 2, event_id=event_id))
    assert other.status_code == 409
    assert event_id in other.json()["detail"]
    mixed = [rating(user_id, 3), rating(user_id, 2, event_id=event_id)]
    partly = service.http.post("/rate", json=mixed).json()
    assert (partly["accepted"], partly["conflicts"], partly["versions"]) == (1, [event_id], {user_id: 2})


def test_a_fast_clock_does_not_make_the_next_rating_the_older_one(service) -> None:
    user_id = uuid.uuid4().hex
    service.http.post("/rate", json=rating(user_id, 1, 5, timestamp=time.time() + 200)).raise_for_status()
    before = service.http.get(f"/recommend/{user_id}").json()["items"]
    service.http.post("/rate", json=rating(user_id, 1, 1)).raise_for_status()
    assert service.http.get(f"/recommend/{user_id}").json()["items"] != before


def test_an_unknown_item_is_kept_and_named(service) -> None:
    user_id = uuid.uuid4().hex
    receipt = service.http.post("/rate", json=rating(user_id, "brand new")).json()
    assert receipt["unknown_items"] == ["brand new"]
    assert service.http.get(f"/recommend/{user_id}").json()["source"] == "popular"


def test_metrics_of_all_workers_are_summed(service) -> None:
    before = _counted(service.http.get("/metrics").text)
    with httpx.Client(base_url=service.http.base_url, limits=fresh()) as http:
        for _ in range(20):
            http.get("/recommend/metric")
    assert _counted(service.http.get("/metrics").text) == before + 20


def _counted(text: str) -> float:
    lines = [line for line in text.splitlines() if line.startswith("liverec_answers_total")]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


def test_ctrl_c_ends_the_service_and_its_private_store(tiny_bundle: Path, start, tmp_path: Path) -> None:
    service = start(redis_url="", LIVEREC_VAR=str(tmp_path))
    service.http.post("/rate", json=rating("kept", 5)).raise_for_status()
    log = tmp_path / "valkey" / "valkey.log"
    assert service.stop() == 0
    assert "bye bye" in log.read_text()
    again = start(redis_url="", LIVEREC_VAR=str(tmp_path))
    assert again.http.get("/recommend/kept").json()["history_version"] == 1


def test_sigkill_of_service_and_store_loses_no_acknowledged_rating(start, tmp_path: Path) -> None:
    acknowledged: dict[str, int] = {}
    for round_number in range(4):
        with EmbeddedStore(tmp_path) as store:
            service = start(redis_url=store.url)
            for user_id, version in acknowledged.items():
                assert service.http.get(f"/recommend/{user_id}").json()["history_version"] == version
            for number in range(10):
                user_id = f"user {round_number} {number % 3}"
                receipt = service.http.post("/rate", json=rating(user_id, number)).json()
                acknowledged[user_id] = receipt["versions"][user_id]
            victims = [service.process.pid, store.pid]
            for victim in victims[:: 1 if round_number % 2 else -1]:
                os.kill(victim, signal.SIGKILL)
            service.stop()


def test_without_a_store_reads_are_degraded_and_writes_are_refused(start, tmp_path: Path) -> None:
    with EmbeddedStore(tmp_path) as store:
        service = start(redis_url=store.url)
        service.http.post("/rate", json=rating("kept", 5)).raise_for_status()
    answer = service.http.get("/recommend/kept")
    assert answer.status_code == 200
    assert (answer.json()["source"], answer.json()["degraded"]) == ("popular", "store_unreachable")
    refused = service.http.post("/rate", json=rating("kept", 6))
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert len(refused.json()["event_ids"]) == 1
    assert service.http.get("/health/ready").status_code == 503
    assert service.http.get("/health/live").status_code == 200
    assert 'degraded="store_unreachable"' in service.http.get("/metrics").text
    with EmbeddedStore(tmp_path):
        service.wait()
        recovered = service.http.get("/recommend/kept").json()
        assert (recovered["degraded"], recovered["history_version"]) == (None, 1)


def test_the_serving_process_never_imports_torch() -> None:
    code = "import sys, app.server, liverec.command_line; sys.exit('torch' in sys.modules or 'polars' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
