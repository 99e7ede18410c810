"""Key commands: `liverec keys`, which writes the file that LIVEREC_KEYS names."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import tomlkit
import typer
from rich.console import Console
from rich.table import Table
from tomlkit.items import AoT

from app.api_keys import MOST_KEYS, KeyEntry, KeyFile, Scope, check_rate, digest_of
from app.settings import check_tenant
from engine.atomic import atomic_file
from engine.errors import ConfigError

ID_BYTES, SECRET_BYTES = 8, 32
MOST_DAYS = 36_500.0
keys_cli = typer.Typer(no_args_is_help=True, help="The keys that let programs in, with what each may do.")
console = Console(stderr=True)
FilePath = Annotated[
    Path, typer.Option("--file", envvar="LIVEREC_KEYS", help="The file of keys; made if it is not there.")
]
Days = Annotated[float | None, typer.Option(min=0, max=MOST_DAYS, help="After how many days it ends.")]


@keys_cli.command()
def add(
    name: Annotated[str, typer.Argument(help="Whose key it is; metrics show it.")],
    scope: Annotated[list[Scope], typer.Option(help="What it may do. Repeatable; none implies another.")],
    file: FilePath,
    tenant: Annotated[str, typer.Option(help="In whose namespace it acts.")] = "",
    rate: Annotated[str | None, typer.Option(help="How much it may ask for: 100/second, 5000/minute.")] = None,
    days: Days = None,
) -> None:
    """Make a key, and print it: this once, for the file holds only a hash."""
    expires = None if days is None else datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)
    _check(check_tenant, "--tenant", tenant or None)
    _check(check_rate, "--rate", rate)
    secret = secrets.token_hex(SECRET_BYTES)
    try:
        entry = KeyEntry(
            name=name,
            id=secrets.token_hex(ID_BYTES),
            sha256=digest_of(secret.encode()).hex(),
            scopes=list(dict.fromkeys(scope)),
            tenant=tenant,
            rate=rate,
            expires=expires,
        )
    except ValueError as error:
        raise ConfigError(f"NAME is {name!r:.100}; use 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-'") from error
    _warn_of_tenant(tenant)
    with _changed(file) as keys:
        if any(each["name"] == name for each in keys):
            raise ConfigError(f"there is a key named {name}; choose another name, or use `liverec keys rotate`")
        _append(keys, entry)
    _show(entry, secret)


@keys_cli.command("list")
def show(file: FilePath) -> None:
    """Show the keys, without what is secret."""
    table = Table("name", "id", "scopes", "tenant", "rate", "expires")
    for each in KeyFile(file).entries():
        ends = _end(each)
        is_over = each.expires is not None and each.expires <= datetime.now(UTC)
        scopes = " ".join(each.scopes)
        table.add_row(each.name, each.id, scopes, each.tenant, each.rate or "", f"{ends}, over" if is_over else ends)
    Console().print(table)


@keys_cli.command()
def revoke(key_id: Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.")], file: FilePath) -> None:
    """Take a key away; within two seconds no worker knows it any more."""
    with _changed(file) as keys:
        place = _place(keys, key_id)
        _warn_of_tenant(str(keys[place].get("tenant", "")))
        del keys[place]
    console.print(f"{key_id} is revoked")


@keys_cli.command()
def rotate(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.")],
    file: FilePath,
    grace_days: Annotated[
        float, typer.Option(min=0, max=MOST_DAYS, help="For how many days the old one is good still.")
    ] = 7.0,
    days: Days = None,
) -> None:
    """Make another key that may do the same, print it, and let the old one end. The new one ends as the old one did."""
    now, secret = datetime.now(UTC).replace(microsecond=0), secrets.token_hex(SECRET_BYTES)
    with _changed(file) as keys:
        place = _place(keys, key_id)
        old = KeyEntry.model_validate(keys[place].unwrap())
        _check_rotation(old, [str(each["id"]) for each in keys[place + 1 :] if each["name"] == old.name], now)
        fresh = {"id": secrets.token_hex(ID_BYTES), "sha256": digest_of(secret.encode()).hex()}
        end = old.expires if days is None else now + timedelta(days=days)
        entry = old.model_copy(update={**fresh, "expires": end})
        ends = now + timedelta(days=grace_days)
        keys[place]["expires"] = ends if old.expires is None else min(ends, old.expires)
        _append(keys, entry)
    _show(entry, secret)


def _check_rotation(old: KeyEntry, later: list[str], now: datetime) -> None:
    if old.expires is None:
        return
    if old.expires <= now:
        raise ConfigError(f"{old.id} ended on {_end(old)}; make a new key with `liverec keys add`, and revoke this one")
    if later:
        raise ConfigError(
            f"{old.id} was rotated already and ends on {_end(old)}; rotate {later[-1]}, which took its place"
        )


@contextmanager
def _changed(file: Path) -> Iterator[Any]:
    """Give the tables of the file; on success they are written, whole or not at all, comments and all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        # Of two who change it at once, one would undo the other's work.
        fcntl.flock(folder, fcntl.LOCK_EX)
        keys_file = KeyFile(file)
        if file.exists():
            keys_file.entries()
        document = tomlkit.parse(keys_file.text() if file.exists() else "")
        if not isinstance(document.get("keys"), AoT):
            # A table that is added to an array in one line would make it no TOML.
            tables = tomlkit.aot()
            for each in document.pop("keys", []):
                tables.append(tomlkit.item(each.unwrap()))
            document.append("keys", tables)
        yield document["keys"]
        if not document["keys"]:
            document.pop("keys")
        _write(file, tomlkit.dumps(document))
    finally:
        os.close(folder)


