"""KeyRing: a file of API keys, and the keys themselves."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

SCOPES = ("read", "write", "admin", "metrics")


@dataclass
class KeyRing:
    """Keys in a TOML file; each change replaces the file, as `liverec keys` does."""

    path: Path
    tables: dict[str, str] = field(default_factory=dict)

    def add(self, *scopes: str, tenant: str = "", name: str = "", rate: str = "", expires: str = "") -> str:
        """Return the text of a new key; `expires` as TOML spells it."""
        key_id, secret = secrets.token_hex(8), secrets.token_hex(32)
        values = {"name": name or f"k-{key_id}", "id": key_id, "sha256": hashlib.sha256(secret.encode()).hexdigest()}
        values |= {key: text for key, text in (("tenant", tenant), ("rate", rate)) if text}
        lines = [f"{key} = {json.dumps(text)}" for key, text in values.items()]
        lines += [f"scopes = {json.dumps(scopes)}"] + ([f"expires = {expires}"] if expires else [])
        self.tables[key_id] = "\n".join(["[[keys]]", *lines, ""])
        self.write()
        return f"liverec_{key_id}_{secret}"

    def revoke(self, key: str) -> None:
        del self.tables[key.split("_")[1]]
        self.write()

    def write(self) -> None:
        temporary = self.path.with_suffix(".new")
        temporary.write_text("\n".join(self.tables.values()))
        temporary.replace(self.path)


def sent(key: str) -> dict[str, str]:
    """Return the header that shows a key."""
    return {"X-API-Key": key}


def keyed(ring: KeyRing, tenants: Sequence[str] = (), bundle: Path | None = None) -> dict[str, str]:
    """Return the settings of a service with these keys, all tenants with one bundle."""
    settings = {"LIVEREC_KEYS": str(ring.path)}
    if tenants:
        settings["LIVEREC_TENANTS"] = json.dumps(dict.fromkeys(tenants, os.fspath(bundle or "")))
    return settings
