"""Item lists: a table of which only the item ids count."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from engine.errors import DataError
from training.columns import check_requested, find_columns
from training.event_frame import identifier
from training.layouts import read_table
from training.tables import reading


def item_list(path: Path, requested: Mapping[str, str]) -> list[str]:
    """Return the ids of a table, each once, in its order; raises DataError if it holds none."""
    check_requested(requested)
    table = read_table(path)
    # What is requested for the events need not be the name here.
    here = {name: column for name, column in requested.items() if name == "item_id" and column in table.columns}
    column = find_columns(path, table.columns, ("item_id",), ("item_id",), here)["item_id"]
    with reading(table):
        ids = table.frame.select(identifier(column, table.frame.collect_schema()[column]))
        found: list[str] = ids.unique(maintain_order=True).collect(engine="streaming").to_series().to_list()
    listed = [item_id for item_id in found if item_id]
    if not listed:
        raise DataError(f"{path}: no row has an item_id. Give at least one.")
    return listed
