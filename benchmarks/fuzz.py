"""Requests made from the OpenAPI, right and wrong ones, alone and in chains, and raw bytes: what the service answers.

    python benchmarks/fuzz.py [--cases 200] [--chains 200] [--raw 15000] [--seed 1]

`--cases` is for each operation; `--raw` counts what is sent to a socket and is mostly no HTTP at all. An answer is at
fault if it is a server error, a refusal that is no problem document with a detail, of a status that the OpenAPI does
not name, or not of its schema. The bundle is a generated one.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import result
from serving_process import free_port, serving

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from chaos import raw_bytes  # noqa: E402
from fuzzing import Fuzzing  # noqa: E402
from steered_world import train  # noqa: E402

STEPS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--chains", type=int, default=200)
    parser.add_argument("--raw", type=int, default=15_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bundle, port = train(Path(folder) / "bundle"), free_port()
        command = [sys.executable, "-m", "liverec", "serve", "--bundle", str(bundle), "--port", str(port)]
        with serving(command, port, "/health/ready", LIVEREC_VAR=folder):
            fuzzing = Fuzzing(f"http://127.0.0.1:{port}")
            fuzzing.send_each(options.cases, options.seed)
            alone = fuzzing.cases
            fuzzing.send_chains(options.chains, STEPS, options.seed)
        raw = raw_bytes.run(Path(folder), options.raw, options.seed, bundle)
    rows = {
        "requests in all": fuzzing.cases + options.raw,
        "cases": {"alone": alone, "in chains": fuzzing.cases - alone, "operations": len(fuzzing.operations)},
        "by status": dict(sorted(fuzzing.statuses.items())),
        "failures": fuzzing.failures,
        "raw bytes": raw,
    }
    result.write("fuzz", result.command(), rows, seed=options.seed)
    if fuzzing.failures:
        sys.exit(f"{len(fuzzing.failures)} kinds of answers were at fault")


if __name__ == "__main__":
    main()
