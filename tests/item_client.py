"""What tests ask of a service about items."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from urllib.parse import quote


def new(near: int | None = 8, **more: object) -> dict[str, object]:
    metadata = {} if near is None else {"near": f"item {near}"}
    return {"item_id": f"new {uuid.uuid4().hex}", "metadata": metadata, **more}


def post(service, *items: dict[str, object]) -> dict[str, object]:
    answer = service.http.post("/items", json=list(items))
    assert answer.status_code == 200, answer.text
    return answer.json()


def admirer(service, of: int = 8) -> str:
    """A user who likes one place of the ring."""
    user_id = uuid.uuid4().hex
    rating = {"user_id": user_id, "item_id": f"item {of}", "rating": 5}
    service.http.post("/rate", json=rating).raise_for_status()
    return user_id


def answered(service, user_id: str, n: int = 500) -> list[str]:
    answer = service.http.get(f"/recommend/{quote(user_id)}", params={"n": n}).json()
    return [item["item_id"] for item in answer["items"]]


def eventually(holds: Callable[[], bool], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def path(item_id: object, further: str = "") -> str:
    return f"/items/{quote(str(item_id), safe='')}{further}"
