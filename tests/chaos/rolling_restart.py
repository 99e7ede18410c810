"""Workers and bundles change under load: no request fails, no rating is lost, no old bundle comes back."""

from __future__ import annotations

import asyncio
import shutil
import signal
import time
from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path

from steered_world import train

from chaos.chaos_service import ChaosService, chaos_service
from chaos.steady_load import USERS, Answered, Connection, SteadyLoad
from engine.bundle import Bundle

WORKERS = 2
CHANGE_SECONDS = 90.0
ALL_SAY_SO = 8
"""How many new connections in a row must say the same to be taken for all workers."""


@dataclass
class Phase:
    """A change: from when no answer may be of another bundle; none of this where two may be seen."""

    name: str
    began: float
    settled: float
    before: str
    after: str


@dataclass
class Drill:
    """Does one change after the other to a service that is under load."""

    service: ChaosService
    folder: Path
    versions: dict[str, str]
    current: str = "a"
    phases: list[Phase] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)

    async def round(self) -> None:
        """Restart; another bundle; both at once; a damaged bundle, and back."""
        await self._change("restart", restarts=True)
        await self._change("swap", points_to=self._other)
        await self._change("both", points_to=self._other, restarts=True)
        await self._refused()
        self.megabytes.append(round(self.service.megabytes(), 1))

    @property
    def _other(self) -> str:
        return "b" if self.current == "a" else "a"

    async def _change(self, name: str, points_to: str | None = None, restarts: bool = False) -> None:
        before, began = self.versions[self.current], time.monotonic()
        workers = {each.pid for each in self.service.workers()}
        if points_to is not None:
            point(self.folder / "current", points_to)
            self.current = points_to
        if restarts:
            self.service.process.send_signal(signal.SIGHUP)
            await until(lambda: self._are_others(workers), f"{name}: other workers")
        after = self.versions[self.current]
        await self._all_say(after, "current")
        self.phases.append(Phase(name, began, time.monotonic(), before, after))

    async def _refused(self) -> None:
        point(self.folder / "current", "damaged")
        await self._all_say(self.versions[self.current], "refused: ")
        point(self.folder / "current", self.current)
        await self._all_say(self.versions[self.current], "current")

    def _are_others(self, workers: set[int]) -> bool:
        now = {each.pid for each in self.service.workers()}
        return len(now) == WORKERS and not now & workers

    async def _all_say(self, version: str, state: str) -> None:
        said, in_a_row, until_then = None, 0, time.monotonic() + CHANGE_SECONDS
        while in_a_row < ALL_SAY_SO:
            assert time.monotonic() < until_then, f"no worker says {version} and {state!r}; it said {said}"
            connection = await Connection.to(self.service.port)
            said = await connection.request("GET", "/health/ready")
            connection.close()
            is_so = said["model_version"] == version and said["bundle"].startswith(state)
            in_a_row = in_a_row + 1 if is_so else 0
            await asyncio.sleep(0.01 if is_so else 0.1)


async def until(is_so: object, what: str) -> None:
    """Return once it is so."""
    limit = time.monotonic() + CHANGE_SECONDS
    while not is_so():  # type: ignore[operator]
        assert time.monotonic() < limit, f"{what} did not come"
        await asyncio.sleep(0.1)


def point(link: Path, target: str) -> None:
    """Let a link point elsewhere, at once."""
    new = link.with_name("new")
    new.symlink_to(target, target_is_directory=True)
    new.replace(link)


