"""`liverec bundle`: keys, signatures, and what a bundle proves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError
from rich.console import Console

from engine.bundle import Bundle
from engine.bundle_folder import BundleFolder
from engine.bundle_key import BundleKey
from engine.bundle_proof import prove_apart
from engine.bundle_signature import PublicKey
from engine.errors import BundleError, ConfigError

console = Console(stderr=True)
bundle_cli = typer.Typer(no_args_is_help=True, help="Sign bundles, and have them prove themselves.")
BundleArgument = Annotated[Path, typer.Argument(metavar="BUNDLE", help="The bundle folder.")]
KeyFile = Annotated[Path, typer.Option("--key", help="The private key, a file that `liverec bundle keygen` wrote.")]
PublicKeys = Annotated[
    list[str] | None,
    typer.Option("--public-key", help="One of these must have signed it: 64 hex digits. Repeatable."),
]


@bundle_cli.command()
def keygen(
    out: Annotated[Path, typer.Argument(metavar="FILE", help="The new private key, which must not exist.")],
) -> None:
    """Make a key to sign bundles with: the private one into a file, the public one to the standard output."""
    key = BundleKey.generate()
    key.write(out)
    typer.echo(f"{out} is the private key; LIVEREC_BUNDLE_PUBLIC_KEYS='[\"{key.public_key}\"]' trusts it", err=True)
    typer.echo(key.public_key)


@bundle_cli.command()
def sign(bundle: BundleArgument, key: KeyFile) -> None:
    """Check every byte of a bundle, and write manifest.sig into it, in the place of any that is there."""
    signer = BundleKey.read(key)
    BundleFolder.sign(bundle, signer)
    console.print(f"{bundle} is signed by {signer.public_key}")


@bundle_cli.command()
def verify(bundle: BundleArgument, public_key: PublicKeys = None) -> None:
    """Open a bundle as the service does, have it recompute its probe, and say what was found.

    A process of its own tries it first, with bounded memory and time: no bundle ends this one.
    """
    keys = checked_keys(public_key or [])
    version = prove_apart(bundle, keys)
    opened = Bundle.open(bundle, keys)
    if opened.model_version != version:
        raise BundleError(f"{bundle} was replaced while it was proven; verify it again")
    reads = "reads new items" if opened.items_content is not None else "knows items by their events alone"
    signed_by = BundleFolder.open(bundle).signed_by
    typer.echo(f"model version  {opened.model_version}")
    typer.echo(f"made           {opened.manifest.created_at} by liverec {opened.manifest.liverec_version}")
    typer.echo(f"signed by      {signed_by or 'nobody'}{_trust(signed_by, public_key)}")
    typer.echo(f"files          {len(opened.manifest.files)}, all as their digests say")
    typer.echo(f"items          {len(opened.items):,}; {reads}")
    typer.echo(f"probe          {len(opened.probe.cases)} of {len(opened.probe.cases)} answers recomputed")


@contextmanager
def sign_with(key: Path | None, bundle: Path) -> Iterator[None]:
    """Sign the bundle that is made inside; a key that cannot be used is found before."""
    signer = BundleKey.read(key) if key is not None else None
    yield
    if signer is not None:
        BundleFolder.sign(bundle, signer)
        console.print(f"it is signed by {signer.public_key}")


def checked_keys(public_keys: list[str]) -> tuple[str, ...]:
    """Return the keys; raises ConfigError that names one that is none."""
    try:
        return TypeAdapter(tuple[PublicKey, ...]).validate_python(public_keys)
    except ValidationError as error:
        wrong = error.errors()[0]["input"]
        raise ConfigError(f"--public-key {wrong!r:.100}: it must be 64 hex digits in lower case") from error


def _trust(signed_by: str | None, public_key: list[str] | None) -> str:
    if signed_by is None:
        return ""
    return ", as asked" if public_key else " (give --public-key to say whom you trust)"
