"""Decoding: JSON into the dataclasses of answers. Unknown members are left out: old clients read new services."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from liverec.client.errors import AnswerError

T = TypeVar("T")
Read = Callable[[Any], Any]


def decode(kind: type[T], data: object) -> T:
    """Return the data as that kind; raises AnswerError naming what does not fit."""
    return cast(T, reader(cast(Hashable, kind))(data))


@cache
def reader(kind: Any) -> Read:  # noqa: ANN401
    """Return what reads one kind: a dataclass, tuple[X, ...], dict[str, X], X | None or a plain type."""
    arguments = get_args(kind)
    if get_origin(kind) in (Union, UnionType):
        return _optional(reader(next(each for each in arguments if each is not NoneType)))
    if get_origin(kind) is tuple:
        return _sequence(reader(arguments[0]))
    if get_origin(kind) is dict:
        return _mapping(reader(arguments[1]))
    return _members(kind) if is_dataclass(kind) else _plain(kind)


def _optional(read: Read) -> Read:
    return lambda data: None if data is None else read(data)


def _sequence(read: Read) -> Read:
    def sequence(data: object) -> tuple[Any, ...]:
        return tuple(read(each) for each in _checked(list, data))

    return sequence


def _mapping(read: Read) -> Read:
    def mapping(data: object) -> dict[str, Any]:
        return {name: read(each) for name, each in _checked(dict, data).items()}

    return mapping


def _members(kind: Any) -> Read:  # noqa: ANN401
    hints = get_type_hints(kind)
    readers = {field.name: reader(hints[field.name]) for field in fields(kind)}
    needed = {each.name for each in fields(kind) if each.default is MISSING and each.default_factory is MISSING}

    def members(data: object) -> Any:  # noqa: ANN401
        given = _checked(dict, data)
        if missing := sorted(needed - given.keys()):
            raise AnswerError(f"{kind.__name__}: the answer has no {missing[0]!r}; is this a liverec service?")
        return kind(**{name: read(given[name]) for name, read in readers.items() if name in given})

    return members


def _plain(kind: Any) -> Read:  # noqa: ANN401
    if kind in (Any, object):
        return lambda data: data
    # JSON has one kind of number.
    return (lambda data: float(_checked((int, float), data))) if kind is float else lambda data: _checked(kind, data)


def _checked(kind: Any, data: object) -> Any:  # noqa: ANN401
    if not isinstance(data, kind):
        raise AnswerError(f"the answer has {data!r:.100} where {kind} is expected; is this a liverec service?")
    return data
