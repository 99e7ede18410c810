"""The client: liverec from Python, with one class for plain code and one for asyncio."""

from liverec.client.answers import (
    Answer,
    AnswerItem,
    Because,
    Deletion,
    History,
    HistoryEvent,
    Item,
    ItemPage,
    ItemReceipt,
    PredictedRating,
    Predictions,
    Receipt,
    SimilarItem,
    SimilarItems,
    StoredItem,
)
from liverec.client.async_client import AsyncClient
from liverec.client.client import Client
from liverec.client.errors import (
    AnswerError,
    ApiError,
    BadRequest,
    Conflict,
    LiverecClientError,
    NotFound,
    TooMany,
    TransportError,
    Unavailable,
)
from liverec.client.events import Feedback, Met, Rating
from liverec.client.retries import Retries

__all__ = [
    "Answer",
    "AnswerError",
    "AnswerItem",
    "ApiError",
    "AsyncClient",
    "BadRequest",
    "Because",
    "Client",
    "Conflict",
    "Deletion",
    "Feedback",
    "History",
    "HistoryEvent",
    "Item",
    "ItemPage",
    "ItemReceipt",
    "LiverecClientError",
    "Met",
    "NotFound",
    "PredictedRating",
    "Predictions",
    "Rating",
    "Receipt",
    "Retries",
    "SimilarItem",
    "SimilarItems",
    "StoredItem",
    "TooMany",
    "TransportError",
    "Unavailable",
]