def relatives(bundle: Path) -> None:
    """Write b beside a bundle, which has all but another version, and one that is damaged."""
    opened = Bundle.open(bundle)
    for name, created_at in (("b", "2026-01-02T00:00:00+00:00"), ("damaged", "2026-01-03T00:00:00+00:00")):
        manifest = opened.manifest.model_copy(update={"created_at": created_at})
        replace(opened, manifest=manifest).save(bundle.with_name(name))
    path = bundle.with_name("damaged") / "sasrec_outputs.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def stale_answers(phases: list[Phase], answered: list[Answered]) -> list[str]:
    """Return what is wrong with the versions: an old one after all had the new one, or after it on one connection."""
    faults = []
    for phase in phases:
        seen = defaultdict[int, list[str | None]](list)
        for each in answered:
            if phase.began < each.began < phase.settled and each.model_version:
                seen[each.connection].append(each.model_version)
        for versions in seen.values():
            first_new = versions.index(phase.after) if phase.after in versions else len(versions)
            if set(versions[:first_new]) - {phase.before} or set(versions[first_new:]) - {phase.after}:
                faults.append(f"{phase.name}: one connection saw {versions}")
    for phase, following in zip(phases, [*phases[1:], None], strict=True):
        end = following.began if following else float("inf")
        wrong = [each for each in answered if phase.settled < each.began < end and each.model_version]
        faults += [f"{phase.name}: then {each}" for each in wrong if each.model_version != phase.after]
    return faults


async def lost_ratings(port: int, acknowledged: dict[str, list[str]]) -> tuple[int, int]:
    """Return how many ratings are not in the log of their users, and how many are there twice."""
    lost = doubled = 0
    connection = await Connection.to(port)
    for user_id, event_ids in acknowledged.items():
        export = await connection.request("GET", f"/users/{user_id}/export")
        stored = [event["event_id"] for event in export["log"]]
        lost += len(set(event_ids) - set(stored))
        doubled += len(stored) - len(set(stored))
    connection.close()
    return lost, doubled


async def _drill(
    service: ChaosService, folder: Path, versions: dict[str, str], size: int, seed: int
) -> dict[str, object]:
    drill = Drill(service, folder, versions)
    async with SteadyLoad(service.port, seed) as load:
        await asyncio.sleep(1)
        for _ in range(size):
            await drill.round()
    lost, doubled = await lost_ratings(service.port, load.acknowledged)
    faults = stale_answers(drill.phases, load.answered)
    assert not load.failures, f"seed {seed}: {len(load.failures)} requests failed, such as {load.failures[:5]}"
    assert (lost, doubled) == (0, 0), f"seed {seed}: {lost} acknowledged ratings are lost, {doubled} are there twice"
    assert not faults, f"seed {seed}: {faults[:3]}"
    seconds = sorted(each.seconds for each in load.answered)
    took = defaultdict[str, list[float]](list)
    for phase in drill.phases:
        took[phase.name].append(phase.settled - phase.began)
    return {
        "rounds": size,
        "requests": len(load.answered),
        "failed": len(load.failures),
        "connections": load.connections,
        "users": min(len(load.acknowledged), USERS),
        "ratings acknowledged": sum(map(len, load.acknowledged.values())),
        "ratings lost": lost,
        "ratings doubled": doubled,
        "p50 ms": round(1_000 * seconds[len(seconds) // 2], 1),
        "p99 ms": round(1_000 * seconds[len(seconds) * 99 // 100], 1),
        "longest ms": round(1_000 * seconds[-1]),
        "longest seconds of a change": {name: round(max(each), 1) for name, each in took.items()},
        "megabytes after each round": drill.megabytes,
    }


def run(folder: Path, size: int, seed: int, bundle: Path | None = None) -> dict[str, object]:
    """Do so many rounds of changes under load."""
    relatives(Path(shutil.copytree(bundle or train(folder / "trained"), folder / "a")))
    versions = {name: Bundle.open(folder / name).model_version for name in ("a", "b")}
    (folder / "current").symlink_to("a", target_is_directory=True)
    with chaos_service(folder / "current", folder, WORKERS, LIVEREC_BUNDLE_POLL_SECONDS="0.5") as service:
        figures = asyncio.run(_drill(service, folder, versions, size, seed))
        assert not service.tracebacks(), service.tracebacks()
    return figures
