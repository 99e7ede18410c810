"""A bundle that may be hostile, opened in a process of its own with bounded memory and time."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

MOST_SECONDS = 30
MOST_MEMORY = 3 << 30
"""Of addresses, of which the libraries take 1 GB before anything is opened."""
ROOT = Path(__file__).parents[2]
REFUSED, FAILED = 10, 11

Outcome = tuple[str, str]


@contextmanager
def opened_apart() -> Iterator[Callable[[Path], Outcome]]:
    """Give a function that opens a bundle apart and says "accepted", "refused", "crash", "hang" or "other error"."""
    # The one that forks has run nothing yet that has threads.
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )

    def outcome(bundle: Path) -> Outcome:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{bundle}\n")
        process.stdin.flush()
        became, said = json.loads(process.stdout.readline())
        return became, said

    try:
        yield outcome
    finally:
        process.communicate()


def _serve() -> None:
    for line in sys.stdin:
        sys.stdout.write(json.dumps(_opened(line.rstrip("\n"))) + "\n")
        sys.stdout.flush()


def _opened(bundle: str) -> Outcome:
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        _open(bundle, writing)
    os.close(writing)
    ended = time.monotonic() + MOST_SECONDS
    while not (waited := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() > ended:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(reading)
            return "hang", ""
        time.sleep(0.005)
    said = os.read(reading, 4_096).decode(errors="replace")
    os.close(reading)
    if os.WIFSIGNALED(waited[1]):
        return "crash", f"signal {os.WTERMSIG(waited[1])}"
    names = {0: "accepted", REFUSED: "refused", FAILED: "other error"}
    return names.get(os.waitstatus_to_exitcode(waited[1]), "crash"), said


def _open(bundle: str, writing: int) -> None:
    from engine.bundle import Bundle
    from engine.errors import BundleError

    # What a library prints must not be taken for what became of the bundle.
    os.dup2(2, 1)
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    code = 0
    try:
        opened = Bundle.open(Path(bundle))
        recommender = opened.recommender()
        _ = opened.content
        opened.probe.check(recommender)
    except BundleError as error:
        code = REFUSED
        os.write(writing, str(error)[:4_000].encode())
    except BaseException as error:  # noqa: BLE001 (whatever it is, it is what is looked for)
        code = FAILED
        os.write(writing, f"{type(error).__name__}: {error}"[:4_000].encode())
    os._exit(code)


if __name__ == "__main__":
    import engine.bundle  # noqa: F401 (once, for all that are forked)

    _serve()
