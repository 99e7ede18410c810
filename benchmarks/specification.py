"""The service against its specification: any interleaving of writes, edits, undoing and reads, on any worker.

    python benchmarks/specification.py [--runs 500] [--seed 1]

Each run has two users of its own and takes 30 steps (tests/specification_machine.py); after each the histories and the
answers of several workers must be what a model in memory and the engine in this process make of the same events. The
bundle is a generated one.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import result
from serving_process import free_port, serving

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from specification_machine import LIMIT, STEPS, WORKERS  # noqa: E402
from specification_run import run  # noqa: E402
from steered_world import train  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bundle, port = train(Path(folder) / "bundle"), free_port()
        command = [sys.executable, "-m", "liverec", "serve", "--bundle", str(bundle), "--port", str(port)]
        command += ["--workers", str(WORKERS)]
        variables = {"LIVEREC_VAR": folder, "LIVEREC_HISTORY_LIMIT": str(LIMIT)}
        with serving(command, port, "/health/ready", **variables):
            started = time.perf_counter()
            done = run(f"http://127.0.0.1:{port}", bundle, options.runs, options.seed)
    rows = {"specification": {**done, "differences": 0, "minutes": round((time.perf_counter() - started) / 60, 1)}}
    facts = {"workers": WORKERS, "steps": STEPS, "seed": options.seed}
    result.write("specification", f"python benchmarks/specification.py --runs {options.runs}", rows, **facts)


if __name__ == "__main__":
    main()
