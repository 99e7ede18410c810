"""The calls by curl, run as people run them, against a real service."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest
from served import served

SCRIPT = Path(__file__).parents[2] / "examples" / "curl.sh"
CALL = re.compile(r"^\d{3} (GET|POST|PUT|PATCH|DELETE) (/[^?\s]*)", re.MULTILINE)


def run(url: str) -> subprocess.CompletedProcess[str]:
    command = ["sh", str(SCRIPT)]
    return subprocess.run(command, env=os.environ | {"LIVEREC_URL": url}, capture_output=True, text=True)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_every_endpoint_is_called(url: str) -> None:
    finished = run(url)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    called = CALL.findall(finished.stdout)
    for path, methods in httpx.get(f"{url}/openapi.json").json()["paths"].items():
        pattern = re.compile(re.sub(r"\{[^}]*\}", "[^/]+", path))
        for method in methods:
            assert any(name == method.upper() and pattern.fullmatch(each) for name, each in called), (method, path)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_a_bundle_without_content_will_do(tiny_bundle: Path, tmp_path: Path) -> None:
    with served(tiny_bundle, tmp_path) as address:
        finished = run(address)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "409 POST /items" in finished.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_a_refusal_ends_it(url: str) -> None:
    finished = run(f"{url}/nothing")
    assert finished.returncode == 1
    assert "answered 404" in finished.stderr
