"""A merge beside the searches leaves nothing behind, however it ends."""

from __future__ import annotations

import atexit
import threading

import numpy as np
import pytest

from engine.index import VectorIndex
from engine.index_merge import IndexMerge


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_waits_at_exit_for_a_merge_that_is_over(monkeypatch: pytest.MonkeyPatch, fails: bool) -> None:
    registered, unwatched = [], []
    monkeypatch.setattr(atexit, "register", registered.append)
    monkeypatch.setattr(atexit, "unregister", registered.remove)
    monkeypatch.setattr(threading, "excepthook", unwatched.append)
    vectors = np.eye(4, dtype=np.float32)
    # Vectors of another width cannot be added.
    more = vectors[:, :3] if fails else vectors
    merge = IndexMerge(VectorIndex.build(vectors), np.arange(4, 8), np.ascontiguousarray(more), 4)
    merge.run_in_thread()
    for thread in threading.enumerate():
        if thread.name == "index merge":
            thread.join()
    assert merge.is_over
    assert (merge.merged is None) == fails == bool(unwatched)
    assert not registered
