"""What a request costs at the very least here: the same server and framework, with hardly anything to do.

    python benchmarks/ceiling.py --port PORT --redis URL --size BYTES

/bare answers so many bytes that are there already, /get those that one GET brings from Redis: one worker, a pool of
four connections, no log, and the collector told to leave alone what is loaded.
"""

from __future__ import annotations

import argparse
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI, Response
from redis.asyncio import BlockingConnectionPool, Redis

KEY, JSON = "ceiling", "application/json"


def app(url: str, size: int) -> FastAPI:
    redis = Redis.from_pool(BlockingConnectionPool.from_url(url, max_connections=4))
    body = b'"' + b"a" * (size - 2) + b'"'

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await redis.set(KEY, body)
        gc.collect()
        gc.freeze()
        yield
        await redis.aclose()

    made = FastAPI(lifespan=lifespan)

    @made.get("/bare")
    async def bare() -> Response:
        return Response(body, media_type=JSON)

    @made.get("/get")
    async def get() -> Response:
        return Response(await redis.get(KEY), media_type=JSON)

    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--redis", required=True)
    parser.add_argument("--size", type=int, required=True)
    options = parser.parse_args()
    uvicorn.run(app(options.redis, options.size), port=options.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
