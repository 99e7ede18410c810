"""Traffic: what is sent, as a list that wrk and the open loop read alike."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

USERS, EVENTS, ZIPF = 2_000, 60, 1.1
LUA = """
local requests, at = {{}}, 0
for line in io.lines({path!r}) do
  local method, path, body = line:match("^(%S+) (%S+) ?(.*)$")
  local headers = body ~= "" and {{["Content-Type"] = "application/json"}} or {{}}
  requests[#requests + 1] = wrk.format(method, path, headers, body ~= "" and body or nil)
end
request = function()
  at = at % #requests + 1
  return requests[at]
end
done = function(summary, latency)
  local failed = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write
  io.write(string.format("RESULT %d %d %d %d %d\\n", summary.requests, summary.duration,
    failed + summary.errors.timeout, latency:percentile(50),
    latency:percentile(99)))
end
"""


@dataclass(frozen=True, slots=True)
class Sent:
    """One request."""

    method: str
    path: str
    body: str = ""

    def line(self) -> str:
        return f"{self.method} {self.path} {self.body}"


def get(path: str) -> Sent:
    return Sent("GET", path)


def post(path: str, body: object) -> Sent:
    return Sent("POST", path, json.dumps(body, separators=(",", ":")))


def users(count: int, random: np.random.Generator) -> list[str]:
    """Return who asks: few ask often (Zipf's law)."""
    weights = 1.0 / np.arange(1, USERS + 1) ** ZIPF
    return [f"u{each}" for each in random.choice(USERS, count, p=weights / weights.sum()).tolist()]


def histories(item_ids: list[str], random: np.random.Generator) -> Iterable[list[dict[str, Any]]]:
    """Yield the ratings of each user."""
    for user in range(USERS):
        rated = random.choice(len(item_ids), min(EVENTS, len(item_ids)), replace=False).tolist()
        yield [{"user_id": f"u{user}", "item_id": item_ids[each], "rating": 1 + each % 5} for each in rated]


def recommend(user: str, **options: object) -> Sent:
    query = "&".join(f"{name}={quote(str(value))}" for name, value in options.items())
    return get(f"/recommend/{user}" + (f"?{query}" if query else ""))


def rating(user: str, item_id: str, value: int) -> Sent:
    return post("/rate", {"user_id": user, "item_id": item_id, "rating": value})


def write(requests: Iterable[Sent], folder: Path) -> tuple[Path, Path]:
    """Write requests as lines, and the script with which wrk reads them."""
    lines, script = folder / "requests.txt", folder / "requests.lua"
    lines.write_text("".join(each.line() + "\n" for each in requests))
    script.write_text(LUA.format(path=str(lines)))
    return lines, script


def read(lines: Path) -> list[dict[str, str]]:
    parts = (line.rstrip("\n").split(" ", 2) for line in lines.open())
    return [asdict(Sent(*each)) for each in parts]
