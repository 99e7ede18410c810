"""ItemAnswer and its like: what the routes of items give."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from engine.catalogue import CatalogueItem

RankedBy = Literal["content", "trained", "popularity"]
WITHOUT_CONTENT = (
    'ranked_by "popularity": the network can read nothing of the item, so it stands at the end of the popular list and'
    " is otherwise found by exploration only; give it a title, categories or an image"
)

WITHOUT_FILES = (
    "the service has never seen the {} of item {!r}, which came with the bundle: changed, the item is placed without;"
    " send the file with PUT /items/{{item_id}}/{}"
)


def ranked_by(item: CatalogueItem) -> RankedBy:
    """Return what places the item in answers."""
    if not item.is_live:
        return "trained"
    return "content" if item.has_vector else "popularity"


class StoredItem(BaseModel):
    """An item as it was accepted."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    item_id: str
    ranked_by: RankedBy
    """What places it: its content, what training learned of it, or nothing but popularity."""
    version: int
    """The number of this change; changes of all items are counted together."""


class ItemReceipt(BaseModel):
    """All of the items are on disk, and in this worker's answers from now on."""

    model_config = ConfigDict(
        use_attribute_docstrings=True,
        json_schema_extra={
            "examples": [
                {
                    "accepted": 1,
                    "items": [{"item_id": "new-1", "ranked_by": "content", "version": 17}],
                    "note": None,
                    "model_version": "1f0a9c3b7d2e",
                }
            ]
        },
    )

    accepted: int
    items: list[StoredItem]
    """In the order of the request."""
    note: str | None
    """What to know about an item that only popularity places, or that a change has parted from its image; else null."""
    model_version: str


class ItemDeletion(BaseModel):
    """The item is gone from this worker's answers, and after a moment from all."""

    model_config = ConfigDict(
        use_attribute_docstrings=True,
        json_schema_extra={
            "examples": [{"item_id": "new-1", "version": 1795400960458, "model_version": "1f0a9c3b7d2e"}]
        },
    )

    item_id: str
    version: int
    """The number of this change; changes of all items are counted together."""
    model_version: str


class ItemSummary(BaseModel):
    """An item, as lists have it."""

    model_config = ConfigDict(
        use_attribute_docstrings=True,
        json_schema_extra={
            "examples": [
                {
                    "item_id": "50",
                    "metadata": {"title": "Star Wars", "year": 1977},
                    "is_hidden": False,
                    "added_at": None,
                    "is_live": False,
                    "ranked_by": "trained",
                    "version": None,
                }
            ]
        },
    )

    item_id: str
    metadata: dict[str, Any]
    is_hidden: bool
    added_at: float | None
    """Unix seconds; null for an item that was trained."""
    is_live: bool
    """Whether it came after training: no interaction with it was learned from."""
    ranked_by: RankedBy
    version: int | None
    """The number of its newest change; null if it never changed since training, or the store could not be read."""

    @classmethod
    def of(cls, item: CatalogueItem, version: int | None) -> ItemSummary:
        """Return the summary of an item of the catalogue."""
        return cls(
            item_id=item.item_id,
            metadata=item.metadata,
            is_hidden=item.is_hidden,
            added_at=item.added_at,
            is_live=item.is_live,
            ranked_by=ranked_by(item),
            version=version,
        )


class ItemAnswer(ItemSummary):
    """One item; its metadata is whole, the description included."""

    model_config = ConfigDict(
        use_attribute_docstrings=True,
        json_schema_extra={
            "examples": [
                {
                    "item_id": "new-1",
                    "metadata": {"title": "Heat (1995)", "year": 1995},
                    "is_hidden": False,
                    "added_at": 1781000000.0,
                    "is_live": True,
                    "ranked_by": "content",
                    "version": 17,
                    "degraded": None,
                    "model_version": "1f0a9c3b7d2e",
                }
            ]
        },
    )

    degraded: str | None
    """Why this may not be the newest; null when all is well."""
    model_version: str


class ItemPage(BaseModel):
    """Some of the items: first the trained ones, then the others, the oldest first."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    items: list[ItemSummary]
    cursor: str | None
    """Give this to get the next page; null after the last."""
    degraded: str | None
    """Why these may not be the newest; null when all is well."""
    model_version: str


class SimilarItem(BaseModel):
    """One item that is like another."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    item_id: str
    rank: int
    """From 1."""
    score: float
    """Higher is more alike; comparable within one answer only."""
    metadata: dict[str, Any]


class SimilarAnswer(BaseModel):
    """Items that are like one item, best first."""

    model_config = ConfigDict(
        use_attribute_docstrings=True,
        json_schema_extra={
            "examples": [
                {
                    "item_id": "new-1",
                    "space": "content",
                    "degraded": "'hybrid' tells nothing of this item; this is 'content'",
                    "items": [{"item_id": "50", "rank": 1, "score": 0.93, "metadata": {"title": "Ronin (1998)"}}],
                    "model_version": "1f0a9c3b7d2e",
                    "took_ms": 0.8,
                }
            ]
        },
    )

    item_id: str
    space: str
    """How likeness was measured."""
    degraded: str | None
    """Why that is not what was asked for; null if it is."""
    items: list[SimilarItem]
    model_version: str
    took_ms: float
