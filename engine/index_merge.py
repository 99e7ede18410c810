"""IndexMerge: further rows on their way into an index that is searched meanwhile."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable
from threading import Event, Thread, get_native_id

import faiss
import numpy as np
import numpy.typing as npt

from engine.search_index import SearchIndex

NICE = 5


class IndexMerge:
    """Adds rows to a copy of an index; `taken` is how many rows of the side index it will take the place of."""

    def __init__(
        self, main: SearchIndex, ids: npt.NDArray[np.int64], vectors: npt.NDArray[np.float32], taken: int
    ) -> None:
        self.taken = taken
        self.merged: SearchIndex | None = None
        self._given = (main, ids, vectors)
        self._over, self._unwanted = Event(), Event()

    @property
    def is_over(self) -> bool:
        """Whether the work has ended; if it failed, `merged` is None."""
        return self._over.is_set()

    def run(self) -> None:
        """Do the work; nothing that is searched is changed."""
        try:
            self.merged = self._given[0].extended(*self._given[1:], self._unwanted.is_set)
        finally:
            self._over.set()

    def run_in_thread(self) -> None:
        """Do the work beside the searches."""
        # A thread inside FAISS while the process is taken apart would crash it.
        atexit.register(self._stop)
        Thread(target=self._leave_a_core, name="index merge", daemon=True).start()

    def _leave_a_core(self) -> None:
        # OpenMP keeps this number for each thread, and Linux the priority: the searches keep theirs.
        faiss.omp_set_num_threads(max(1, (os.cpu_count() or 2) - 1))
        if sys.platform == "linux":
            os.setpriority(os.PRIO_PROCESS, get_native_id(), NICE)
        try:
            self.run()
        finally:
            atexit.unregister(self._stop)

    def _stop(self) -> None:
        self._unwanted.set()
        self._over.wait()


Run = Callable[[IndexMerge], None]
