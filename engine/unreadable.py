"""What a library says of a file that it cannot read becomes a BundleError that names the file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.errors import BundleError


@contextmanager
def unreadable(name: str | Path, remedy: str = "copy or train the bundle again") -> Iterator[None]:
    """Raise BundleError for whatever fails inside, naming the file; a BundleError passes as it is."""
    try:
        yield
    except BundleError:
        raise
    except Exception as error:  # a bundle is untrusted: any reader may fail in any way
        said = (str(error) or "no reason given").splitlines()[0]
        raise BundleError(f"{name} cannot be used ({type(error).__name__}: {said:.200}); {remedy}") from error


@contextmanager
def named(name: str | Path) -> Iterator[None]:
    """Put the name of a file before what a BundleError from inside says."""
    try:
        yield
    except BundleError as error:
        raise BundleError(f"{name}: {error}") from error
