"""Settings: everything that the service can be told, from the environment."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from engine.bundle_signature import PublicKey
from engine.errors import ConfigError
from engine.events import RATING, UNDO
from engine.window import Weight

PREFIX = "LIVEREC_"
MOST_KIND_CHARACTERS = 64
MOST_TENANTS = 100
OWN_NAME = "liverec"
TENANT = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
ANYBODY = "*"
ORIGIN = re.compile(r"https?://[a-z0-9.:\[\]-]{1,260}")
AS_JSON = {
    "feedback_weights": '{"like": 0.9, "skip": -0.2}',
    "tenants": '{"acme": "bundles/acme"}',
    "cors_origins": '["https://shop.example"]',
    "bundle_public_keys": '["d75a9801…"]',
}
"""The settings that are written as JSON, with an example each."""


def check_kind(kind: str) -> str:
    """Return the name of a kind of feedback; raises ValueError for one that cannot have a weight."""
    if kind in (RATING, UNDO):
        raise ValueError(f"{kind!r} has no weight of its own; leave it out")
    if not 1 <= len(kind) <= MOST_KIND_CHARACTERS or not kind.isprintable():
        raise ValueError(f"a kind must have 1 to {MOST_KIND_CHARACTERS} printable characters")
    return kind


def check_tenant(name: str) -> str:
    """Return the name of a tenant; raises ValueError for one that cannot be."""
    if not TENANT.fullmatch(name) or name == OWN_NAME:
        raise ValueError(f"a tenant is named by 1 to 32 of a-z, 0-9, _ and -, not {OWN_NAME}, a letter or digit first")
    return name


def check_origin(origin: str) -> str:
    """Return an origin as browsers send it; raises ValueError for what is none."""
    if origin != ANYBODY and not ORIGIN.fullmatch(origin):
        raise ValueError("an origin is written https://shop.example or http://localhost:3000, without a path")
    return origin


def check_store_url(url: SecretStr) -> SecretStr:
    """Return a URL of a store; raises ValueError for one whose password is cut in two by what it has in it."""
    scheme, _, rest = url.get_secret_value().partition("://")
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    if authority.count("@") > 1 or (scheme in ("redis", "rediss") and "@" in rest[len(authority) :]):
        raise ValueError("percent-encode the password: @ is %40, / is %2F, ? is %3F, # is %23, : is %3A")
    return url


StoreUrl = Annotated[SecretStr, AfterValidator(check_store_url)]
Kind = Annotated[str, AfterValidator(check_kind)]
Tenant = Annotated[str, AfterValidator(check_tenant)]
Origin = Annotated[str, AfterValidator(check_origin)]


class Settings(BaseSettings):
    """Read once at start from variables LIVEREC_<NAME>, from REDIS_URL, and from files of these names in `secrets`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True, env_ignore_empty=True)

    bundle: Path = Path("bundles/demo")
    """The bundle folder to serve."""
    bundle_public_keys: tuple[PublicKey, ...] = Field(default=(), max_length=16)
    """One of these must have signed the bundle, a JSON list of what `liverec bundle keygen` prints."""
    redis_url: StoreUrl | None = Field(default=None, validation_alias="REDIS_URL")
    """Redis or Valkey (redis://, rediss:// or unix://); unset: a private server is started with its files in `var`."""
    secrets: Path | None = None
    """A folder of files named like variables (REDIS_URL, LIVEREC_…): each is the value of one that is not set."""
    var: Path = Path("var")
    """Where the private server keeps its files."""
    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = Field(default=8000, ge=1, le=65_535)
    """Port to listen on."""
    workers: int = Field(default=1, ge=1, le=256)
    """Processes; each serves on one core."""
    partitions: int = Field(default=64, ge=1, le=16_384)
    """Over how many logs users are spread; fixed for the life of a store."""
    history_limit: int = Field(default=1_000, ge=10, le=100_000)
    """How many of a user's newest events the store keeps at hand (the log keeps all)."""
    history_days: int = Field(default=0, ge=0, le=36_500)
    """Days without an event after which a user's history goes, but for its version; 0 keeps histories for good."""
    cache_seconds: int = Field(default=600, ge=0, le=86_400)
    """How long an answer is cached at most; a rating drops it at once. 0 switches the cache off."""
    dedupe_seconds: int = Field(default=604_800, ge=60)
    """How long an event_id is remembered."""
    max_concurrency: int = Field(default=64, ge=1, le=10_000)
    """Requests that a worker has under way at most, each with a connection to the store; others get 429 at once."""
    max_wait_ms: float = Field(default=10.0, gt=0, le=600_000)
    """While a worker has more to do than it can, it takes on what it answers within so many milliseconds, and at least
    sixteen requests; others get 429 at once."""
    deadline_ms: float | None = Field(default=None, gt=0, le=600_000)
    """Milliseconds that a list may take where the request does not say (X-Deadline-Ms); no limit if not set."""
    store_timeout_seconds: float = Field(default=1.0, gt=0, le=60)
    """How long the store may take for one reply before it counts as unreachable."""
    read_timeout_seconds: float = Field(default=0.3, gt=0, le=60)
    """How long a list waits for the history of a user; after that it is made without, and says so."""
    confirm_replicas: int = Field(default=0, ge=0, le=16)
    """On the disks of how many replicas, beside the store's own, a write must be before it is acknowledged."""
    allow_volatile: bool = False
    """Accept a store that does not write to disk before it answers; ratings can then be lost."""
    max_body_bytes: int = Field(default=1_048_576, ge=1_024)
    """Largest request body, of items apart."""
    max_item_body_bytes: int = Field(default=16_777_216, ge=1_024)
    """Largest body of POST and PATCH /items."""
    max_bodies_bytes: int = Field(default=134_217_728, ge=1_024)
    """Bytes of the bodies of items that a worker holds at once, and of all others; what is beyond gets 429 at once."""
    max_uploads: int = Field(default=2, ge=1, le=64)
    """Uploads to /events/bulk that a worker takes at once; others get 429 at once."""
    max_upload_events: int = Field(default=10_000_000, ge=1)
    """Events of one upload."""
    max_upload_bytes: int = Field(default=268_435_456, ge=1_024)
    """Largest Parquet upload; it lies in a temporary file until it is read."""
    max_image_bytes: int = Field(default=4_194_304, ge=1_024)
    """Largest image file of an item."""
    max_audio_bytes: int = Field(default=4_194_304, ge=1_024)
    """Largest sound file of an item."""
    max_media_bytes: int = Field(default=536_870_912, ge=0)
    """Bytes of images and sounds that the store takes in all."""
    max_live_items: int = Field(default=1_000_000, ge=1)
    """How many added or changed items the store takes; each worker holds them in memory."""
    archive_days: int | None = Field(default=None, ge=1, le=36_500)
    """For how many whole days the archive keeps events after the day on which they came; for ever if not set."""
    deleted_days: float = Field(default=30.0, ge=2, allow_inf_nan=False)
    """After how many days the store forgets that an item was deleted.

    They count from the deletion; for an item that is still in the bundle, from the last day on which the service ran. A
    bundle that has the item and is served after that shows it again.
    """
    max_connections: int = Field(default=1_000, ge=1, le=100_000)
    """Connections that a worker has at most; others get 503."""
    head_seconds: float = Field(default=10.0, gt=0, le=600)
    """How long the head of a request may take to arrive."""
    body_seconds: float = Field(default=30.0, gt=0, le=600)
    """How long a body may stall, or a client not read its answer."""
    drain_seconds: float = Field(default=2.0, ge=0, le=8)
    """How long a worker that was told to end goes on accepting, while it says that it is not ready."""
    bundle_poll_seconds: float = Field(default=2.0, ge=0, le=3_600)
    """How often a worker looks whether there is another bundle in the folder; 0: never, but on SIGHUP."""
    exploration_share: float = Field(default=0.0, ge=0, le=1)
    """Share of the places of an answer that is given to items by chance. 0 switches exploration off."""
    novelty_boost: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """How much a new item is lifted."""
    novelty_half_life_days: float = Field(default=7.0, gt=0, allow_inf_nan=False)
    """After how many days half of that is left."""
    fresh_days: float = Field(default=30.0, gt=0, allow_inf_nan=False)
    """How long an item is new, and comes up in exploration."""
    feedback_weights: dict[Kind, Weight] = Field(default_factory=dict)
    """What kinds of feedback are worth, as a JSON object of numbers in -1..1, beside and before the bundle's own.

    From 0 on it is what networks read, like a rating; below 0 it counts against what is like the item.
    """
    keys: Path | None = None
    """The file of API keys, which `liverec keys` writes and workers look at every second; unset: all may do all."""
    tenants: dict[Tenant, Path] = Field(default_factory=dict, max_length=MOST_TENANTS)
    """Tenants and their bundles, as a JSON object; each has users, items and caches of its own."""
    cors_origins: list[Origin] = Field(default_factory=list, max_length=100)
    """Origins whose pages may call the service from a browser, as a JSON list; none if not set."""
    hsts_seconds: int = Field(default=0, ge=0, le=63_072_000)
    """For how long browsers shall insist on HTTPS (Strict-Transport-Security); 0 says nothing."""
    clock_skew_seconds: float = Field(default=300.0, ge=0)
    """How far in the future a client's timestamp may lie."""

    @classmethod
    def read(cls, overrides: Mapping[str, object] | None = None) -> Settings:
        """Read the environment; `overrides` win. Raises ConfigError naming the variable that is wrong."""
        known = {f"{PREFIX}{name.upper()}" for name in cls.model_fields.keys() - {"redis_url"}} | {"REDIS_URL"}
        secrets = _secrets()
        given = [*os.environ, *(path.name for path in secrets.iterdir())] if secrets else list(os.environ)
        if unknown := sorted(name for name in given if name.startswith(PREFIX) and name not in known):
            raise ConfigError(f"unknown setting {unknown[0]}; known: {', '.join(sorted(known))}")
        _check_empty(secrets)
        try:
            settings = cls(**{"_secrets_dir": secrets, **(overrides or {})})  # type: ignore[arg-type]
        except SettingsError as error:
            # Its text names the field, which is one of those that are read as JSON.
            field = next((name for name in AS_JSON if f'"{name}"' in str(error)), next(iter(AS_JSON)))
            kind = "list" if AS_JSON[field].startswith("[") else "object"
            raise ConfigError(f"{PREFIX}{field.upper()}: it must be a JSON {kind} such as {AS_JSON[field]}") from error
        except ValidationError as error:
            raise _invalid(error) from None
        settings.check_together()
        return settings

    def check_together(self) -> None:
        """Raise ConfigError for settings of which each alone would do."""
        if self.tenants and self.keys is None:
            raise ConfigError(f"{PREFIX}TENANTS is set, but only keys tell tenants apart; set {PREFIX}KEYS too")
        if self.keys is not None and ANYBODY in self.cors_origins:
            raise ConfigError(f"{PREFIX}CORS_ORIGINS: '*' lets anybody's page use a key; name the origins")

    def of_tenant(self, tenant: str) -> Settings:
        """Return the same settings with a tenant's bundle; the very same without a tenant."""
        return self.model_copy(update={"bundle": self.tenants[tenant]}) if tenant else self

    def environment(self) -> dict[str, str]:
        """Return the variables that make another process read these very settings."""
        values = self.model_dump(mode="json", exclude={"redis_url"}, exclude_none=True)
        spelled = {
            name: json.dumps(each) if isinstance(each, dict | list) else str(each) for name, each in values.items()
        }
        variables = {f"{PREFIX}{name.upper()}": value for name, value in spelled.items()}
        if self.redis_url is not None:
            variables["REDIS_URL"] = self.redis_url.get_secret_value()
        return variables


def _secrets() -> Path | None:
    name = f"{PREFIX}SECRETS"
    folder = Path(os.environ[name]) if os.environ.get(name) else None
    if folder is not None and not folder.is_dir():
        raise ConfigError(f"{name}: {folder} is no folder; mount one with a file for each secret, or unset it")
    return folder


def _check_empty(secrets: Path | None) -> None:
    # Other settings without a value have their default; this one's would open everything.
    name = f"{PREFIX}KEYS"
    value, file = os.environ.get(name), secrets and secrets / name
    if value is None and file is not None and file.is_file():
        value = file.read_text(encoding="utf-8").strip()
    if value == "":
        raise ConfigError(f"{name} is empty; name the file of keys, or unset it to let everybody in without one")


def _invalid(error: ValidationError) -> ConfigError:
    first = error.errors()[0]
    # What comes after it is a part of the value.
    name = str(first["loc"][0]).upper()
    if name == "REDIS_URL":
        # Its value may hold a password.
        return ConfigError(f"REDIS_URL: {first['msg'].removeprefix('Value error, ')}")
    return ConfigError(f"{PREFIX}{name}: {first['msg']} (got {first['input']!r:.100})")
