"""Exceptions: the known vulnerabilities that are accepted for a while, and why."""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path
from typing import Self

from packaging.utils import canonicalize_name
from pydantic import BaseModel, ConfigDict, Field


class AcceptedRisk(BaseModel):
    """One vulnerability of one package that does not fail the audit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(min_length=5)
    """As the audit names it, or one of its aliases: CVE-…, GHSA-…, PYSEC-…"""
    package: str = Field(min_length=1)
    reason: str = Field(min_length=20)
    """Why it does not matter here."""
    until: date
    """The last day on which it is accepted."""

    def covers(self, package: str, ids: frozenset[str]) -> bool:
        """Return whether a finding with these ids is this one."""
        return canonicalize_name(self.package) == canonicalize_name(package) and self.id in ids


class Exceptions(BaseModel):
    """The file that records them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    exception: tuple[AcceptedRisk, ...] = ()

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises ValueError that names the field which is missing or wrong."""
        return cls.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))

    def expired(self, today: date) -> list[AcceptedRisk]:
        """Return those whose time is over."""
        return [each for each in self.exception if each.until < today]

    def accept(self, package: str, ids: frozenset[str]) -> bool:
        """Return whether a finding is accepted."""
        return any(each.covers(package, ids) for each in self.exception)
