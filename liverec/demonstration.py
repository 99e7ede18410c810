"""The demonstration: the whole product in one command. Training and loading run in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

from rich.console import Console
from rich.markup import escape

from app.server import Server
from engine.errors import LiverecError

USER_ID = "42"
console = Console(stderr=True)


def demo(port: int, workers: int, cache: Path) -> None:
    """Train unless a bundle is there, put the histories into the store, serve, and say what to try."""
    server = Server.of({"port": port, "workers": workers})
    server.check_address()
    options = ["--cache", str(cache)]
    bundle = server.settings.bundle
    if bundle.exists():
        console.print(f"serving the bundle in {bundle}; delete it to train anew")
    else:
        _liverec("train", "--out", str(bundle), *options)
    server.run(lambda url: _liverec("load", *options, REDIS_URL=url), announce)


def announce(url: str) -> None:
    """Print three calls that show a rating count, with an item that is recommended right now."""
    # Without a handler for proxies: the address is our own.
    with build_opener(ProxyHandler({})).open(f"{url}/recommend/{USER_ID}?n=3") as answer:
        best = json.load(answer)["items"][0]
    rating = json.dumps({"user_id": USER_ID, "item_id": best["item_id"], "rating": 5})
    title = best["metadata"].get("title", best["item_id"])
    console.print(f"\n[b]liverec is up at {url}[/b] (docs: {url}/docs)")
    console.print(
        f"User {USER_ID} is recommended {escape(repr(title))} first. Rate it, and see the very next answer change:\n"
    )
    sys.stdout.write(
        f"curl -s '{url}/recommend/{USER_ID}?n=3'\n"
        f"curl -s {url}/rate -H 'content-type: application/json' -d '{rating}'\n"
        f"curl -s '{url}/recommend/{USER_ID}?n=3&explain=true'\n\n"
    )
    sys.stdout.flush()
    console.print("Ctrl-C stops everything.")


def _liverec(*arguments: str, **environment: str) -> None:
    command = [sys.executable, "-m", "liverec", *arguments]
    finished = subprocess.run(command, env=os.environ | environment, check=False)  # nosec B603 # this very program
    if finished.returncode:
        raise LiverecError(f"`liverec {arguments[0]}` failed; its message stands above")
