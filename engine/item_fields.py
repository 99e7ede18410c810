"""ItemFields: of which items of a table a filter is true."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.errors import QueryError
from engine.field_overlay import FieldOverlay
from engine.field_table import FieldTable, columns_of
from engine.filter_expression import FilterExpression
from engine.id_column import ITEM_ID, IdColumn
from engine.item_documents import documents
from engine.items import ItemTable

Mask = npt.NDArray[np.bool_]
MOST_BYTES = 64 * 2**20
NAMES_SHOWN = 20


@dataclass(slots=True)
class _Kept:
    """A mask as it was at a version of the live rows; a mask that was given away is never written to."""

    mask: Mask
    version: int


class ItemFields:
    """The metadata of an item table as columns, and the masks of the filters that were last asked for.

    All but `build` belongs to the one thread that answers.
    """

    def __init__(self, items: ItemTable, most_bytes: int = MOST_BYTES) -> None:
        self._items = items
        self._overlay = FieldOverlay(items)
        self._bundled = None if items.prepared is None else self._made()
        self._lock = threading.Lock()
        self._masks: OrderedDict[FilterExpression, _Kept] = OrderedDict()
        self._most_bytes = most_bytes
        self._bytes = 0

    @property
    def is_built(self) -> bool:
        """Whether a filter can be answered at once."""
        return self._bundled is not None

    def build(self) -> None:
        """Read the metadata of the bundle, once; any thread may do it, since what it reads never changes."""
        self._built()

    def matches(self, expression: FilterExpression, option: str = "filter") -> Mask:
        """Return of which rows a filter is true, [items.rows.end]; never of padding and of rows that are dead.

        Nobody writes into the mask; as long as nothing changes it is the same object. Builds if that has not been done.
        Raises QueryError, which begins with the name of the `option`, for a field that no item has.
        """
        kept = self._masks.get(expression)
        if kept is None:
            return self._keep(expression, self._evaluated(expression, option))
        self._masks.move_to_end(expression)
        if kept.version == self._items.rows.version:
            return kept.mask
        changed = self._items.rows.changed_since(kept.version)
        if changed is None:
            return self._keep(expression, self._evaluated(expression, option))
        mask = np.zeros(self._items.rows.end, dtype=bool)
        mask[: len(kept.mask)] = kept.mask
        self._overlay.refresh(mask, expression, changed)
        return self._keep(expression, mask)

    def _evaluated(self, expression: FilterExpression, option: str) -> Mask:
        bundled = self._built()
        self._check_fields(expression, bundled, option)
        mask = np.zeros(self._items.rows.end, dtype=bool)
        mask[: len(bundled)] = bundled.matches(expression.node)
        self._overlay.put(mask, expression)
        return mask

    def _keep(self, expression: FilterExpression, mask: Mask) -> Mask:
        mask.flags.writeable = False
        older = self._masks.get(expression)
        self._bytes += mask.nbytes - (0 if older is None else older.mask.nbytes)
        self._masks[expression] = _Kept(mask, self._items.rows.version)
        while self._bytes > self._most_bytes:
            self._bytes -= self._masks.popitem(last=False)[1].mask.nbytes
        return mask

    def _check_fields(self, expression: FilterExpression, bundled: FieldTable, option: str) -> None:
        strange = expression.fields - bundled.columns.keys() - {ITEM_ID}
        if strange and (strange := strange - self._overlay.names()):
            known = sorted({ITEM_ID} | bundled.columns.keys() | self._overlay.names())
            more = f" and {len(known) - NAMES_SHOWN} more" if len(known) > NAMES_SHOWN else ""
            raise QueryError(
                f"{option}: no item has a field {min(strange)!r}; there are {', '.join(known[:NAMES_SHOWN])}{more}"
            )

    def _built(self) -> FieldTable:
        if (bundled := self._bundled) is None:
            with self._lock:
                bundled = self._bundled = self._bundled or self._made()
        return bundled

    def _made(self) -> FieldTable:
        items, prepared = self._items, self._items.prepared
        columns = columns_of(documents(items.metadata))[0] if prepared is None else prepared.fields
        order = IdColumn.order_of(items.vocabulary) if prepared is None else prepared.ids
        return FieldTable({**columns, ITEM_ID: IdColumn(items.vocabulary, order)}, len(items))
