"""Pages of a list whose user goes on rating: no item comes twice, none that was rated, and no page is short.

    python benchmarks/paging.py [--runs 1000] [--items 300] [--workers 3] [--seed 1]

Each run is a new user, a random wish and up to ten pages of random lengths; between pages something is rated, shown or
not. No connection is kept, so each page may come from another worker. The bundle is a generated one.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import result
from serving_process import free_port, serving

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from paging_walk import Walk, walk  # noqa: E402
from steered_world import named, train  # noqa: E402

MOST = 40
AT_ONCE = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1_000)
    parser.add_argument("--items", type=int, default=300)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    catalogue = named(options.items)
    with tempfile.TemporaryDirectory() as folder:
        bundle, port = train(Path(folder) / "bundle", catalogue), free_port()
        command = [sys.executable, "-m", "liverec", "serve", "--bundle", str(bundle), "--port", str(port)]
        running = serving([*command, "--workers", str(options.workers)], port, "/health/ready", LIVEREC_VAR=folder)
        limits = httpx.Limits(max_keepalive_connections=0)
        address = f"http://127.0.0.1:{port}"
        with (
            running,
            httpx.Client(base_url=address, limits=limits, timeout=30) as http,
            ThreadPoolExecutor(AT_ONCE) as pool,
        ):
            seeds = range(options.seed * options.runs, (options.seed + 1) * options.runs)
            walks = list(pool.map(lambda seed: walk(http, random.Random(seed), catalogue, MOST), seeds))
    faults = summed(walks)
    facts = {"workers": options.workers, "catalogue": options.items, "seed": options.seed}
    result.write("paging", f"python benchmarks/paging.py --runs {options.runs}", {"pages": faults}, **facts)
    if wrong := [fault for each in walks for fault in each.wrong]:
        sys.exit(f"{len(wrong)} pages were wrong: {Counter(wrong).most_common(5)}")


def summed(walks: list[Walk]) -> dict[str, int]:
    """Return what was walked, and how often which fault was found."""
    wrong = Counter(fault.partition(" on page")[0] for each in walks for fault in each.wrong)
    return {
        "runs": len(walks),
        "pages": sum(each.pages for each in walks),
        "items": sum(len(each.shown) for each in walks),
        "ratings": sum(len(each.rated) for each in walks),
        "walked to the end": sum(each.cursor is None for each in walks),
        "repeated": wrong["repeated"],
        "rated or not wanted": wrong["not wanted"],
        "short while items remained": wrong["short"],
        "wrong cursors": wrong["cursor"],
    }


if __name__ == "__main__":
    main()
