"""The audit asks a database of vulnerabilities, here one that this test serves, and never passes in silence."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from supply.exceptions import Exceptions

ROOT = Path(__file__).parents[2]
LOCK = "".join(f"{pin} --hash=sha256:{'ab' * 32}\n" for pin in ("some-package==1.2.0", "other==3.0"))
VULNERABILITY = {
    "id": "GHSA-aaaa-bbbb-cccc",
    "aliases": ["CVE-2026-12345"],
    "summary": "somebody else reads the files",
    "affected": [
        {
            "package": {"name": "some-package", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.2.1"}]}],
        }
    ],
}
EXCEPTION = """
[[exception]]
id = "{id}"
package = "{package}"
reason = "that part of it is never called"
until = {until}
"""


@contextmanager
def database(answers: dict[str, Any], status: int = 200) -> Iterator[str]:
    """A service that speaks OSV's protocol."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = json.dumps(answers.get(query["package"]["name"], {})).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/v1/query"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def audit(tmp_path: Path) -> Any:
    lock, exceptions = tmp_path / "lock.txt", tmp_path / "exceptions.toml"
    lock.write_text(LOCK, encoding="utf-8")

    def run(url: str, recorded: str = "", *flags: str) -> subprocess.CompletedProcess[str]:
        exceptions.write_text(recorded, encoding="utf-8")
        command = [sys.executable, "-m", "supply.audit", str(lock), "--exceptions", str(exceptions), "--database", url]
        return subprocess.run([*command, *flags], cwd=ROOT, capture_output=True, text=True, check=False)

    return run


def test_a_known_vulnerability_fails_and_is_named(audit: Any) -> None:
    with database({"some-package": {"vulns": [VULNERABILITY]}}) as url:
        finished = audit(url)
    assert finished.returncode == 1
    assert "VULNERABLE: some-package 1.2.0" in finished.stdout
    assert "CVE-2026-12345" in finished.stdout
    assert "fixed in 1.2.1" in finished.stdout


def test_nothing_known_passes_and_says_how_many_were_looked_up(audit: Any) -> None:
    with database({}) as url:
        finished = audit(url)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert finished.stdout == "audit: 2 packages, 0 open findings, 0 accepted\n"


@pytest.mark.parametrize("found", [{"id": "CVE-2026-12345"}, {"id": "GHSA-aaaa-bbbb-cccc"}])
def test_a_recorded_exception_is_accepted(audit: Any, found: dict[str, str]) -> None:
    recorded = EXCEPTION.format(package="Some_Package", until="2999-01-01", **found)
    with database({"some-package": {"vulns": [VULNERABILITY]}}) as url:
        finished = audit(url, recorded)
    assert finished.returncode == 0
    assert "0 open findings, 1 accepted" in finished.stdout


@pytest.mark.parametrize(
    "other", [{"id": "CVE-2026-99999", "package": "some-package"}, {"id": "CVE-2026-12345", "package": "other"}]
)
def test_an_exception_for_another_finding_accepts_nothing(audit: Any, other: dict[str, str]) -> None:
    with database({"some-package": {"vulns": [VULNERABILITY]}}) as url:
        finished = audit(url, EXCEPTION.format(until="2999-01-01", **other))
    assert finished.returncode == 1


def test_an_exception_whose_time_is_over_fails_whatever_is_found(audit: Any) -> None:
    recorded = EXCEPTION.format(id="CVE-2026-12345", package="some-package", until="2026-01-01")
    finished = audit("http://127.0.0.1:1/v1/query", recorded)
    assert finished.returncode == 1
    assert "ended on 2026-01-01" in finished.stdout


@pytest.mark.parametrize(("flags", "code"), [((), 0), (("--required",), 1)])
def test_a_database_out_of_reach_is_said_aloud(audit: Any, flags: tuple[str, ...], code: int) -> None:
    finished = audit("http://127.0.0.1:1/v1/query", "", *flags)
    assert finished.returncode == code
    assert "NOTHING WAS AUDITED" in finished.stdout
    assert "findings" not in finished.stdout


def test_a_database_that_refuses_is_out_of_reach(audit: Any) -> None:
    with database({}, status=403) as url:
        finished = audit(url)
    assert "NOTHING WAS AUDITED" in finished.stdout
    assert "403" in finished.stdout


@pytest.mark.parametrize("missing", ["id", "package", "reason", "until"])
def test_an_exception_says_what_why_and_until_when(tmp_path: Path, missing: str) -> None:
    whole = EXCEPTION.format(id="CVE-2026-12345", package="some-package", until="2027-01-01")
    recorded = tmp_path / "exceptions.toml"
    recorded.write_text(
        "\n".join(line for line in whole.splitlines() if not line.startswith(missing)), encoding="utf-8"
    )
    with pytest.raises(ValueError, match=missing):
        Exceptions.read(recorded)


def test_the_recorded_exceptions_can_be_read() -> None:
    Exceptions.read(ROOT / "requirements" / "audit-exceptions.toml")
