"""Another bundle in the folder: it takes over while requests are answered, unless it is no good."""

from __future__ import annotations

import asyncio
import shutil
import signal
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from chaos.bundle_crafting import empty_recurrence, sealed
from chaos.chaos_service import ChaosService, chaos_service
from chaos.rolling_restart import point, until

from app.bundle_watch import BundleWatch
from app.embedded_store import EmbeddedStore
from app.metrics import Metrics
from app.serving import Serving
from app.settings import Settings
from app.store import Store
from engine.bundle import Bundle

SECONDS = 40.0


@pytest.fixture(scope="module")
def versions(bundles: Path) -> dict[str, str]:
    return {name: Bundle.open(bundles / name).model_version for name in ("a", "b")}


@pytest.fixture(scope="module")
def service(bundles: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChaosService]:
    """One worker that looks often."""
    point(bundles / "current", "a")
    folder = tmp_path_factory.mktemp("watch")
    with chaos_service(bundles / "current", folder, LIVEREC_BUNDLE_POLL_SECONDS="0.1") as started:
        yield started


def ready(service: ChaosService) -> dict[str, object]:
    return httpx.get(f"{service.url}/health/ready").json()


def count(service: ChaosService, metric: str) -> float:
    lines = httpx.get(f"{service.url}/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(metric))


def wait_until(is_so: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def wait_for(service: ChaosService, version: str, state: str = "current") -> None:
    def is_so() -> bool:
        said = ready(service)
        return said["model_version"] == version and str(said["bundle"]).startswith(state)

    wait_until(is_so, f"no {version} {state}")


def test_another_bundle_takes_over_and_all_else_goes_on(service: ChaosService, bundles, versions) -> None:
    rating = {"user_id": "u", "item_id": "item 3", "rating": 5}
    assert httpx.post(f"{service.url}/rate", json=rating).json()["accepted"] == 1
    assert httpx.delete(f"{service.url}/items/item%205").status_code == 200
    page = httpx.get(f"{service.url}/recommend/u?n=3").json()
    assert page["model_version"] == versions["a"]
    events, pid = count(service, "liverec_events_total"), service.workers()[0].pid
    point(bundles / "current", "b")
    wait_for(service, versions["b"])
    following = httpx.get(f"{service.url}/recommend/u", params={"n": 3, "cursor": page["cursor"]}).json()
    assert following["model_version"] == versions["b"]
    assert following["history_version"] == 1
    assert not {each["item_id"] for each in (*page["items"], *following["items"])} & {"item 3"}
    assert httpx.get(f"{service.url}/items/item%205").status_code == 404
    assert httpx.get(f"{service.url}/recommend/nobody?filter=year=2001&n=2").json()["items"]
    assert httpx.delete(f"{service.url}/items/item%206").status_code == 200
    assert httpx.get(f"{service.url}/items/item%206").status_code == 404
    assert count(service, "liverec_events_total") == events
    assert count(service, 'liverec_bundle_swaps_total{outcome="swapped"}') == 1
    assert service.workers()[0].pid == pid


def test_a_damaged_one_is_refused_once_and_taken_when_it_is_mended(service, bundles: Path, versions) -> None:
    before = ready(service)["model_version"]
    refused = count(service, 'liverec_bundle_swaps_total{outcome="refused"}')
    shutil.copytree(bundles / "damaged", bundles / "copied")
    point(bundles / "current", "copied")
    wait_for(service, before, "refused")
    time.sleep(1)
    assert count(service, 'liverec_bundle_swaps_total{outcome="refused"}') == refused + 1
    assert service.log.read_text().count("is damaged") == 1
    assert httpx.get(f"{service.url}/recommend/u").json()["model_version"] == before
    path = bundles / "copied" / "sasrec_outputs.npy"
    path.write_bytes((bundles / "a" / "sasrec_outputs.npy").read_bytes())
    mended = Bundle.open(bundles / "copied").model_version
    wait_for(service, mended)
    shutil.rmtree(bundles / "copied")
    point(bundles / "current", "a")
    wait_for(service, versions["a"])
    assert httpx.get(f"{service.url}/recommend/u").json()["model_version"] == versions["a"]


def test_one_that_kills_who_opens_it_is_refused_and_the_worker_lives(service, bundles: Path, versions) -> None:
    before, pid = ready(service)["model_version"], service.workers()[0].pid
    encoder = Path(shutil.copytree(bundles / "a", bundles / "deadly")) / "sasrec_encoder.onnx"
    sealed(encoder.parent, encoder.name, empty_recurrence(encoder.read_bytes()))
    point(bundles / "current", "deadly")
    wait_for(service, before, "refused: ")
    assert "SIGABRT" in service.log.read_text(), "ONNX Runtime is mended: craft another network that ends a process"
    assert httpx.get(f"{service.url}/recommend/u").json()["model_version"] == before
    assert service.workers()[0].pid == pid
    point(bundles / "current", next(name for name in versions if versions[name] == before))
    wait_for(service, before)


def test_no_bundle_at_all_is_refused_too(service, bundles: Path, versions) -> None:
    before = ready(service)["model_version"]
    point(bundles / "current", "nowhere")
    wait_for(service, before, "refused: no bundle")
    point(bundles / "current", next(name for name in versions if versions[name] == before))
    wait_for(service, before)


def test_a_folder_that_is_replaced_by_renaming_is_followed(bundles: Path, versions, tmp_path: Path) -> None:
    shutil.copytree(bundles / "a", tmp_path / "served")
    shutil.copytree(bundles / "b", tmp_path / "coming")
    with chaos_service(tmp_path / "served", tmp_path, LIVEREC_BUNDLE_POLL_SECONDS="0.05") as service:
        (tmp_path / "served").rename(tmp_path / "gone")
        (tmp_path / "coming").rename(tmp_path / "served")
        wait_for(service, versions["b"])
        assert "refused" not in service.log.read_text()


def test_on_sighup_it_looks_though_it_does_not_poll(bundles: Path, versions, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(bundles / "a")
    with chaos_service(link, tmp_path, LIVEREC_BUNDLE_POLL_SECONDS="0") as service:
        point(link, str(bundles / "b"))
        time.sleep(0.5)
        assert ready(service)["model_version"] == versions["a"]
        service.process.send_signal(signal.SIGHUP)
        wait_for(service, versions["b"])


def test_what_is_replaced_serves_its_requests_to_the_end_and_then_is_gone(bundles: Path, url: str) -> None:
    async def swap() -> None:
        store, metrics, in_service = await Store.connect(url, Settings()), Metrics(), list[Serving]()

        def make(folder: Path) -> Serving:
            bundle = Bundle.open(folder)
            return Serving(bundle, bundle.recommender(), store, url, metrics)

        watch = BundleWatch(bundles / "current", make(bundles / "a"), make, in_service.append, 0.05)
        point(bundles / "current", "a")
        await watch.start()
        under_way = in_service.pop()
        gone = weakref.ref(under_way.recommending)
        await under_way.filtering.prepare(["red"], "any", None, [])
        point(bundles / "current", "b")
        await until(lambda: bool(in_service), "another one in service")
        # A request that changes an item waits for the tail of what it began with.
        await under_way.items.writing.delete("item 9")
        assert in_service[0].filtering.fields.is_built
        del under_way
        await until(lambda: gone() is None, "the old one gone")
        await watch.stop()
        await store.close()

    asyncio.run(swap())


def test_it_waits_for_a_store_that_is_away_and_proves_the_bundle_once(
    bundles: Path, versions, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def swap() -> None:
        with EmbeddedStore(tmp_path) as first:
            store, metrics = await Store.connect(first.url, Settings()), Metrics()
            made, in_service = list[Path](), list[Serving]()

            def make(folder: Path) -> Serving:
                made.append(folder)
                bundle = Bundle.open(folder)
                return Serving(bundle, bundle.recommender(), store, first.url, metrics)

            point(bundles / "current", "a")
            watch = BundleWatch(bundles / "current", make(bundles / "a"), make, in_service.append, 0)
            await watch.start()
        point(bundles / "current", "b")
        watch.hurry()
        await until(lambda: in_service[0].bundle_state == "waiting for the store", "that it waits")
        # Longer than it takes to ask twice.
        await asyncio.sleep(2.5)
        assert (len(made), len(in_service)) == (2, 1)
        with EmbeddedStore(tmp_path):
            await until(lambda: len(in_service) == 2, "another one in service")
            assert (in_service[1].model_version, in_service[1].bundle_state) == (versions["b"], "current")
            assert len(made) == 2
            await watch.stop()
            await store.close()

    asyncio.run(swap())
    assert sum("waits for the store" in each for each in caplog.messages) == 1
