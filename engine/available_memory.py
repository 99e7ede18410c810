"""available_memory: how many bytes a process can still take."""

from __future__ import annotations

from pathlib import Path

MEMINFO = Path("/proc/meminfo")
GROUP = Path("/sys/fs/cgroup")


def available_memory() -> int | None:
    """Return the free memory of the machine or of the process's group, whichever is less; None if nobody says."""
    found = [each for each in (_of_machine(), _of_group()) if each is not None]
    return min(found, default=None)


def _of_machine() -> int | None:
    try:
        lines = MEMINFO.read_text().splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), None)


def _of_group() -> int | None:
    try:
        most, used = (int((GROUP / name).read_text()) for name in ("memory.max", "memory.current"))
        stat = dict(line.split() for line in (GROUP / "memory.stat").read_text().splitlines())
        # Pages of files count as used, and make room when it is needed.
        return max(most - used + int(stat.get("inactive_file", 0)), 0)
    except (OSError, ValueError):
        # No such group, or one without a limit ("max").
        return None
