"""Processes end together, whatever ends them; and a crowd is served or told to come back."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from pathlib import Path

import httpx
import psutil
import pytest

from app.embedded_store import EmbeddedStore
from engine.errors import StoreError


def descendants(pid: int) -> list[psutil.Process]:
    return [
        each for each in psutil.Process(pid).children(recursive=True) if "resource_tracker" not in str(each.cmdline())
    ]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda each: each.name)
def test_nothing_is_left_behind(start, tmp_path: Path, workers: int, how: signal.Signals) -> None:
    service = start(redis_url="", workers=workers, LIVEREC_VAR=str(tmp_path))
    family = descendants(service.process.pid)
    assert len(family) == 1 + (workers if workers > 1 else 0)
    service.stop(how)
    _, alive = psutil.wait_procs(family, timeout=20)
    assert alive == []
    again = start(redis_url="", LIVEREC_VAR=str(tmp_path))
    again.stop()


def test_one_folder_has_one_server(tmp_path: Path) -> None:
    with EmbeddedStore(tmp_path), pytest.raises(StoreError, match=r"in use by another service.*LIVEREC_VAR"):
        EmbeddedStore(tmp_path).__enter__()
    with EmbeddedStore(tmp_path) as again:
        assert again.pid


def test_a_socket_that_a_killed_server_left_is_no_hindrance(tmp_path: Path) -> None:
    with EmbeddedStore(tmp_path) as store:
        os.kill(store.pid, signal.SIGKILL)
        time.sleep(0.2)
    with EmbeddedStore(tmp_path) as again:
        assert again.pid


def test_a_crowd_gets_answers_or_429_and_never_a_degraded_one(start) -> None:
    service = start(LIVEREC_MAX_CONCURRENCY="16")

    async def crowd() -> Counter[str]:
        limits = httpx.Limits(max_connections=200)
        async with httpx.AsyncClient(base_url=service.http.base_url, limits=limits, timeout=30) as http:
            answers = await asyncio.gather(*(http.get(f"/recommend/crowd {number}") for number in range(200)))
        for answer in answers:
            if answer.status_code == 429:
                assert answer.headers["retry-after"] == "1"
                assert "LIVEREC_MAX_CONCURRENCY" in answer.json()["detail"]
        kinds = [f"{answer.status_code} {answer.json().get('degraded')}" for answer in answers]
        return Counter(kinds)

    counted = asyncio.run(crowd())
    assert counted.keys() <= {"200 None", "429 None"}
    assert counted["200 None"] >= 16
