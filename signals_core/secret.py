"""Secrets and their masking wherever text leaves the process."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from threading import Lock
from urllib.parse import quote, unquote

from signals_core.references import expand, has_references

MASK = "***"

# From this length on a secret is masked inside longer words too; a short one only as a whole
# word, or the password "a" would riddle every message.
_ANYWHERE = 6

# A password that should have been percent-encoded (it holds a slash) is one nevertheless.
_USERINFO = re.compile(
    r"(?P<head>\b[A-Za-z][A-Za-z0-9+.-]*://[^\s:/?#@]*:)(?P<password>[^\s/?#]+|[^\s'\"]+)@"
)
_PARAMETER = re.compile(
    r"(?i)(?P<head>(?<![\w.-])[\w.-]*(?:password|passwd|pwd|token|secret|api_?key)=)"
    r"(?P<value>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|[^&\s'\"]+)"
)


class _KnownSecrets:
    """Every secret this process has seen in clear text, compiled into one pattern."""

    def __init__(self) -> None:
        self._values: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self._lock = Lock()

    def add(self, values: set[str]) -> None:
        with self._lock:
            if values <= self._values:
                return
            self._values |= values
            longest_first = sorted(self._values, key=lambda value: (-len(value), value))
            self._pattern = re.compile("|".join(map(_pattern_of, longest_first)))

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        if self._pattern:
            yield from (match.span() for match in self._pattern.finditer(text))


def _pattern_of(value: str) -> str:
    escaped = re.escape(value)
    if len(value) >= _ANYWHERE:
        return escaped
    before = r"(?<!\w)" if re.match(r"\w", value[0]) else ""
    after = r"(?!\w)" if re.match(r"\w", value[-1]) else ""
    return f"{before}{escaped}{after}"


_known = _KnownSecrets()


def remember(value: str) -> None:
    """Have `mask` hide `value`, and the password inside it when it is a URI, from now on."""
    values = _spellings(value.strip())
    for match in _USERINFO.finditer(value):
        user = match["head"].rpartition("://")[2].rstrip(":")
        # A password equal to its user name ("test:test") hides nothing: masked in URIs only.
        values |= _spellings(match["password"]) - {user, unquote(user)}
    for match in _PARAMETER.finditer(value):
        values |= _spellings(match["value"].strip("'\""))
    _known.add(values - {""})


def _spellings(value: str) -> set[str]:
    """Return `value` as it stands in text, in URIs, and between quotes in Python and JSON."""
    in_uri = quote(value, safe="", errors="replace")
    in_json = (json.dumps(value, ensure_ascii=is_ascii)[1:-1] for is_ascii in (True, False))
    # Python escapes a quote only where the other one stands in the same text, before or behind.
    in_python = repr(value)[1:-1], repr(f"'\"{value}")[4:-1]
    return {value, unquote(value), in_uri, *in_json, *in_python}


def mask(text: str) -> str:
    """Return `text` with every known secret and every password inside a URI replaced by `***`."""
    # All are looked for in the text as it came: a secret called "password" hides no "password=".
    spans = [
        *_known.spans(text),
        *(match.span("password") for match in _USERINFO.finditer(text)),
        *(match.span("value") for match in _PARAMETER.finditer(text)),
    ]
    pieces, end = [], 0
    for start, stop in sorted(spans):
        if start >= end:
            pieces += [text[end:start], MASK]
        end = max(end, stop)
    return "".join([*pieces, text[end:]])


class Secret:
    """Text that is never shown: a password, a token, a URI that holds one.

    A secret keeps its template (`${DB_PASSWORD}`, `${file:/run/secrets/db}`, or plain text) and
    resolves it at every `reveal()`, so that a rotated password is taken up at the next connect.
    Two secrets are equal when their templates are. `repr` and `str` show no more than `***`.
    """

    __slots__ = ("_template",)

    def __init__(self, template: str) -> None:
        self._template = template
        if not has_references(template):
            remember(template)

    def reveal(self) -> str:
        """Return the text in clear. Raises `LookupError` when what it refers to is not there."""
        value = expand(self._template, on_file=remember)
        remember(value)
        return value

    def __repr__(self) -> str:
        return f"Secret({MASK!r})"

    def __str__(self) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._template == self._template

    def __hash__(self) -> int:
        return hash((Secret, self._template))
