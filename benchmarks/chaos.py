"""What the service promises when things break, by breaking them: real stores and services, killed and stopped for real.

    python benchmarks/chaos.py [SCENARIO ...] [--size N] [--seed 1]

Without a name all scenarios run, each at the size that docs/reliability.md states. A scenario ends with an error at the
first promise that was broken. `make test` runs a short form of each (tests/chaos).
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
from pathlib import Path

import result

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

SIZES = {
    "kills": 50,
    "bulk_kills": 25,
    "archiver_kills": 200,
    "store_outage": 60,
    "rolling_restart": 10,
    "bundle_damage": 2_500,
    "access_matrix": 1,
    "raw_bytes": 15_000,
    "soak": 1_000_000,
}
"""Of each scenario in tests/chaos: kills, rounds, seconds or requests, as its docstring says."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=", ".join(SIZES))
    parser.add_argument("--size", type=int, help="instead of the size of each")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if strange := set(options.scenarios) - SIZES.keys():
        parser.error(f"{', '.join(sorted(strange))}: no such scenario; there are {', '.join(SIZES)}")
    for name in options.scenarios or SIZES:
        scenario, size = importlib.import_module(f"chaos.{name}"), options.size or SIZES[name]
        print(f"{name}: size {size}, seed {options.seed}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            rows = {name: scenario.run(Path(folder), size, options.seed)}
        called = f"python benchmarks/chaos.py {name} --size {size} --seed {options.seed}"
        result.write(f"chaos-{name.replace('_', '-')}", called, rows, size=size, seed=options.seed)


if __name__ == "__main__":
    main()
