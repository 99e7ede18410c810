"""Finding: what a check looked at, and what was wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SHOWN = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One check. `examples` are the first that are wrong; `wrong` counts all of them."""

    check: str
    looked_at: int
    wrong: int = 0
    examples: tuple[str, ...] = ()

    @classmethod
    def of(cls, check: str, looked_at: int, wrong: Sequence[str]) -> Finding:
        """Return a finding with the first examples."""
        return cls(check, looked_at, len(wrong), tuple(wrong[:SHOWN]))
