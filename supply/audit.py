"""Audit: `python -m supply.audit` asks whether what is locked has known vulnerabilities."""

from __future__ import annotations

import json
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass
from datetime import date
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from supply.exceptions import Exceptions

DATABASE = "https://api.osv.dev/v1/query"
LOCKS = tuple(Path("requirements", f"{name}.txt") for name in ("build", "service", "trainer", "torch"))
EXCEPTIONS = Path("requirements", "audit-exceptions.toml")
REACH_SECONDS = 5.0
AUDIT_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Finding:
    """A package's known vulnerability."""

    package: str
    version: str
    ids: tuple[str, ...]
    fixed_in: tuple[str, ...]

    def __str__(self) -> str:
        remedy = f"fixed in {', '.join(self.fixed_in)}" if self.fixed_in else "no fix is known"
        return f"{self.package} {self.version}: {' '.join(self.ids)}; {remedy}"


@dataclass(frozen=True, slots=True)
class Audit:
    """What pip-audit says of the locks; `skipped` are packages that it could not look up, each with its reason."""

    packages: int
    findings: tuple[Finding, ...]
    skipped: tuple[str, ...]

    @classmethod
    def of(cls, locks: list[Path], database: str) -> Audit:
        """Run pip-audit; raises RuntimeError if it breaks off."""
        command = [sys.executable, "-m", "pip_audit", "--require-hashes", "--disable-pip", "--progress-spinner=off"]
        command += ["--vulnerability-service=osv", f"--osv-url={database}", "--format=json"]
        command += [part for lock in locks for part in ("--requirement", str(lock))]
        finished = subprocess.run(  # nosec B603 # its arguments are those of this very command
            command, capture_output=True, text=True, check=False, timeout=AUDIT_SECONDS
        )
        if not finished.stdout.startswith("{"):
            raise RuntimeError(f"pip-audit broke off:\n{finished.stderr[-2000:]}")
        dependencies: list[dict[str, Any]] = json.loads(finished.stdout)["dependencies"]
        skipped = [f"{each['name']}: {each['skip_reason']}" for each in dependencies if "skip_reason" in each]
        findings = [finding for each in dependencies for finding in _findings(each)]
        return cls(len(dependencies) - len(skipped), tuple(findings), tuple(skipped))


def _findings(dependency: dict[str, Any]) -> list[Finding]:
    return [
        Finding(dependency["name"], dependency["version"], (each["id"], *each["aliases"]), tuple(each["fix_versions"]))
        for each in dependency.get("vulns", [])
    ]


def main() -> int:
    """Return 1 for a finding that is not accepted, an exception whose time is over, or a package that has no entry."""
    options = _options()
    exceptions = Exceptions.read(options.exceptions)
    if expired := exceptions.expired(date.today()):
        for each in expired:
            print(f"audit: the exception for {each.id} of {each.package} ended on {each.until}; look at it again")
        return 1
    if problem := _unreachable(options.database):
        print(f"audit: NOTHING WAS AUDITED: {options.database} cannot be reached ({problem})")
        return int(options.required)
    return _report(Audit.of(options.locks, options.database), exceptions)


def _options() -> Namespace:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("locks", nargs="*", type=Path, default=list(LOCKS))
    parser.add_argument("--exceptions", type=Path, default=EXCEPTIONS)
    parser.add_argument("--database", default=DATABASE, help="an OSV API; https://api.osv.dev/v1/query by default")
    parser.add_argument("--required", action="store_true", help="fail where the database cannot be reached")
    return parser.parse_args()


def _unreachable(database: str) -> str:
    if not database.startswith(("https://", "http://")):
        return "it is no http URL"
    body = json.dumps({"package": {"name": "pip", "ecosystem": "PyPI"}, "version": "1.0"}).encode()
    try:
        with urlopen(Request(database, body), timeout=REACH_SECONDS) as response:  # noqa: S310  # nosec B310 # as above
            json.load(response)
    except (OSError, HTTPException, ValueError) as error:
        return str(error)
    return ""


def _report(audit: Audit, exceptions: Exceptions) -> int:
    accepted = [each for each in audit.findings if exceptions.accept(each.package, frozenset(each.ids))]
    open_findings = [each for each in audit.findings if each not in accepted]
    for skipped in audit.skipped:
        print(f"audit: NOT AUDITED: {skipped}")
    for finding in open_findings:
        print(f"audit: VULNERABLE: {finding}")
    print(f"audit: {audit.packages} packages, {len(open_findings)} open findings, {len(accepted)} accepted")
    return int(bool(open_findings or audit.skipped))


if __name__ == "__main__":
    sys.exit(main())
