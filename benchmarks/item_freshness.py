"""New items: from the answer of POST /items to the first recommendation of the item, by whichever worker answers.

    python benchmarks/item_freshness.py --bundle bundles/hybrid [--items items.parquet] [--count 200] [--workers 4]
        [--n 100] [--seed 1] [--url http://...]

Each new item is the twin of an item of the bundle: it has the same content under another id, and one user has just
rated that item and those most like it. The content is what the bundle says of the item, or the row of --items (columns
item_id, title, description, categories, tags, year, price, image; others are metadata; images as paths relative to the
file). No connection is kept, so each request may meet any worker. --url measures a service that runs already.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import random
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
import polars as pl
import result
from serving_process import free_port, serving

FIELDS = ("title", "description", "categories", "tags", "year", "price")
GIVEN_UP = 5.0
LIKES = 4
Item = dict[str, Any]


@dataclass
class Measured:
    post: float
    """Seconds from the request to the answer of POST /items."""
    seen: float | None
    """Seconds from that answer to the answer that has the item; None if none had it in time."""
    gets: int


def twins(http: httpx.Client, table: Path | None, count: int, chance: random.Random) -> list[tuple[str, Item]]:
    """Return items of the bundle, each with its content under a new id."""
    known = {item["item_id"]: item["metadata"] for item in pages(http)}
    if table is not None:
        frame = pl.read_csv(table) if table.suffix == ".csv" else pl.read_parquet(table)
        rows = {str(row.pop("item_id")): row for row in frame.iter_rows(named=True)}
        known = {item_id: row for item_id, row in rows.items() if item_id in known}
    chosen = chance.sample(sorted(known), min(count, len(known)))
    folder = table.parent if table else None
    return [(item_id, twin(known[item_id], folder)) for item_id in chosen]


def twin(content: Item, folder: Path | None) -> Item:
    present = {name: value for name, value in content.items() if value not in (None, "", [])}
    image = present.pop("image", None)
    item: Item = {"item_id": f"twin-{uuid.uuid4().hex}"}
    item |= {name: present.pop(name) for name in FIELDS if name in present}
    item["metadata"] = {name: value for name, value in present.items() if is_plain(value)}
    for name in ("categories", "tags"):
        if isinstance(item.get(name), str):
            item[name] = item[name].split("|")
    if image and folder is not None:
        item["image"] = base64.b64encode((folder / image).read_bytes()).decode()
    return item


def is_plain(value: object) -> bool:
    """Whether POST /items takes it as metadata."""
    texts = value if isinstance(value, list) else [value]
    return all(isinstance(each, (str, int, float)) and len(str(each)) <= 1_000 for each in texts)


def pages(http: httpx.Client) -> Iterator[Item]:
    cursor: dict[str, str] = {}
    while True:
        page = http.get("/items", params={"n": 500, **cursor}).raise_for_status().json()
        yield from (item for item in page["items"] if not item["is_live"])
        if page["cursor"] is None:
            return
        cursor = {"cursor": page["cursor"]}


def admirer(http: httpx.Client, item_id: str) -> str:
    """Return a user who has just liked an item and those most like it."""
    similar = http.get(f"/items/{quote(item_id, safe='')}/similar", params={"n": LIKES, "space": "content"}).json()
    liked = [item_id, *(item["item_id"] for item in similar.get("items", []))]
    user_id = uuid.uuid4().hex
    ratings = [{"user_id": user_id, "item_id": each, "rating": 5} for each in reversed(liked)]
    http.post("/rate", json=ratings).raise_for_status()
    return user_id


def measure(http: httpx.Client, item: Item, user_id: str, n: int) -> Measured:
    started = time.perf_counter()
    http.post("/items", json=item).raise_for_status()
    posted = time.perf_counter()
    for gets in range(1, sys.maxsize):
        answer = http.get(f"/recommend/{user_id}", params={"n": n}).raise_for_status().json()
        now = time.perf_counter()
        if any(each["item_id"] == item["item_id"] for each in answer["items"]):
            return Measured(posted - started, now - posted, gets)
        if now - posted > GIVEN_UP:
            return Measured(posted - started, None, gets)
    raise AssertionError


def milliseconds(seconds: list[float]) -> dict[str, float]:
    if not seconds:
        return {}
    found = {"p50": np.quantile(seconds, 0.5), "p99": np.quantile(seconds, 0.99), "max": max(seconds)}
    return {f"{name} ms": round(float(value) * 1_000, 2) for name, value in found.items()}


@contextlib.contextmanager
def service(options: argparse.Namespace) -> Iterator[str]:
    if options.url:
        yield options.url
        return
    port = free_port()
    command = [sys.executable, "-m", "liverec", "serve", "--bundle", str(options.bundle), "--port", str(port)]
    with (
        tempfile.TemporaryDirectory() as var,
        serving([*command, "--workers", str(options.workers)], port, "/health/ready", LIVEREC_VAR=var),
    ):
        yield f"http://127.0.0.1:{port}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=Path("bundles/hybrid"))
    parser.add_argument("--items", type=Path)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--n", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--url")
    options = parser.parse_args()
    limits = httpx.Limits(max_keepalive_connections=0)
    with service(options) as url, httpx.Client(base_url=url, limits=limits, timeout=10) as http:
        chosen = twins(http, options.items, options.count, random.Random(options.seed))
        measured = [measure(http, item, admirer(http, item_id), options.n) for item_id, item in chosen]
    seen = [each.seen for each in measured if each.seen is not None]
    rows = {
        "POST /items": {"items": len(measured), **milliseconds([each.post for each in measured])},
        "until recommended": {"items": len(seen), **milliseconds(seen)},
        "in the first answer": {"items": sum(each.gets == 1 and each.seen is not None for each in measured)},
        "within one second": {"items": sum(each < 1 for each in seen)},
        "never within the list": {"items": len(measured) - len(seen)},
    }
    facts = {"workers": options.workers, "n": options.n, "seed": options.seed}
    result.write("item-freshness", result.command(), rows, **facts)


if __name__ == "__main__":
    main()
