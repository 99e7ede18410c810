"""Bulk routes: many events in one request, whose answer tells how far they have come."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict
from starlette.requests import ClientDisconnect

from app.body_budget import RefusedBodyError
from app.bulk_answer import BulkAnswer
from app.bulk_event import BulkEvent
from app.bulk_lines import NDJSON, BulkLines
from app.bulk_parquet import PARQUET, BulkParquet, can_read_parquet
from app.bulk_report import BulkReport
from app.bulk_rows import BulkRows
from app.bulk_upload import BulkUpload, OnError
from app.problems import PROBLEM, problem
from app.routes import Service
from app.timed_route import WriteRoute

Responses = dict[int | str, dict[str, Any]]
UPLOADS: Responses = {
    200: {
        "description": "A report on each line; all that it counts is on disk. The last says `done`, or what is wrong",
        "content": {NDJSON: {"schema": BulkReport.model_json_schema()}},
    },
    408: {"description": "The body stalled before anything of it was written", **PROBLEM},
    409: {"description": "An event_id was used before for another event", **PROBLEM},
    413: {"description": "The Parquet file is too large", **PROBLEM},
    415: {
        "description": "The body is said to be neither NDJSON nor Parquet, or Parquet cannot be read here",
        **PROBLEM,
    },
    422: {"description": "An event is malformed or impossible; those before it are written", **PROBLEM},
    429: {"description": "This worker has as many uploads under way as it may; try again", **PROBLEM},
    503: {"description": "The events could not be stored; send them again", **PROBLEM},
}
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            NDJSON: {"schema": BulkEvent.model_json_schema()},
            PARQUET: {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
INSTALL = "Parquet cannot be read here; send application/x-ndjson, or `pip install 'liverec[parquet]'` where it runs"
bulk_router = APIRouter(tags=["feedback"], route_class=WriteRoute)


class BulkOptions(BaseModel):
    """The query of POST /events/bulk."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    on_error: OnError = "stop"
    """What to do about a line that is wrong: `stop` there, or `skip` it and go on."""


@bulk_router.put("/events/bulk", response_class=Response, responses=UPLOADS, include_in_schema=False)
@bulk_router.post("/events/bulk", response_class=Response, responses=UPLOADS, openapi_extra=BODY)
async def bulk(request: Request, serving: Service, query: Annotated[BulkOptions, Query()]) -> Response:
    """Write any number of ratings and other feedback, read as they come: one JSON object on each line, or Parquet.

    Each counts as if it had been sent to POST /rate or POST /feedback, and once, however often the upload is repeated.
    PUT does the same as POST.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in (NDJSON, PARQUET):
        return problem(415, f"Content-Type is {kind!r:.100}; send {NDJSON} or {PARQUET}")
    if kind == PARQUET and not can_read_parquet():
        return problem(415, INSTALL)
    rows: BulkRows = BulkLines(request.stream())
    if kind == PARQUET:
        rows = BulkParquet(request, serving.settings.max_upload_bytes)
    reports = BulkUpload(rows, serving.bulk, query.on_error).reports()
    try:
        # What goes wrong at once gets a status of its own.
        return BulkAnswer(await anext(reports), reports)
    except RefusedBodyError as error:
        return error.answer
    except ClientDisconnect:
        return problem(408, "the body did not come to its end")
