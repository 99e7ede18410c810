"""Several workers: replaced one by one, or when they die, and never by one that is no good."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import httpx
import psutil
import pytest
from chaos.chaos_service import ChaosService, chaos_service
from chaos.rolling_restart import point

SECONDS = 60.0


def wait_until(is_so: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def pids(service: ChaosService) -> set[int]:
    return {each.pid for each in service.workers()}


def gauges(service: ChaosService) -> set[int]:
    """Return the processes whose gauges count."""
    files = (service.log.parent / "var" / "metrics").glob("gauge_live*.db")
    return {int(path.stem.rsplit("_", 1)[1]) for path in files}


def has_successor(service: ChaosService, pid: int) -> bool:
    return len(pids(service) - {pid}) == 2


@pytest.fixture(scope="module")
def pair(bundles: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChaosService]:
    """Two workers that do not look for other bundles by themselves."""
    point(bundles / "current", "a")
    folder = tmp_path_factory.mktemp("pair")
    with chaos_service(bundles / "current", folder, 2, LIVEREC_BUNDLE_POLL_SECONDS="0") as service:
        yield service


def test_a_restart_replaces_all_by_workers_with_the_newest_bundle(pair: ChaosService, bundles: Path) -> None:
    before, old = pids(pair), httpx.get(f"{pair.url}/health/ready").json()["model_version"]
    point(bundles / "current", "b")
    pair.process.send_signal(signal.SIGHUP)
    wait_until(lambda: len(pids(pair)) == 2 and not pids(pair) & before, "the workers are not replaced")
    versions = {httpx.get(f"{pair.url}/health/ready").json()["model_version"] for _ in range(10)}
    assert len(versions) == 1
    assert old not in versions


def test_a_bundle_that_cannot_be_opened_replaces_nobody(pair: ChaosService, bundles: Path) -> None:
    before = pids(pair)
    point(bundles / "current", "damaged")
    pair.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "did not become ready; the others stay" in pair.log.read_text(), "no error is logged")
    wait_until(lambda: pids(pair) == before, "other workers")
    assert httpx.get(f"{pair.url}/health/ready").status_code == 200
    point(bundles / "current", "a")


def test_a_worker_that_dies_is_replaced_and_again_after_a_longer_pause(pair: ChaosService) -> None:
    for _ in range(3):
        before = pids(pair)
        victim = max(pair.workers(), key=lambda each: each.create_time())
        victim.kill()
        wait_until(partial(has_successor, pair, victim.pid), "nobody takes its place")
        assert before - pids(pair) == {victim.pid}
    pauses = [float(each) for each in re.findall(r"another starts in ([\d.]+) s", pair.log.read_text())]
    assert pauses[-3:] == sorted(set(pauses[-3:]))


def test_the_gauges_of_the_dead_are_forgotten(pair: ChaosService) -> None:
    wait_until(lambda: gauges(pair) <= pids(pair), "gauges of the dead are there")


def test_workers_come_and_go_by_signal(pair: ChaosService) -> None:
    pair.process.send_signal(signal.SIGTTIN)
    wait_until(lambda: len(pids(pair)) == 3, "no third worker")
    pair.process.send_signal(signal.SIGTTOU)
    wait_until(lambda: len(pids(pair)) == 2, "three workers stay")
    assert httpx.get(f"{pair.url}/health/ready").status_code == 200


def test_one_less_during_a_restart_forgets_nobody(pair: ChaosService) -> None:
    last = max(pair.workers(), key=lambda each: each.create_time())
    before = pids(pair)
    # It is told to end and does not: meanwhile another one is told.
    last.suspend()
    pair.process.send_signal(signal.SIGHUP)
    wait_until(lambda: len(pids(pair)) == 3, "no worker is started")
    pair.process.send_signal(signal.SIGTTOU)
    (other,) = before - {last.pid}
    wait_until(lambda: other not in pids(pair), "the other one is not replaced")
    last.resume()
    wait_until(lambda: len(pids(pair)) == 1 and not pids(pair) & before, "the workers are not replaced")
    wait_until(lambda: gauges(pair) <= pids(pair), "somebody was not buried")


def test_a_second_restart_replaces_also_whom_the_first_one_has_started(pair: ChaosService) -> None:
    before = pids(pair)
    pair.process.send_signal(signal.SIGHUP)
    wait_until(lambda: len(pids(pair)) == 2, "no worker is started")
    both = pids(pair)
    assert before < both
    pair.process.send_signal(signal.SIGHUP)
    wait_until(lambda: len(pids(pair)) == 1 and not pids(pair) & both, "a worker outlives the second restart")


def test_it_ends_in_the_middle_of_a_restart(bundles: Path, tmp_path: Path) -> None:
    with chaos_service(bundles / "a", tmp_path, 2) as service:
        family = psutil.Process(service.process.pid).children(recursive=True)
        service.process.send_signal(signal.SIGHUP)
        wait_until(lambda: len(pids(service)) == 3, "no worker is started")
        family += service.workers()
        service.process.send_signal(signal.SIGTERM)
        service.process.wait(40)
        _, alive = psutil.wait_procs(family, timeout=10)
        assert alive == []
