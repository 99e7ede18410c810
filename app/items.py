"""Items: all of the service that is about items, put together."""

from __future__ import annotations

from app.item_encoding import ItemEncoding
from app.item_reading import ItemReading
from app.item_store import ChangeLog, ItemStore
from app.item_tail import ItemTail
from app.item_writing import ItemWriting
from app.live_items import LiveItems
from app.metrics import Metrics
from app.store_connection import StoreConnection
from engine.bundle import Bundle
from engine.recommender import Recommender


class Items:
    """Follows the store with `tail`; `writing` and `reading` are what the routes call."""

    def __init__(
        self, bundle: Bundle, recommender: Recommender, connection: StoreConnection, url: str, metrics: Metrics
    ) -> None:
        settings, version = connection.settings, bundle.model_version
        store = ItemStore(connection)
        encoding = ItemEncoding(bundle.content)
        live = LiveItems(recommender.catalogue, recommender.items, encoding.version)
        self.tail = ItemTail(store, ChangeLog(url, connection), live, encoding, metrics, settings.deleted_days)
        self.writing = ItemWriting(store, self.tail, live, encoding, metrics, settings, version)
        self.reading = ItemReading(store, self.tail, live, version, settings.read_timeout_seconds)
