"""What the service costs at rest: time to ready and resident memory, beside a bare FastAPI app in the same run.

python benchmarks/startup.py [--bundle bundles/demo] [--runs 5]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import median

import result
from serving_process import free_port, serving

BARE = """
import sys, uvicorn
from fastapi import FastAPI
app = FastAPI()
@app.get("/health/ready")
async def ready(): return {}
uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
"""


def measure(command: list[str], port: int, **environment: str) -> tuple[float, float]:
    with serving(command, port, "/health/ready", **environment) as process:
        # One answer first: what is loaded on first use belongs to the cost.
        return process.seconds_to_ready, process.resident_megabytes()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=Path("bundles/demo"))
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    ours, bare = [], []
    for _ in range(options.runs):
        with tempfile.TemporaryDirectory() as var:
            port = free_port()
            command = [sys.executable, "-m", "liverec", "serve", "--bundle", str(options.bundle), "--port", str(port)]
            ours.append(measure(command, port, LIVEREC_VAR=var))
            port = free_port()
            bare.append(measure([sys.executable, "-c", BARE, str(port)], port))
    (seconds, megabytes), (bare_seconds, bare_megabytes) = (
        [median(column) for column in zip(*rows, strict=True)] for rows in (ours, bare)
    )
    rows = {
        "seconds from start to ready": {"liverec": round(seconds, 2), "bare": round(bare_seconds, 2)},
        "resident megabytes": {"liverec": round(megabytes), "bare": round(bare_megabytes)},
        "liverec / bare": {
            "seconds": round(seconds / bare_seconds, 2),
            "megabytes": round(megabytes / bare_megabytes, 2),
        },
    }
    result.write("startup", f"python benchmarks/startup.py --runs {options.runs}", rows, runs=options.runs)


if __name__ == "__main__":
    main()
