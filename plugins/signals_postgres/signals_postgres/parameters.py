"""`:name` in SQL becomes `$n` with a cast: found by a scanner, bound as a value, never pasted.

The scanner knows as much of PostgreSQL's lexical rules as it takes to leave alone what only looks
like a parameter: quoted text of every kind, comments, `::` and `:=`.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NoReturn

from attrs import define, field, frozen

TYPES = {
    "window_start": "timestamptz",
    "window_end": "timestamptz",
    "window_start_local": "timestamp",
    "window_end_local": "timestamp",
}
"""The parameters that a query may use, with the types they are cast to."""

_ESCAPED = r"'(?>(?:[^'\\]|\\.|'')*)'"
# A string goes on in the next line's quotes, by the rules of its first part.
_CONTINUED = r"[^\S\n\r]*(?:--[^\n\r]*)?[\n\r](?:\s|--[^\n\r]*[\n\r])*"
_TOKEN = re.compile(
    rf"""
      (?P<blank> \s+ | --[^\n\r]* )
    | (?P<comment> /\* )
    | (?P<quoted>
          [eE]{_ESCAPED} (?:{_CONTINUED}{_ESCAPED})*
        | '(?>(?:[^']|'')*)'
        | "(?>(?:[^"]|"")*)"
        | \$(?P<tag>(?:[^\W\d]\w*)?)\$ .*? \$(?P=tag)\$
      )
    | (?P<unclosed> [eE]?' | " | \$(?:[^\W\d]\w*)?\$ )
    | (?P<number> \$\d+ )
    | (?P<word> [^\W\d][\w$]* )
    | (?P<operator> :: | := )
    | : (?P<name> [^\W\d]\w* )
    | (?P<other> \d[\w.]* | . )
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")


@frozen
class Statement:
    """A query as the server gets it: `text` with `$1`, `$2`, … for the parameters `names`."""

    text: str
    names: tuple[str, ...]
    command: str
    _source: str = field(repr=False)
    _edges: tuple[tuple[int, int], ...] = field(repr=False)

    def values(self, parameters: Mapping[str, Any]) -> list[Any]:
        """Return the values of `$1`, `$2`, … in their order."""
        return [parameters[name] for name in self.names]

    def place(self, position: int) -> str:
        """Say where in the query as written the character `position` (from 1) of `text` is."""
        index = bisect_right(self._edges, (position - 1, len(self._source))) - 1
        end, source_end = self._edges[index]
        offset = min(source_end + position - 1 - end, len(self._source))
        column = offset - (self._source.rfind("\n", 0, offset) + 1) + 1
        return f"line {_line(self._source, offset)}, column {column}"


@lru_cache(maxsize=1024)
def translate(sql: str) -> Statement:
    """Replace the parameters of `sql`. Raises `ValueError` for a query that cannot be right."""
    if "\0" in sql:
        raise ValueError("the query holds a NUL character")
    scan = _Scan(sql)
    for kind, match in scan.tokens():
        if kind == "word":
            scan.command = scan.command or match.group().upper()
        elif kind == "name":
            scan.replace(match)
        elif kind == "number":
            scan.refuse(match.start(), f"{match.group()} is not filled in", _known())
        elif kind in ("quoted", "other"):
            scan.empty = scan.empty and match.group() == ";"
            scan.brackets += {"[": 1, "]": -1}.get(match.group(), 0)
    if scan.empty and not scan.command:
        raise ValueError("the query is empty (write one SELECT)")
    return scan.statement()


@define
class _Scan:
    """The state of one pass over a query."""

    sql: str
    command: str = ""
    empty: bool = True
    brackets: int = 0
    names: list[str] = field(factory=list)
    pieces: list[str] = field(factory=list)
    copied: int = 0
    length: int = 0
    edges: list[tuple[int, int]] = field(factory=lambda: [(0, 0)])

    def tokens(self) -> Iterator[tuple[str | None, re.Match[str]]]:
        position = 0
        while match := _TOKEN.match(self.sql, position):
            position = match.end()
            if match.lastgroup == "comment":
                position = self.end_of_comment(match.start())
            elif match.lastgroup == "unclosed":
                self.refuse(match.start(), f"the quote {match.group()} is never closed", "close it")
            else:
                yield match.lastgroup, match

    def end_of_comment(self, start: int) -> int:
        depth = 0
        for edge in _COMMENT_EDGE.finditer(self.sql, start):
            depth += 1 if edge.group() == "/*" else -1
            if not depth:
                return edge.end()
        return self.refuse(start, "the comment /* is never closed", "close it with */")

    def replace(self, match: re.Match[str]) -> None:
        name = match["name"]
        if name not in TYPES:
            self.refuse(match.start(), *self.misunderstood(name))
        if name not in self.names:
            self.names.append(name)
        self.copy(match.start())
        self.append(f"${self.names.index(name) + 1}::{TYPES[name]}")
        self.copied = match.end()
        self.edges.append((self.length, self.copied))

    def misunderstood(self, name: str) -> tuple[str, str]:
        if self.brackets > 0:
            return f":{name} is no parameter", f"write an array slice with spaces: [a : {name}]"
        return f":{name} is no parameter", f"{_known()}; any other colon takes a space after it"

    def copy(self, end: int) -> None:
        self.append(self.sql[self.copied : end])
        self.copied = end

    def append(self, piece: str) -> None:
        self.pieces.append(piece)
        self.length += len(piece)

    def refuse(self, offset: int, reason: str, remedy: str) -> NoReturn:
        raise ValueError(f"line {_line(self.sql, offset)} of the query: {reason} ({remedy})")

    def statement(self) -> Statement:
        self.copy(len(self.sql))
        return Statement(
            "".join(self.pieces), tuple(self.names), self.command, self.sql, tuple(self.edges)
        )


def _line(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1


def _known() -> str:
    return "a query may use " + ", ".join(f":{name}" for name in TYPES)
