"""BulkParquet: an upload of a Parquet file, which is read from its end: it is put on the disk first."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator, AsyncIterator
from importlib.util import find_spec
from typing import IO

from starlette.requests import Request

from app.body_budget import RefusedBodyError
from app.bulk_lines import BulkLines, Stream
from app.problems import problem
from engine.errors import QueryError

PARQUET = "application/vnd.apache.parquet"
READER = "app.parquet_lines"
READ_AT_ONCE = 65_536
MOST_SHOWN = 300


def can_read_parquet() -> bool:
    """Return whether the extra `parquet` is installed."""
    return find_spec("arro3") is not None


class BulkParquet(BulkLines):
    """A process of its own makes lines of it: what a small file unpacks to cannot take this one's memory.

    Its `pieces` raise RefusedBodyError for a file that is too large, too.
    """

    def __init__(self, request: Request, most_bytes: int) -> None:
        super().__init__(self._lines(request.stream(), most_bytes))

    async def _lines(self, stream: Stream, most_bytes: int) -> AsyncGenerator[bytes, None]:
        with tempfile.TemporaryFile() as file:
            await _keep(stream, file, most_bytes)
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", READER, stdin=file, stdout=PIPE, stderr=DEVNULL, env=_environment()
            )
            try:
                async for piece in _output(process):
                    yield piece
            finally:
                if process.returncode is None:
                    process.kill()
                await process.wait()


async def _keep(stream: Stream, file: IO[bytes], most_bytes: int) -> None:
    size = 0
    async for piece in stream:
        size += len(piece)
        if size > most_bytes:
            answer = problem(413, f"the file is larger than {most_bytes} bytes (LIVEREC_MAX_UPLOAD_BYTES); send a part")
            raise RefusedBodyError(answer)
        await asyncio.to_thread(file.write, piece)
    file.flush()
    file.seek(0)


async def _output(process: Process) -> AsyncIterator[bytes]:
    assert process.stdout is not None  # noqa: S101 (a pipe was asked for)
    while piece := await process.stdout.read(READ_AT_ONCE):
        yield piece
    if await process.wait():
        raise QueryError("the file is no Parquet that can be read, or takes too much memory; send application/x-ndjson")


def _environment() -> dict[str, str]:
    # No password of the store: it reads what strangers send.
    return {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
