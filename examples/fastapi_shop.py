"""A small shop on FastAPI whose lists come from a running service.

    pip install 'liverec[client]' fastapi uvicorn
    LIVEREC_URL=http://127.0.0.1:8000 uvicorn --app-dir examples fastapi_shop:app --port 8080

A home page with a list for the visitor, a page for each product with what is like it, and a button that likes it: the
next home page knows. Where the service is away, the home page stays up without a list.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from html import escape
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Cookie, FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from liverec.client import AnswerItem, AsyncClient, LiverecClientError, NotFound, SimilarItem


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Hold one client, and so one pool of connections, for as long as the shop is open."""
    url = os.environ.get("LIVEREC_URL", "http://127.0.0.1:8000")
    async with AsyncClient(url, api_key=os.environ.get("LIVEREC_API_KEY")) as client:
        app.state.liverec = client
        yield


app = FastAPI(lifespan=lifespan)
Visitor = Annotated[str | None, Cookie()]


@app.get("/")
async def home(request: Request, visitor: Visitor = None) -> HTMLResponse:
    """Show the list for the visitor."""
    visitor = visitor or f"visitor-{uuid.uuid4().hex}"
    try:
        answer = await request.app.state.liverec.recommend(visitor, n=10, deadline_ms=200)
        page = _page("For you", answer.items)
    except LiverecClientError:
        page = HTMLResponse("<h1>For you</h1><p>Nothing just now.</p>")
    page.set_cookie("visitor", visitor, httponly=True, samesite="lax")
    return page


@app.get("/product")
async def product(request: Request, id: str, visitor: Visitor = None) -> HTMLResponse:
    """Show a product and what is like it; that it was looked at counts."""
    liverec: AsyncClient = request.app.state.liverec
    try:
        item = await liverec.item(id)
        similar = await liverec.similar(id, n=5)
    except NotFound:
        return HTMLResponse("<h1>No such product</h1>", 404)
    if visitor:
        await liverec.feedback(visitor, id, "view")
    button = f'<form method="post" action="/like?{_query(id)}"><button>Like</button></form>'
    return _page(str(item.metadata.get("title", id)), similar.items, button)


@app.post("/like")
async def like(request: Request, id: str, visitor: Visitor = None) -> RedirectResponse:
    """Like a product, and go home, where the list already knows."""
    if visitor:
        await request.app.state.liverec.feedback(visitor, id, "like")
    return RedirectResponse("/", 303)


def _page(title: str, items: Sequence[AnswerItem | SimilarItem], more: str = "") -> HTMLResponse:
    lines = "".join(
        f'<li><a href="/product?{_query(item.item_id)}">'
        f"{escape(str(item.metadata.get('title', item.item_id)))}</a></li>"
        for item in items
    )
    return HTMLResponse(f"<h1>{escape(title)}</h1>{more}<ol>{lines}</ol>")


def _query(item_id: str) -> str:
    return urlencode({"id": item_id})
