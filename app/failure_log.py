"""FailureLog: where an unforeseen error came from, without what it says, for that may name users, items or secrets."""

from __future__ import annotations

import logging
import traceback

MOST_CAUSES = 5
logger = logging.getLogger("liverec")


def log_failure(what: str, error: BaseException) -> None:
    """Log what happened as an error, with the type and the frames of the error and of its causes.

    Their texts are logged at debug level only.
    """
    parts, cause = list[str](), error
    for _ in range(MOST_CAUSES):
        parts.append(f"{type(cause).__module__}.{type(cause).__qualname__}, raised at\n{_frames(cause)}")
        following = cause.__cause__ or cause.__context__
        if following is None:
            break
        cause = following
    logger.error("%s: %s", what, "because of ".join(parts))
    logger.debug("%s", what, exc_info=error)


def _frames(error: BaseException) -> str:
    return "".join(traceback.format_tb(error.__traceback__)) or "  nowhere\n"
