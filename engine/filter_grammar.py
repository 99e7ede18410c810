"""The grammar of filters and boosts, and what is said of a text that does not follow it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedToken, v_args

from engine import filter_nodes as nodes
from engine.errors import QueryError
from engine.filter_nodes import Comparison, Node, Value

MOST_CHARACTERS = 2_000
MOST_NESTING = 32
MOST_COMPARISONS = 100
MOST_VALUES = 200
SHOWN_CHARACTERS = 40

# Keywords are patterns that end where a name would go on: "android" and "in-house" are names.
GRAMMAR = r"""
boost: NUMBER _IF either
?filter: either
?either: both (_OR both)*
?both: one (_AND one)*
?one: _NOT one -> negation
    | _OPEN either _CLOSE -> group
    | comparison
?comparison: field EQUAL (NUMBER | TEXT | TRUE | FALSE | NULL) -> comparison
    | field ORDER (NUMBER | TEXT) -> comparison
    | field CONTAINS TEXT -> comparison
    | field _IN _OPEN (NUMBER | TEXT | TRUE | FALSE) (_COMMA (NUMBER | TEXT | TRUE | FALSE))* _CLOSE -> membership
field: NAME | QUOTED_NAME

_AND.2: /and(?![A-Za-z0-9_.-])/i
_OR.2: /or(?![A-Za-z0-9_.-])/i
_NOT.2: /not(?![A-Za-z0-9_.-])/i
_IN.2: /in(?![A-Za-z0-9_.-])/i
_IF.2: /if(?![A-Za-z0-9_.-])/i
CONTAINS.2: /contains(?![A-Za-z0-9_.-])/i
TRUE.2: /true(?![A-Za-z0-9_.-])/i
FALSE.2: /false(?![A-Za-z0-9_.-])/i
NULL.2: /null(?![A-Za-z0-9_.-])/i
EQUAL: "=" | "!="
ORDER: "<=" | "<" | ">=" | ">"
_OPEN: "("
_CLOSE: ")"
_COMMA: ","
NAME: /[A-Za-z_][A-Za-z0-9_.-]*/
QUOTED_NAME: /`(?:[^`]|``)+`/
TEXT: /"(?:[^"\\]|\\(?:.|\n))*"|'(?:[^'\\]|\\(?:.|\n))*'/
NUMBER: /-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?/
%ignore /\s+/
"""

COMPARED = frozenset(["EQUAL", "ORDER", "CONTAINS", "_IN"])
WORDS = {
    "NAME": "a field such as year",
    "QUOTED_NAME": "a field such as year",
    "TEXT": "a text in quotes",
    "NUMBER": "a number",
    "TRUE": "true",
    "FALSE": "false",
    "NULL": "null",
    "_AND": '"and"',
    "_OR": '"or"',
    "_NOT": '"not"',
    "_IF": '"if"',
    "_OPEN": '"("',
    "_CLOSE": '")"',
    "_COMMA": '","',
    "$END": "the end",
}


class Nested(NamedTuple):
    """A part of a filter, and how many parentheses and "not" the text puts around its innermost comparison."""

    node: Node
    depth: int


class _Nodes(Transformer[Token, object]):
    """Makes nodes while the text is read, from the innermost outwards, so that nothing recurses."""

    def boost(self, children: Sequence[Token | Nested]) -> tuple[float, Nested]:
        number, part = children
        return _number(number), part  # type: ignore[arg-type,return-value]

    def either(self, parts: Sequence[Nested]) -> Nested:
        return Nested(nodes.any_of(part.node for part in parts), max(part.depth for part in parts))

    def both(self, parts: Sequence[Nested]) -> Nested:
        return Nested(nodes.all_of(part.node for part in parts), max(part.depth for part in parts))

    @v_args(inline=True)
    def negation(self, part: Nested) -> Nested:
        return _deeper(Nested(nodes.negated(part.node), part.depth))

    @v_args(inline=True)
    def group(self, part: Nested) -> Nested:
        return _deeper(part)

    @v_args(inline=True)
    def comparison(self, field: str, operator: Token, value: Token) -> Nested:
        if operator == "!=":
            return Nested(nodes.negated(Comparison(field, "=", (_value(value),))), 0)
        return Nested(Comparison(field, str(operator).lower(), (_value(value),)), 0)

    def membership(self, children: Sequence[Token]) -> Nested:
        field, *values = children
        if len(values) > MOST_VALUES:
            raise QueryError(f'a list of {len(values)} values after "in"; at most {MOST_VALUES} are looked up')
        return Nested(nodes.equals_one_of(str(field), [_value(value) for value in values]), 0)

    @v_args(inline=True)
    def field(self, name: Token) -> str:
        return str(name)[1:-1].replace("``", "`") if name.type == "QUOTED_NAME" else str(name)


