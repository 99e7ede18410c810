"""BulkReport: how far an upload has come."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

MOST_ERRORS = 100


class BulkError(BaseModel):
    """A row that was not taken."""

    line: int
    """From 1; of a Parquet file, its row."""
    detail: str
    """What is wrong with it, and what to do."""


class BulkReport(BaseModel):
    """A line of the answer: all that it counts is on disk. The last one says whether the upload is done."""

    model_config = ConfigDict(
        use_attribute_docstrings=True,
        json_schema_extra={"examples": [{"line": 1000, "accepted": 998, "duplicates": 2, "done": True}]},
    )

    line: int = 0
    """The number of the last line, or row, that is dealt with: all before it are, too."""
    accepted: int = 0
    """Events that are new."""
    duplicates: int = 0
    """Events whose event_id was known already."""
    refused: int = 0
    """Rows that were wrong."""
    unknown_items: int = 0
    """New events of items that the model does not know."""
    errors: list[BulkError] = []
    """The first 100 rows that were wrong; in the last line only."""
    done: bool = False
    """Whether it is the last line of an upload that came to its end."""

    def encoded(self) -> bytes:
        """Return it as a line."""
        return self.model_dump_json(exclude=None if self.done else {"errors"}).encode() + b"\n"

    def refuse(self, line: int, detail: str) -> None:
        """Count a row that is wrong."""
        self.refused += 1
        if len(self.errors) < MOST_ERRORS:
            self.errors.append(BulkError(line=line, detail=detail))

    def members(self) -> dict[str, Any]:
        """Return it as members of a problem document."""
        return self.model_dump()
