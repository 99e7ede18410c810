"""threads_for: how many cores a search gets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import faiss


@contextmanager
def threads_for(queries: int) -> Iterator[None]:
    """Keep a single query on one core: to wait for a second one takes longer than the search on a busy machine."""
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1 if queries == 1 else threads)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)