def _write(file: Path, text: str) -> None:
    KeyFile(file).entries_of(text)
    with atomic_file(file) as temporary:
        # Nobody else may read it, not even for a moment; but who may read the old one may read the new one.
        temporary.touch(0o600)
        if file.exists():
            status = file.stat()
            os.chown(temporary, status.st_uid, status.st_gid)
            temporary.chmod(stat.S_IMODE(status.st_mode))
        temporary.write_text(text)


def _append(keys: Any, entry: KeyEntry) -> None:  # noqa: ANN401 (a part of tomlkit's document)
    if len(keys) >= MOST_KEYS:
        raise ConfigError(f"there are {len(keys)} keys, and {MOST_KEYS} are allowed; revoke those that are over")
    values = entry.model_dump(exclude_defaults=True) | {"scopes": [each.value for each in entry.scopes]}
    keys.append(tomlkit.item(values))


def _place(keys: Any, key_id: str) -> int:  # noqa: ANN401 (a part of tomlkit's document)
    place = next((place for place, each in enumerate(keys) if each["id"] == key_id), None)
    if place is None:
        raise ConfigError(f"there is no key with the id {key_id[:40]!r}; see `liverec keys list`")
    return place


def _check(check: Any, option: str, text: str | None) -> None:  # noqa: ANN401 (any of two)
    try:
        if text is not None:
            check(text)
    except ValueError as error:
        raise ConfigError(f"{option} is {text!r:.100}; {error}") from error


def _show(entry: KeyEntry, secret: str) -> None:
    may = ", ".join(entry.scopes)
    console.print(f"{entry.name} ({entry.id}) may: {may}. It ends: {_end(entry)}. Keep it, it is not shown again:")
    # Alone on the standard output, so that a script can take it.
    typer.echo(f"liverec_{entry.id}_{secret}")


def _end(entry: KeyEntry) -> str:
    return "never" if entry.expires is None else f"{entry.expires.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _warn_of_tenant(tenant: str) -> None:
    given = os.environ.get("LIVEREC_TENANTS")
    if not tenant or not given:
        return
    with suppress(ValueError, TypeError):
        if tenant in json.loads(given):
            return
    console.print(f"LIVEREC_TENANTS here does not name {tenant}: a service with these settings lets the key do nothing")
