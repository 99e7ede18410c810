"""The parts of a filter: comparisons of fields, and what joins them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

Value: TypeAlias = "str | float | bool | None"
PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
KEYWORDS = frozenset(["and", "or", "not", "in", "contains", "true", "false", "null", "if"])


@dataclass(frozen=True, slots=True)
class Comparison:
    """A field against values: one of = < <= > >= contains and its value, or "in" and several; `= null`: it has none."""

    field: str
    operator: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Negation:
    """What its part is not true of."""

    part: Node


@dataclass(frozen=True, slots=True)
class AllOf:
    """What each of two or more parts is true of; none of them is an AllOf itself."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """What some of two or more parts is true of; none of them is an AnyOf itself."""

    parts: tuple[Node, ...]


Node: TypeAlias = Comparison | Negation | AllOf | AnyOf


def equals_one_of(field: str, values: Iterable[Value]) -> Comparison:
    """Return `field in (…)`, each value once and in a fixed order, or `field = value` for a single one."""
    # 1.0 and True are the same key, but not the same value.
    distinct = {(type(value).__name__, value) for value in values}
    ordered = tuple(value for _, value in sorted(distinct))
    return Comparison(field, "=" if len(ordered) == 1 else "in", ordered)


def negated(part: Node) -> Node:
    """Return the opposite, without a double negation."""
    return part.part if isinstance(part, Negation) else Negation(part)


def all_of(parts: Iterable[Node]) -> Node:
    """Join one or more parts by "and"."""
    flat = tuple(each for part in parts for each in (part.parts if isinstance(part, AllOf) else (part,)))
    return flat[0] if len(flat) == 1 else AllOf(flat)


def any_of(parts: Iterable[Node]) -> Node:
    """Join one or more parts by "or"."""
    flat = tuple(each for part in parts for each in (part.parts if isinstance(part, AnyOf) else (part,)))
    return flat[0] if len(flat) == 1 else AnyOf(flat)


def comparisons(node: Node) -> Iterator[Comparison]:
    """Go through all comparisons, from left to right."""
    if isinstance(node, Comparison):
        yield node
    else:
        for part in (node.part,) if isinstance(node, Negation) else node.parts:
            yield from comparisons(part)


def nesting(node: Node) -> int:
    """Return how many parentheses and "not" stand around the innermost comparison of the node's text."""
    if isinstance(node, Comparison):
        return 0
    if isinstance(node, Negation):
        if isinstance(node.part, Comparison):
            return 0 if node.part.operator == "=" else 1
        return nesting(node.part) + 2
    return max(nesting(part) + _is_put_in_parentheses(part, node) for part in node.parts)


def text_of(node: Node) -> str:
    """Return the text that is parsed to just this node."""
    if isinstance(node, Comparison):
        return _comparison_text(node, node.operator)
    if isinstance(node, Negation):
        if isinstance(node.part, Comparison):
            is_equal = node.part.operator == "="
            return _comparison_text(node.part, "!=") if is_equal else f"not {text_of(node.part)}"
        return f"not ({text_of(node.part)})"
    texts = (f"({text_of(part)})" if _is_put_in_parentheses(part, node) else text_of(part) for part in node.parts)
    return (" and " if isinstance(node, AllOf) else " or ").join(texts)


def _is_put_in_parentheses(part: Node, whole: Node) -> bool:
    return isinstance(part, AnyOf) and isinstance(whole, AllOf)


def _comparison_text(comparison: Comparison, operator: str) -> str:
    values = ", ".join(_value_text(value) for value in comparison.values)
    return f"{_name_text(comparison.field)} {operator} {f'({values})' if operator == 'in' else values}"


def _name_text(name: str) -> str:
    if PLAIN_NAME.fullmatch(name) and name.lower() not in KEYWORDS:
        return name
    return "`" + name.replace("`", "``") + "`"


def _value_text(value: Value) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return repr(value).removesuffix(".0")