def _deeper(part: Nested) -> Nested:
    if part.depth >= MOST_NESTING:
        raise QueryError(f'parentheses and "not" are nested more than {MOST_NESTING} deep; write it flatter')
    return Nested(part.node, part.depth + 1)


def _value(token: Token) -> Value:
    if token.type == "TEXT":
        return _unescaped(token)
    if token.type == "NUMBER":
        return _number(token)
    return {"TRUE": True, "FALSE": False, "NULL": None}[token.type]


def _number(token: Token) -> float:
    number = float(token)
    if not math.isfinite(number):
        raise QueryError(f"the number {_shown(str(token))} {_at(token.start_pos)} is too large; the largest are 1e308")
    return number + 0.0  # -0.0 becomes 0.0: they are equal but look different.


def _unescaped(token: Token) -> str:
    def plain(escape: re.Match[str]) -> str:
        if escape[1] not in "\"'\\":
            raise QueryError(
                f"{escape[0]} {_at(token.start_pos, escape.start() + 1)} is no escape; in a text there are"
                r""" \" \' and \\, and everything else stands for itself"""
            )
        return escape[1]

    return re.sub(r"\\(.)", plain, str(token)[1:-1], flags=re.DOTALL)


_PARSER = Lark(GRAMMAR, parser="lalr", lexer="basic", start=["filter", "boost"], transformer=_Nodes())


def parse_filter(text: str) -> Node:
    """Return the node of a filter; raises QueryError that says where the text is wrong."""
    part: Nested = _parsed(text, "filter")
    return part.node


def parse_boost(text: str) -> tuple[float, Node]:
    """Return the weight and the node of `0.5 if year >= 1990`; raises QueryError that says where the text is wrong."""
    weight, part = _parsed(text, "boost")
    return weight, part.node


def check_size(node: Node, option: str) -> None:
    """Raise QueryError, which begins with the name of the option, if a filter is too large, however it was made."""
    if (count := sum(1 for _ in nodes.comparisons(node))) > MOST_COMPARISONS:
        raise QueryError(f"{option}: there are {count} comparisons, at most {MOST_COMPARISONS} are made; ask for less")
    if (longest := max(len(each.values) for each in nodes.comparisons(node))) > MOST_VALUES:
        raise QueryError(f"{option}: a field is compared with {longest} values, at most {MOST_VALUES}; ask for fewer")
    if (depth := nodes.nesting(node)) > MOST_NESTING:
        raise QueryError(f"{option}: it is nested {depth} deep, at most {MOST_NESTING} are allowed; write it flatter")


def _parsed(text: str, start: str) -> Any:  # noqa: ANN401 (what each start of the grammar makes is another type)
    if len(text) > MOST_CHARACTERS:
        raise QueryError(f"{start}: it has {len(text)} characters, at most {MOST_CHARACTERS} are read; ask for less")
    try:
        return _PARSER.parse(text, start=start)
    except UnexpectedCharacters as error:
        raise QueryError(f"{start}: {_strange(text, error.pos_in_stream or 0)}") from None
    except UnexpectedToken as error:
        raise QueryError(f"{start}: {_found(text, error.token)}, but {_expected(error)}") from None
    except QueryError as error:
        raise QueryError(f"{start}: {error}") from None


def _strange(text: str, position: int) -> str:
    if (mark := text[position]) in "\"'`":
        closed = "the field name" if mark == "`" else "the text"
        return f"{closed} that begins {_at(position)} with {mark} does not end, or is empty; close it with {mark}"
    return f"{mark!r} {_at(position)} means nothing here; put texts in quotes and unusual field names in `backquotes`"


def _found(text: str, token: Token) -> str:
    if token.type == "$END":
        return f"the text ends {_at(len(text))}"
    return f"there is {_shown(str(token))} {_at(token.start_pos)}"


def _expected(error: UnexpectedToken) -> str:
    accepted = set(error.accepts)
    words = {WORDS[name] for name in accepted - COMPARED}
    words |= {"a comparison (= != < <= > >= in contains)"} if accepted >= COMPARED else set()
    listed = sorted(words)
    return f"expected is {' or '.join(filter(None, (', '.join(listed[:-1]), listed[-1])))}"


def _shown(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"


def _at(position: int | None, further: int = 0) -> str:
    return f"at column {(position or 0) + further + 1}"
