"""What every refused request must look like."""

from __future__ import annotations

import httpx

PROBLEM = "application/problem+json"


def check(response: httpx.Response, status: int, *words: str) -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == PROBLEM
    problem = response.json()
    assert problem["status"] == status
    for word in words:
        assert word in problem["detail"], problem
