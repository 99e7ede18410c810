"""Parquet lines: a process that reads a Parquet file from its standard input and writes each row as a line of JSON.

python -m app.parquet_lines < events.parquet
"""

from __future__ import annotations

import json
import os
import resource
import sys
from datetime import UTC, datetime

MOST_MEMORY = 2**30
"""Bytes of its address space; who unpacks more than a file can need ends."""
ROWS_AT_ONCE = 1_000


def main() -> None:
    """Read and write; ends with an error if the file cannot be read."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    from arro3.io import read_parquet

    with os.fdopen(0, "rb") as file:
        for batch in read_parquet(file, batch_size=ROWS_AT_ONCE):
            rows = zip(*(column.to_pylist() for column in batch.columns), strict=True)
            lines = (json.dumps(dict(zip(batch.column_names, row, strict=True)), default=_plain) for row in rows)
            sys.stdout.write("\n".join(lines) + "\n")


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    # A text that no field takes: the row is refused by name.
    return str(value)


if __name__ == "__main__":
    main()
