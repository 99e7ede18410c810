"""Target: a server that is measured with one kind of requests."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Self

import traffic
from serving_process import ServingProcess
from traffic import Sent
from wrk import Throughput, wrk

OPEN_LOOP = Path(__file__).parent / "open_loop.py"


@dataclass(frozen=True, slots=True)
class Target:
    """A server that is measured with one kind of requests."""

    process: ServingProcess
    lines: Path
    script: Path
    runs: dict[int, list[Throughput]] = field(default_factory=dict)
    cpu: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, process: ServingProcess, requests: list[Sent], folder: Path) -> Self:
        """Write the requests into a folder, which is made."""
        folder.mkdir()
        return cls(process, *traffic.write(requests, folder))

    def measure(self, connections: int, seconds: float) -> None:
        """Let wrk ask for a while."""
        before = self.process.cpu_seconds()
        run = wrk(self.process.port, self.script, connections, seconds)
        self.runs.setdefault(connections, []).append(run)
        self.cpu.append((self.process.cpu_seconds() - before) / max(run.requests, 1) * 1e6)

    @property
    def failed(self) -> int:
        """How many requests were not answered, or with an error."""
        return sum(run.failed for runs in self.runs.values() for run in runs)

    def row(self) -> dict[str, object]:
        """Return medians over the rounds."""
        told: dict[str, object] = {
            f"requests/s on {connections}": round(median(run.a_second for run in runs), 1)
            for connections, runs in self.runs.items()
        }
        return {**told, "failed": self.failed, "processor us a request": round(median(self.cpu), 1)}


def open_loop(target: Target, rate: float, seconds: float, connections: int) -> dict[str, object]:
    command = [sys.executable, str(OPEN_LOOP), "--port", str(target.process.port), "--rate", f"{rate:.1f}"]
    command += ["--requests", str(target.lines), "--seconds", f"{seconds:g}", "--connections", str(connections)]
    told: dict[str, object] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return {"rate": round(rate, 1), **told}


def ratio(ours: Target, other: Target, connections: int) -> float:
    """Return how many times the other's throughput ours is: the median over rounds."""
    pairs = zip(ours.runs[connections], other.runs[connections], strict=True)
    return round(median(mine.a_second / theirs.a_second for mine, theirs in pairs), 3)
