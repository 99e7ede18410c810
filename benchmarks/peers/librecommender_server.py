"""Run LibRecommender's own server, of a model with embeddings, on generated vectors; a driver of benchmarks/serving.py.

    python librecommender_server.py --port PORT --redis HOST:PORT --items 10000 --users 2000 --seen 60

Runs in LibRecommender's own environment. Its server reads users, vectors and ids from Redis in the format of
libserving.serialization, and a FAISS index as its save_faiss_index makes it (IVF, 80 lists, 10 of them searched), from
its own folder. There is no second stage. Training a model would change the numbers in the vectors, and nothing else.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
from pathlib import Path

import faiss
import libserving
import numpy as np
import redis
from libserving.sanic_serving.embed_deploy import app

WIDTH, LISTS, PROBES = 64, 80, 10


def fill(options: argparse.Namespace, random: np.random.Generator) -> None:
    host, port = options.redis.split(":")
    store = redis.Redis(host, int(port))
    users = random.normal(0, 0.3, (options.users, WIDTH)).round(6)
    seen = [random.choice(options.items, options.seen, replace=False).tolist() for _ in users]
    store.hset("user2id", mapping={f"u{user}": user for user in range(options.users)})
    store.hset("id2item", mapping={str(item): f"item {item}" for item in range(options.items)})
    store.hset("user_embed", mapping={str(user): json.dumps(row.tolist()) for user, row in enumerate(users)})
    store.hset("user_consumed", mapping={str(user): json.dumps(own) for user, own in enumerate(seen)})


def index(items: int, random: np.random.Generator) -> None:
    vectors = random.normal(0, 0.3, (items, WIDTH)).astype(np.float32)
    made = faiss.IndexIVFFlat(faiss.IndexFlatIP(WIDTH), WIDTH, LISTS, faiss.METRIC_INNER_PRODUCT)
    made.train(vectors)
    made.add(vectors)
    made.nprobe = PROBES
    faiss.write_index(made, str(Path(libserving.__file__).parent / "faiss_index.bin"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", required=True)
    parser.add_argument("--redis", required=True)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--users", type=int, default=2_000)
    parser.add_argument("--seen", type=int, default=60)
    options = parser.parse_args()
    random = np.random.default_rng(1)
    fill(options, random)
    index(options.items, random)
    os.environ["REDIS_HOST"] = options.redis
    # One process, as the others have, and no line for each request.
    logging.getLogger("sanic.root").setLevel(logging.WARNING)
    app.run(port=int(options.port), single_process=True, access_log=False, motd=False)


if __name__ == "__main__":
    main()
