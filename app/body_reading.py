"""BodyReading: reads a body whole before anything works on it, unless it is not wanted."""

from __future__ import annotations

from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.access import ScopeTable
from app.admission import crowded, waits_for_turns
from app.api_keys import API_KEY
from app.body_budget import BodyBudget, RefusedBodyError
from app.body_sizes import BodySizes, is_of_items, is_upload
from app.held_body import ClientGoneError, HeldBody
from app.page_guard import PageGuard
from app.permits import Permits
from app.problems import RETRY_SECONDS, problem
from app.request_head import RequestHead
from app.settings import Settings

SAFE = ("GET", "HEAD")
BODIES_PER_PERMIT = 4


class BodyReading:
    """Answers 413 to a body over the limit, whether or not the client declared its size, and 429 without room for it.

    What no route takes is passed on with its body unread. While a body arrives, its request holds no permit.
    """

    def __init__(self, app: ASGIApp, settings: Settings, permits: Permits, table: ScopeTable) -> None:
        self._app = app
        self._sizes = BodySizes.of(settings)
        self._permits = permits
        self._table = table
        self._guard = PageGuard(settings.cors_origins)
        bodies = BODIES_PER_PERMIT * settings.max_concurrency
        # Large items must not keep ratings out.
        self._items = BodyBudget(settings.max_bodies_bytes, bodies)
        self._others = BodyBudget(settings.max_bodies_bytes, bodies)
        self._uploads = Permits(settings.max_uploads)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] in SAFE or not self._table.takes(scope["method"], scope["path"]):
            await self._app(scope, receive, send)
            return
        head = RequestHead.of(scope["headers"])
        if refusal := self._guard.refusal(scope, head):
            await refusal(scope, receive, send)
        elif is_upload(scope["path"]):
            await self._pass_upload(scope, receive, send)
        elif head.has_body:
            await self._read_and_pass(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _pass_upload(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass it on unread. It may take hours: it has a place of its own, and no permit."""
        if not self._uploads.has_room():
            detail = f"{self._uploads.most} uploads are under way in this worker (LIVEREC_MAX_UPLOADS); try again"
            refusal = problem(HTTPStatus.TOO_MANY_REQUESTS, detail, {"Retry-After": RETRY_SECONDS})
            await refusal(scope, receive, send)
            return
        self._uploads.take()
        self._permits.give(is_done=False)
        try:
            await self._app(scope, receive, send)
        finally:
            self._permits.take()
            self._uploads.give()

    async def _read_and_pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        budget = self._items if is_of_items(scope["path"]) else self._others
        held = HeldBody(budget, self._sizes.most(scope["method"], scope["path"]))
        try:
            try:
                await self._read(held, scope, receive)
            except ClientGoneError:
                return
            except RefusedBodyError as error:
                await error.answer(scope, receive, send)
                return
            await self._app(scope, _replay(held.taken(), receive), send)
        finally:
            held.release()

    async def _read(self, held: HeldBody, scope: Scope, receive: Receive) -> None:
        with held.budget.arrival(scope.get(API_KEY)):
            is_patient = waits_for_turns(scope["path"])
            self._permits.give(is_patient=is_patient, is_done=False)
            try:
                await held.read(receive)
            finally:
                is_crowded = not self._permits.has_room(is_patient=is_patient)
                self._permits.take(is_patient=is_patient)
        if is_crowded:
            raise RefusedBodyError(crowded(self._permits))


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def once() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return once
