"""Kills: store and service are killed over and over while clients rate; what was acknowledged must be there once."""

from __future__ import annotations

import random
import time
from pathlib import Path

from steered_world import train

from chaos.killable import KillableService, KillableStore
from chaos.log_audit import audit
from chaos.rating_load import RatingLoad

CLIENTS, WORKERS = 6, 2
MUST_BE_EMPTY = ("lost", "doubled", "altered", "versions with gaps", "histories that differ")


def run(folder: Path, size: int, seed: int, bundle: Path | None = None) -> dict[str, object]:
    """Kill the store `size` times and the service `size` times; raises AssertionError if a promise was broken."""
    chance, started = random.Random(seed), time.monotonic()
    bundle = bundle or train(folder / "bundle")
    with (
        KillableStore(folder / "store") as store,
        KillableService(bundle, store.url, WORKERS, folder / "service.log", LIVEREC_VAR=str(folder)) as service,
    ):
        with RatingLoad(service.url, CLIENTS, seed) as load:
            for target in chance.sample(["store", "service"] * size, 2 * size):
                time.sleep(chance.uniform(0.05, 1.5))
                if target == "store":
                    kill_store(store, chance)
                else:
                    kill_service(service, chance)
            time.sleep(0.5)
            service.wait()
        found = audit(store.url, load.sent.acknowledged)
    broken = {name: found[name] for name in MUST_BE_EMPTY if found[name]}
    assert not broken, f"seed {seed}: {broken}"
    kills = {"kills of the store": size, "kills of the service": size}
    counts = {name: 0 if name in MUST_BE_EMPTY else value for name, value in found.items()}
    tries = dict(sorted(load.sent.tries.items()))
    return {**kills, **counts, "tries": tries, "seconds": round(time.monotonic() - started)}


def kill_store(store: KillableStore, chance: random.Random) -> None:
    store.kill()
    time.sleep(chance.choice((0.0, 0.1, 0.5)))
    store.restart()


def kill_service(service: KillableService, chance: random.Random) -> None:
    """Kill one worker, which what started it replaces, or all processes at once."""
    if chance.random() < 0.5:
        service.kill_worker(chance.randrange(WORKERS))
        return
    service.kill()
    service.start()
