"""Result: a measured table with what a reader must know to trust it, written as JSON and printed."""

from __future__ import annotations

import json
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def machine() -> dict[str, object]:
    """Return what the measurement ran on."""
    with Path("/proc/cpuinfo").open() as info:
        models = [line.split(":")[1].strip() for line in info if line.startswith("model name")]
    return {"processor": models[0] if models else platform.processor(), "cores": len(models), "os": platform.system()}


def command() -> str:
    """Return what was called, with folders and files by their names alone."""
    words = [Path(word).name if "/" in word else word for word in sys.argv[1:]]
    return shlex.join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *words])


def write(name: str, command: str, rows: Mapping[str, object], **facts: object) -> Path:
    """Write benchmarks/results/<name>.json and print the rows."""
    revision = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
    content = {
        "command": command,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "git_revision": revision or "unknown",
        "machine": machine(),
        **facts,
        "rows": rows,
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(content, indent=1) + "\n")
    for label, value in rows.items():
        print(f"{label:32} {json.dumps(value)}")
    print(f"-> {path}")
    return path
