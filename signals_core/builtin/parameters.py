"""The parameters of a query in SQLite's SQL: where they stand, and what is bound to them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

_NAMES = ("window_start", "window_end", "window_start_local", "window_end_local")

_TOKEN = re.compile(
    r"""
    '(?:[^']|'')*(?:'|\Z)           # text
  | "(?:[^"]|"")*(?:"|\Z)           # names
  | `(?:[^`]|``)*(?:`|\Z)
  | \[[^\]]*(?:\]|\Z)
  | --[^\n]*                        # comments
  | /\*.*?(?:\*/|\Z)
  | [^\W\d][\w$]*                   # words, which may hold a $
  | (?P<parameter>[:@$\#][\w$]+|\?\d*)
  | (?P<end>;)
    """,
    re.VERBOSE | re.DOTALL,
)


def parameters_of(sql: str) -> set[str]:
    """Return the names of the window that `sql` uses.

    What looks like one within quotes and comments is none. Raises `ValueError` for any other
    parameter: nothing could be bound to it.
    """
    found = set()
    for text, line in _parameters(sql):
        if text[0] != ":" or text[1:] not in _NAMES:
            known = ", ".join(f":{name}" for name in _NAMES)
            raise ValueError(f"line {line}: {text} is no parameter (there are {known})")
        found.add(text[1:])
    return found


def without_end(sql: str) -> str:
    """Return a single command without the semicolon that may end it, and what follows that."""
    for match in _TOKEN.finditer(sql):
        if match["end"]:
            return sql[: match.start()]
    return sql


def text_of(moment: datetime) -> str:
    """Write a moment as SQLite's `datetime()` does, with as many more digits as it needs."""
    fraction = moment.microsecond
    precision = "microseconds" if fraction % 1000 else "milliseconds" if fraction else "seconds"
    return moment.replace(tzinfo=None).isoformat(" ", precision)


def _parameters(sql: str) -> Iterator[tuple[str, int]]:
    for match in _TOKEN.finditer(sql):
        if match["parameter"]:
            yield match["parameter"], sql.count("\n", 0, match.start()) + 1
