"""Which column of a file means what: canonical names, their synonyms, and the mapping that a caller gives."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from engine.errors import ConfigError, DataError

EVENT_COLUMNS = ("user_id", "item_id", "value", "kind", "timestamp")
ITEM_COLUMNS = ("item_id", "title", "categories", "year", "description", "image", "audio")

SYNONYMS: Mapping[str, frozenset[str]] = {
    canonical: frozenset(names.split())
    for canonical, names in {
        "user_id": "userid user uid customerid customer visitorid memberid reviewerid",
        "item_id": "itemid item iid movieid movie productid product asin parentasin bookid isbn trackid songid animeid "
        "articleid businessid sku",
        "value": "value rating score stars overall",
        "kind": "kind event eventtype eventname action behavior behaviortype",
        "timestamp": "timestamp time ts date datetime createdat eventtime unixreviewtime",
        "title": "title movietitle itemtitle productname name",
        "categories": "categories category genres genre class",
        "year": "year releaseyear",
        "description": "description overview plot summary synopsis",
        "image": "image imageurl poster posterpath posterurl imurl",
        "audio": "audio audiofile audiopath",
    }.items()
}


def find_columns(
    path: Path, present: Sequence[str], canonical: Iterable[str], required: Iterable[str], requested: Mapping[str, str]
) -> dict[str, str]:
    """Map canonical names to columns of the file: a requested one first, else the only column with a known synonym.

    Optional names without a column are left out. Raises DataError if a required name has no column, if several columns
    could be meant, or if a requested column is not there.
    """
    found = {name: _present(path, present, name, requested[name]) for name in canonical if name in requested}
    free = [column for column in present if column not in found.values()]
    for name in canonical:
        if name not in found:
            found |= _by_synonym(path, free, name)
    missing = [name for name in required if name not in found]
    if missing:
        raise DataError(f"{path}: no column for {' and '.join(missing)}. {_remedy(present, missing[0])}")
    return found


def check_requested(requested: Mapping[str, str]) -> None:
    """Raise ConfigError on a canonical name that does not exist or a column that is to mean two things."""
    known = dict.fromkeys(EVENT_COLUMNS + ITEM_COLUMNS)
    for name, column in requested.items():
        if name not in known:
            raise ConfigError(
                f"--column {name}={column}: {name!r} is no column of ours. Use one of: {', '.join(known)}."
            )
        twins = [other for other in requested if other != name and requested[other] == column]
        if twins:
            raise ConfigError(f"--column {name}={column}: {column!r} is also given for {twins[0]}. Name it once.")


def plain_name(column: str) -> str:
    """Drop the type from a typed header: `user_id:token` is `user_id`."""
    return re.sub(r":(token|float)(_seq)?$", "", column)


def _by_synonym(path: Path, present: Sequence[str], name: str) -> dict[str, str]:
    matches = [column for column in present if _bare(column) in SYNONYMS[name]]
    if len(matches) > 1:
        raise DataError(f"{path}: {' and '.join(matches)} could each be the {name}. {_remedy(present, name)}")
    return dict.fromkeys([name], matches[0]) if matches else {}


def _present(path: Path, present: Sequence[str], name: str, column: str) -> str:
    if column not in present:
        raise DataError(f"{path}: there is no column {column!r}. {_remedy(present, name)}")
    return column


def _bare(column: str) -> str:
    return re.sub(r"[^a-z0-9]", "", plain_name(column).lower())


def _remedy(present: Sequence[str], name: str) -> str:
    return f"Its columns are: {', '.join(present)}. Say which one with --column {name}=NAME."
