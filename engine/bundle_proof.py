"""BundleProof: a bundle opened, and its probe recomputed, by a process of its own with bounded memory and time.

A crafted bundle may end the process that opens it, or take all its memory, in ways that no check foresees. Whoever must
survive that has this process try it first.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from engine.errors import BundleError, LiverecError

LEAST_MEMORY, MEMORY_FACTOR = 1 << 30, 8
"""Of memory of its own, without files that are mapped: so many bytes, and so many times the size of the bundle."""
LEAST_SECONDS, BYTES_A_SECOND = 60.0, 10 << 20
REFUSED = 10
MOST_WORDS = 4_000
REMEDY = "train again"


def prove_apart(folder: Path, public_keys: Collection[str] = ()) -> str:
    """Return the model version of a bundle that another process could open, and whose probe it could recompute.

    Raises BundleError that names the bundle if it refused, if it ended, or if it took too much memory or time.
    """
    size = _size(folder)
    seconds = LEAST_SECONDS + size / BYTES_A_SECOND
    given = {"folder": str(folder), "public_keys": list(public_keys), "memory": LEAST_MEMORY + MEMORY_FACTOR * size}
    # The paths of this process, and not the folder that it stands in.
    own = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    try:
        ended = subprocess.run(  # nosec B603: this interpreter, and words that nobody else chose
            [sys.executable, "-P", "-m", "engine.bundle_proof"],
            input=json.dumps(given).encode(),
            capture_output=True,
            timeout=seconds,
            env=os.environ | own,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BundleError(f"{folder} was not proven within {seconds:.0f} s; {REMEDY}") from error
    said = ended.stdout.decode(errors="replace")[:MOST_WORDS]
    if ended.returncode == REFUSED:
        raise BundleError(said)
    if ended.returncode != 0:
        raise BundleError(f"{folder} must not be opened: {_end(ended)}; {REMEDY}")
    return said


def _end(ended: subprocess.CompletedProcess[bytes]) -> str:
    if ended.returncode < 0:
        return f"it ended the process that tried it with {signal.Signals(-ended.returncode).name}"
    lines = ended.stderr.decode(errors="replace").split("\n")
    last = next((line for line in reversed(lines) if line.strip()), "nothing")
    return f"the process that tried it failed with {last:.200}"


def _size(folder: Path) -> int:
    try:
        with os.scandir(folder) as entries:
            return sum(entry.stat(follow_symlinks=False).st_size for entry in entries)
    except OSError as error:
        raise BundleError(f"{folder} cannot be read ({error.strerror}); copy or train the bundle again") from error


def _limit(memory: int) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    memory = memory if hard == resource.RLIM_INFINITY else min(memory, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    # Where memory is short after all, this process ends before the one that serves.
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def _prove(folder: Path, public_keys: list[str]) -> str:
    from engine.bundle import Bundle

    # On one core: a service may be answering beside it.
    bundle = Bundle.open(folder, public_keys, threads=1)
    recommender = bundle.recommender()
    _ = bundle.content
    bundle.probe.check(recommender)
    return bundle.model_version


def _answer() -> int:
    given = json.load(sys.stdin)
    # What a library prints must not be taken for the answer.
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    _limit(given["memory"])
    code = 0
    try:
        said = _prove(Path(given["folder"]), given["public_keys"])
    except LiverecError as error:
        code, said = REFUSED, str(error)
    with answer:
        answer.write(said)
    return code


if __name__ == "__main__":
    # Without the end of the interpreter, in which libraries may still fail.
    ended_with = _answer()
    os._exit(ended_with)
