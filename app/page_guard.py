"""PageGuard: refuses what a browser sends for a page that has no business here."""

from __future__ import annotations

from collections.abc import Collection
from http import HTTPStatus

from fastapi import Response
from starlette.types import Scope

from app.body_sizes import is_of_items, is_upload
from app.problems import problem
from app.request_head import RequestHead
from app.settings import ANYBODY

OF_OTHERS = ("cross-site", "same-site")


class PageGuard:
    """Answers 403 to pages of foreign origins, and 415 to bodies that any page may send without asking first."""

    def __init__(self, origins: Collection[str]) -> None:
        self._origins = frozenset(origins)

    def refusal(self, scope: Scope, head: RequestHead) -> Response | None:
        """Return the answer to a request that would change something, None if it may go on."""
        if head.origin and self._is_foreign(head):
            return problem(
                HTTPStatus.FORBIDDEN,
                f"pages of {head.origin!r:.100} may not call this; name the origin in LIVEREC_CORS_ORIGINS",
            )
        if not head.has_body or _is_welcome(scope, head):
            return None
        return problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"Content-Type is {head.content_type!r:.100}; send JSON as application/json",
        )

    def _is_foreign(self, head: RequestHead) -> bool:
        if head.origin in self._origins or ANYBODY in self._origins:
            return False
        # Behind a proxy the host may be another one, but then the browser says whether the page is the service's own.
        return head.origin.partition("://")[2] != head.host and head.fetch_site != "same-origin"


def _is_welcome(scope: Scope, head: RequestHead) -> bool:
    if is_upload(scope["path"]) or (scope["method"] == "PUT" and is_of_items(scope["path"])):
        # The route looks at it.
        return True
    kind = head.content_type
    if not kind:
        return not head.origin and head.fetch_site not in OF_OTHERS
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))
