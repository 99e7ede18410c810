"""The exceptions of liverec.

LiverecError
├── ConfigError            a setting or config file says something that cannot be used
├── DataError              an input file or table cannot be read as events or items
├── BundleError            a bundle is missing, damaged or not of this version
├── NetworkError           an ONNX network got or gave something of the wrong shape
├── TrainingError          a training run cannot go on
│   └── DivergedError      its loss is no number
├── QueryError             a request asks for something outside the allowed values
├── NotFoundError          a request names an item that nobody knows
├── ConflictError          an event_id came again with another rating, or an item changed under a request
├── UnsupportedError       the bundle lacks what a request needs
├── RoomError              something does not fit into the memory that is allowed or free
├── FullError              the online store holds as much as it may
├── UnreadyError           what a request needs is being made and will be there soon
└── StoreError             the online store is unreachable or refuses to work

Every message names the value that is wrong and what to do about it.
"""


class LiverecError(Exception):
    """Any failure that liverec foresees; the command line prints it without a traceback.

    `members` are further facts for programs: over HTTP they join the problem document.
    """

    def __init__(self, message: str, **members: object) -> None:
        super().__init__(message)
        self.members = members


class ConfigError(LiverecError):
    """A setting or a config file cannot be used."""


class DataError(LiverecError):
    """An input file or table cannot be read as events or items."""


class BundleError(LiverecError):
    """A bundle is missing, damaged, or written by another format version."""


class NetworkError(LiverecError):
    """A network was fed, or returned, arrays of the wrong name, shape or type."""


class TrainingError(LiverecError):
    """A training run cannot go on."""


class DivergedError(TrainingError):
    """The loss or its gradient is no number."""


class QueryError(LiverecError):
    """A request asks for something outside the allowed values."""


class NotFoundError(LiverecError):
    """A request names an item that neither the bundle nor the store knows."""


class ConflictError(LiverecError):
    """An event_id came a second time with another rating, or an item was changed while a request changed it."""


class UnsupportedError(LiverecError):
    """The bundle in service was trained without what a request needs."""


class RoomError(LiverecError):
    """Something would take more memory than is allowed or free; `members` are the sizes: needed, allowed."""


class FullError(LiverecError):
    """The online store holds as many items, or as many bytes of them, as the settings allow."""


class StoreError(LiverecError):
    """The online store cannot be reached or refuses to work."""


class UnreadyError(LiverecError):
    """What a request needs is being made and will be there soon."""
