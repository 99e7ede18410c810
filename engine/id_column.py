"""IdColumn: the ids of the bundle's items as a field of theirs."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from engine.field_texts import encoded, places_of
from engine.filter_nodes import Comparison
from engine.packed_texts import END
from engine.vocabulary import UNKNOWN, Vocabulary

ITEM_ID = "item_id"
Rows = npt.NDArray[np.int32]


class IdColumn:
    """Looks ids up in a vocabulary; order int32 [N]: the rows sorted by the UTF-8 of their ids."""

    def __init__(self, vocabulary: Vocabulary, order: Rows) -> None:
        self._vocabulary = vocabulary
        self._order = order

    @staticmethod
    def order_of(vocabulary: Vocabulary) -> Rows:
        """Sort the rows of a vocabulary."""
        texts = vocabulary.texts
        return np.array(sorted(range(len(texts)), key=texts.__getitem__), dtype=np.int32)

    def rows(self, comparison: Comparison) -> Iterator[Rows]:
        """Go through the rows of which a comparison, other than with null, is true."""
        # No number and no truth is an id.
        for value in (each for each in comparison.values if isinstance(each, str)):
            if comparison.operator in {"=", "in"}:
                row = self._vocabulary.lookup.row_of(encoded(value))
                yield np.array([row] if row != UNKNOWN else [], dtype=np.int32)
            elif comparison.operator == "contains":
                yield self._containing(encoded(value))
            else:
                yield self._compared(comparison.operator, encoded(value))

    def all_rows(self) -> Iterator[Rows]:
        """Go through all rows: each has an id."""
        yield self._order

    def _compared(self, operator: str, value: bytes) -> Rows:
        texts = self._vocabulary.texts
        find = bisect_left if operator in {"<", ">="} else bisect_right
        place = find(self._order, value, key=texts.__getitem__)
        return self._order[:place] if operator in {"<", "<="} else self._order[place:]

    def _containing(self, part: bytes) -> Rows:
        texts = self._vocabulary.texts
        if not part:
            return self._order
        starts = places_of(texts.content, part, END in part)
        rows = np.searchsorted(texts.offsets, starts, side="right") - 1
        # With a newline in it, it may have been found over the end of an id.
        rows = rows[starts + len(part) < texts.offsets[rows + 1]]
        return np.unique(rows).astype(np.int32)
