"""opened_index: an index as it lies in a bundle."""

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np
import numpy.typing as npt

from engine.errors import BundleError
from engine.index import VectorIndex
from engine.index_settings import IndexSettings
from engine.inverted_file import InvertedFile
from engine.inverted_index import InvertedIndex
from engine.list_projection import ListProjection
from engine.search_index import SearchIndex
from engine.unreadable import unreadable
from engine.vector_table import Table

Floats = npt.NDArray[np.float32]


def opened_index(
    path: Path,
    table: Table,
    settings: IndexSettings | None = None,
    query_map: Floats | None = None,
    *,
    is_checked: bool = False,
) -> SearchIndex:
    """Map the index of a table [N,E], searched as training found best; raises BundleError on anything else.

    query_map [E,P]: what becomes of a query, where the index has lists. is_checked: the process that started this one
    has looked through the very same file.
    """
    count, width = table.shape
    if settings is None or query_map is None:
        return VectorIndex.open(path, count, width, settings, is_checked=is_checked)
    if not np.isfinite(query_map).all():
        raise BundleError(f"{path}: the map of queries beside it has numbers that are none; train again")
    projection = ListProjection(np.asarray(query_map))
    if not is_checked:
        InvertedFile.check_lists(path, settings.kind, count, projection.width)
    with unreadable(path, "train again"):
        return InvertedIndex(faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC), projection, table, settings)
