"""ItemWriting: adds, changes and deletes items; what is acknowledged is on disk, and in this worker's answers."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial

from app.item import Item, ItemPatch
from app.item_answer import WITHOUT_CONTENT, WITHOUT_FILES, ItemDeletion, ItemReceipt, StoredItem, ranked_by
from app.item_document import ItemDocument
from app.item_encoding import ItemEncoding, Vector
from app.item_store import Draft, ItemStore, Media
from app.item_tail import ItemTail
from app.live_items import LiveItems
from app.metrics import Metrics
from app.settings import Settings
from engine.errors import ConflictError, NotFoundError, QueryError, UnsupportedError
from engine.item_content import ItemContent

TRIES = 5
Change = Callable[[ItemDocument], Awaitable[Draft]]


class ItemWriting:
    """What POST, PUT, PATCH and DELETE do to items."""

    def __init__(
        self,
        store: ItemStore,
        tail: ItemTail,
        items: LiveItems,
        encoding: ItemEncoding,
        metrics: Metrics,
        settings: Settings,
        model_version: str,
    ) -> None:
        self._store = store
        self._tail = tail
        self._items = items
        self._encoding = encoding
        self._metrics = metrics
        self._settings = settings
        self._model_version = model_version

    async def add(self, items: Sequence[Item]) -> ItemReceipt:
        """Store items in place of what was there under their ids; all of them or none."""
        self._require_network()
        media = [await self._kept(item.item_id, item.image, item.audio) for item in items]
        contents = [ItemContent(item.flat, each.image, each.audio) for item, each in zip(items, media, strict=True)]
        vectors, now = await self._encoding.vectors([item.item_id for item in items], contents), time.time()
        drafts = [
            Draft(self._document(item, each, vector, now), None, each.image or b"", each.audio or b"")
            for item, each, vector in zip(items, media, vectors, strict=True)
        ]
        seqs = await self._store.put(drafts)
        assert seqs is not None  # noqa: S101 (nothing was expected of what was there)
        return await self._receipt([each.document for each in drafts], seqs, "add")

    async def patch(self, item_id: str, patch: ItemPatch) -> ItemReceipt:
        """Change some fields of an item; raises NotFoundError if nobody knows it."""
        if patch.image or patch.audio:
            self._require_network()
        kept = await self._kept(item_id, patch.image, patch.audio)
        after, seq = await self._change(item_id, partial(self._patched, patch, kept))
        return await self._receipt([after], [seq], "change")

    async def delete(self, item_id: str) -> ItemDeletion:
        """Take an item out of all answers, once or again; raises NotFoundError if nobody knows it."""
        try:
            _, seq = await self._change(item_id, _deleted)
            self._metrics.items.labels("delete").inc()
        except NotFoundError:
            # Who repeats a deletion, because its answer was lost, gets that answer.
            [document] = await self._store.read([item_id])
            if document is None or not document.is_deleted:
                raise
            seq = document.seq
        await self._tail.reach(seq)
        return ItemDeletion(item_id=item_id, version=seq, model_version=self._model_version)

    async def _change(self, item_id: str, change: Change) -> tuple[ItemDocument, int]:
        for _ in range(TRIES):
            draft = await change(await self._current(item_id))
            seqs = await self._store.put([draft])
            if seqs is not None:
                return draft.document, seqs[0]
        raise ConflictError(f"item {item_id!r} was changed by others {TRIES} times meanwhile; send the change again")

    async def _current(self, item_id: str) -> ItemDocument:
        [document] = await self._store.read([item_id])
        if document is None and (known := self._items.catalogue.get(item_id)):
            # The store has no files of what came with the bundle: its vector cannot be made again.
            document = ItemDocument(
                item_id,
                added_at=known.added_at or 0.0,
                metadata=known.metadata,
                of_bundle=True,
                model=self._encoding.version or "",
                vector=self._items.catalogue.content_of(item_id),
            )
        if document is None or document.is_deleted:
            raise NotFoundError(f"item {item_id!r} is unknown; add it with POST /items")
        return self._items.up_to_date(document)

    async def _patched(self, patch: ItemPatch, kept: Media, before: ItemDocument) -> Draft:
        given = patch.model_fields_set
        image = (kept.image or b"") if "image" in given else None
        audio = (kept.audio or b"") if "audio" in given else None
        after = replace(
            before,
            metadata=patch.applied_to(before.metadata),
            is_hidden=bool(patch.is_hidden) if "is_hidden" in given else before.is_hidden,
            has_image=before.has_image if image is None else bool(image),
            has_audio=before.has_audio if audio is None else bool(audio),
        )
        if (image, audio) != (None, None) or after.metadata != before.metadata:
            after = await self._read_again(after, image, audio)
        return Draft(after, before.seq, image, audio)

    async def _read_again(self, document: ItemDocument, image: bytes | None, audio: bytes | None) -> ItemDocument:
        [media] = await self._store.media([document.item_id])
        image, audio = media.image if image is None else image, media.audio if audio is None else audio
        content = ItemContent(document.metadata, image or None, audio or None)
        [vector] = await self._encoding.vectors([document.item_id], [content])
        # Without a network the model stays empty, so that a bundle that has one computes the vector.
        return replace(document, of_bundle=False, model=self._encoding.version or "", vector=vector)

    async def _kept(self, item_id: str, image: bytes | None, audio: bytes | None) -> Media:
        limits = {"image": self._settings.max_image_bytes, "audio": self._settings.max_audio_bytes}
        for (name, most), given in zip(limits.items(), (image, audio), strict=True):
            if given is not None and not 0 < len(given) <= most:
                raise QueryError(f"{name}: that of item {item_id!r} has {len(given)} bytes; it must have 1 to {most}")
        if audio is not None:
            await self._encoding.check_sound(item_id, audio)
        return Media(None if image is None else await self._encoding.thumbnail(item_id, image), audio)

    def _document(self, item: Item, media: Media, vector: Vector | None, now: float) -> ItemDocument:
        return ItemDocument(
            item.item_id,
            added_at=now,
            is_hidden=bool(item.is_hidden),
            metadata=item.flat,
            has_image=media.image is not None,
            has_audio=media.audio is not None,
            model=self._encoding.version or "",
            vector=vector,
        )

    async def _receipt(self, documents: Sequence[ItemDocument], seqs: Sequence[int], call: str) -> ItemReceipt:
        await self._tail.reach(max(seqs))
        self._metrics.items.labels(call).inc(len(documents))
        stored = [
            StoredItem(item_id=each.item_id, ranked_by=ranked_by(item), version=seq)
            for each, seq in zip(documents, seqs, strict=True)
            # Another request may have deleted it already.
            if (item := self._items.catalogue.get(each.item_id))
        ]
        notes = [WITHOUT_CONTENT] if any(each.ranked_by == "popularity" for each in stored) else []
        notes += [_without_files(each) for each in documents if self._has_lost_files(each)]
        note = "; ".join(notes) or None
        return ItemReceipt(accepted=len(documents), items=stored, note=note, model_version=self._model_version)

    def _has_lost_files(self, document: ItemDocument) -> bool:
        is_placed_by_them = not document.of_bundle and not self._items.is_trained(document.item_id)
        return is_placed_by_them and bool(document.elsewhere)

    def _require_network(self) -> None:
        if self._encoding.version is None:
            raise UnsupportedError(
                "the bundle has no content network, so it can place no new items;"
                " train one with `liverec train --config configs/hybrid.toml`"
            )


def _without_files(document: ItemDocument) -> str:
    return WITHOUT_FILES.format(" and ".join(document.elsewhere), document.item_id, document.elsewhere[0])


async def _deleted(before: ItemDocument) -> Draft:
    return Draft(ItemDocument(before.item_id, added_at=before.added_at, is_deleted=True), before.seq, b"", b"")
