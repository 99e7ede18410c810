"""Retries: which calls are sent again, when, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    stop_before_delay,
    wait_random_exponential,
)

from liverec.client.errors import TooMany, TransportError, Unavailable

PASSING = (TransportError, TooMany, Unavailable)
"""What may pass. Any call may be sent again: events have ids, the rest done twice is as good as done once."""


@dataclass(frozen=True, slots=True)
class Retries:
    """How hard the client tries. Retry-After is honoured, and some jitter added, so that not all come back at once."""

    attempts: int = 4
    """How often a call is sent at most; 1 sends it once."""
    first_wait: float = 0.1
    """The wait before the second attempt is 0 to this many seconds; each further one may be twice as long."""
    longest_wait: float = 2.0
    """Seconds; Retry-After may ask for longer."""
    deadline: float = 15.0
    """Seconds from the start of a call after which no attempt begins, and none that began is waited for."""

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError(f"attempts: {self.attempts} sends nothing; 1 sends each call once")
        if self.deadline <= 0:
            raise ValueError(f"deadline: {self.deadline} leaves no time; give the seconds that a call may take")

    def around(self) -> Retrying:
        """Return what repeats a function."""
        return Retrying(**self._policy())

    def around_coroutine(self) -> AsyncRetrying:
        """Return what repeats a coroutine function."""
        return AsyncRetrying(**self._policy())

    def _policy(self) -> dict[str, Any]:
        return {
            "retry": retry_if_exception_type(PASSING),
            "wait": _AfterWhatWasAsked(self.first_wait, self.longest_wait),
            "stop": stop_after_attempt(self.attempts) | stop_before_delay(self.deadline),
            "reraise": True,
        }


DEFAULT_RETRIES = Retries()


class _AfterWhatWasAsked(wait_random_exponential):
    """Full jitter, after the Retry-After of the answer if it had one."""

    def __init__(self, first: float, most: float) -> None:
        super().__init__(multiplier=first, max=most)

    def __call__(self, retry_state: RetryCallState) -> float:
        error = retry_state.outcome and retry_state.outcome.exception()
        return (getattr(error, "retry_after", None) or 0.0) + super().__call__(retry_state)
