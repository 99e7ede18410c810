"""wrk: as many requests as a number of connections can make (Glozer, https://github.com/wg/wrk)."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Throughput:
    """What one run of wrk saw; latencies in milliseconds, of a closed loop."""

    requests: int
    a_second: float
    failed: int
    p50: float
    p99: float


def wrk(port: int, script: Path, connections: int, seconds: float) -> Throughput:
    """Run a script of traffic.py; raises SystemExit where wrk is missing."""
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not installed; Debian and others have it as a package: apt-get install wrk")
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--latency", "-s", str(script)]
    done = subprocess.run([*command, f"http://127.0.0.1:{port}"], capture_output=True, text=True, check=True)
    told = next(line for line in done.stdout.splitlines() if line.startswith("RESULT"))
    requests, microseconds, failed, p50, p99 = map(int, told.split()[1:])
    return Throughput(requests, requests / microseconds * 1e6, failed, p50 / 1000, p99 / 1000)
