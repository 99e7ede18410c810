"""Read your writes: random rate-then-get pairs against several workers. Every answer must know the rating before it.

    python benchmarks/freshness.py [--bundle bundles/demo] [--pairs 1000] [--workers 2] [--seed 1]

No connection is kept, so each request may meet any worker. Half of the gets ask for what was cached a moment ago.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

import httpx
import result
from serving_process import free_port, serving

USERS = 60


def pair(http: httpx.Client, chance: random.Random) -> bool:
    """Rate something that is recommended now; return whether the next answer leaves it out and has the new version."""
    user_id, n = f"reader-{chance.randrange(USERS)}", chance.choice((10, 50))
    if chance.random() < 0.5:
        http.get(f"/recommend/{user_id}", params={"n": n})
    before = http.get(f"/recommend/{user_id}", params={"n": n}).json()
    item_id = chance.choice(before["items"])["item_id"]
    rating = {"user_id": user_id, "item_id": item_id, "rating": chance.randint(1, 5)}
    receipt = http.post("/rate", json=rating).raise_for_status().json()
    after = http.get(f"/recommend/{user_id}", params={"n": n}).raise_for_status().json()
    is_new = after["history_version"] == receipt["versions"][user_id] > before["history_version"]
    return is_new and item_id not in {item["item_id"] for item in after["items"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=Path("bundles/demo"))
    parser.add_argument("--pairs", type=int, default=1_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    port, chance = free_port(), random.Random(options.seed)
    command = [sys.executable, "-m", "liverec", "serve", "--bundle", str(options.bundle), "--port", str(port)]
    with tempfile.TemporaryDirectory() as var:
        running = serving([*command, "--workers", str(options.workers)], port, "/health/ready", LIVEREC_VAR=var)
        limits = httpx.Limits(max_keepalive_connections=0)
        with running, httpx.Client(base_url=f"http://127.0.0.1:{port}", limits=limits, timeout=10) as http:
            good = sum(pair(http, chance) for _ in range(options.pairs))
    facts = {"workers": options.workers, "seed": options.seed}
    rows = {"fresh answers": {"of": options.pairs, "fresh": good}}
    result.write("freshness", f"python benchmarks/freshness.py --pairs {options.pairs}", rows, **facts)
    if good < options.pairs:
        sys.exit(f"{options.pairs - good} answers were stale")


if __name__ == "__main__":
    main()
