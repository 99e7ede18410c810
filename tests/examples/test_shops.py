"""Both shops, run as people run them, against a real service; and without one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from served import free_port, wait_for

EXAMPLES = Path(__file__).parents[2] / "examples"
COMMANDS = {
    "fastapi": ["-m", "uvicorn", "--app-dir", str(EXAMPLES), "fastapi_shop:app", "--log-level", "warning", "--port"],
    "django": [str(EXAMPLES / "django_shop.py"), "runserver", "--noreload"],
}


@contextmanager
def opened(kind: str, service: str) -> Iterator[httpx.Client]:
    port = str(free_port())
    environment = os.environ | {"LIVEREC_URL": service, "PYTHONPATH": str(EXAMPLES.parent)}
    with subprocess.Popen([sys.executable, *COMMANDS[kind], port], env=environment) as process:
        try:
            wait_for(f"http://127.0.0.1:{port}/", process)
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", follow_redirects=True, timeout=30) as visitor:
                yield visitor
        finally:
            process.terminate()


@pytest.fixture(params=list(COMMANDS))
def shop(request: pytest.FixtureRequest, url: str) -> Iterator[httpx.Client]:
    with opened(request.param, url) as visitor:
        yield visitor


def titles(page: httpx.Response) -> list[str]:
    return [title.strip() for title in re.findall(r"<a href=[^>]*>([^<]*)</a>", page.text)]


def like(shop: httpx.Client, item_id: str) -> httpx.Response:
    page = shop.get("/product", params={"id": item_id})
    form = re.search(r'action="([^"]*)"', page.text)
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
    return shop.post(unescape(form[1]), data={"csrfmiddlewaretoken": token[1]} if token else {})


def test_a_like_changes_the_next_home_page(shop: httpx.Client) -> None:
    assert len(titles(shop.get("/"))) == 10
    for number in range(1, 12, 2):
        home = like(shop, f"item {number}")
    assert home.status_code == 200
    assert home.url.path == "/"
    assert [title.split()[0] for title in titles(home)] == ["Musical"] * 10
    assert "Musical item 1" not in titles(home)
    assert titles(shop.get("/")) == titles(home)


def test_a_product_shows_what_is_like_it(shop: httpx.Client, url: str) -> None:
    shop.get("/")
    page = shop.get("/product", params={"id": "item 4"})
    assert "<h1>Western item 4</h1>" in page.text
    assert [title.split()[0] for title in titles(page)] == ["Western"] * 5
    assert shop.get("/product", params={"id": "<nowhere>"}).status_code == 404


def test_ids_and_titles_are_escaped(shop: httpx.Client, url: str) -> None:
    odd = {"item_id": 'a/b?<i>"&', "title": "<b>Owl</b>", "categories": ["Western"], "year": 1990}
    httpx.post(f"{url}/items", json=odd).raise_for_status()
    shop.get("/")
    page = shop.get("/product", params={"id": odd["item_id"]})
    assert page.status_code == 200
    assert "<b>" not in page.text
    assert "<i>" not in page.text
    assert like(shop, odd["item_id"]).status_code == 200
    # Others look at what is like a Western.
    httpx.delete(f"{url}/items/{quote(odd['item_id'], safe='')}").raise_for_status()


@pytest.mark.parametrize("kind", list(COMMANDS))
def test_the_shop_stays_up_without_the_service(kind: str) -> None:
    with opened(kind, f"http://127.0.0.1:{free_port()}") as visitor:
        page = visitor.get("/")
    assert page.status_code == 200
    assert "Nothing just now" in page.text
