"""Secrets and their masking wherever text leaves the process."""

from __future__ import annotations

import re
from threading import Lock
from urllib.parse import unquote

from signals_core.references import expand, has_references

MASK = "***"

# From this length on a secret is masked inside longer words too; a short one only as a whole
# word, or the password "a" would riddle every message.
_ANYWHERE = 6

_USERINFO = re.compile(
    r"(?P<head>\b[A-Za-z][A-Za-z0-9+.-]*://[^\s:/?#@]*:)(?P<password>[^\s/?#]+)@"
)
_PARAMETER = re.compile(
    r"(?i)(?P<head>\b(?:ssl)?(?:password|passwd|pwd|token|secret|api_?key)=)(?P<value>[^&\s'\"]+)"
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

    def hide(self, text: str) -> str:
        return self._pattern.sub(MASK, text) if self._pattern else text


def _pattern_of(value: str) -> str:
    escaped = re.escape(value)
    return escaped if len(value) >= _ANYWHERE else rf"(?<!\w){escaped}(?!\w)"


_known = _KnownSecrets()


def remember(value: str) -> None:
    """Have `mask` hide `value`, and the password inside it when it is a URI, from now on."""
    values = {value.strip()}
    for match in _USERINFO.finditer(value):
        user = match["head"].rpartition("://")[2].rstrip(":")
        # A password equal to its user name ("test:test") hides nothing: masked in URIs only.
        values |= {match["password"], unquote(match["password"])} - {user}
    values |= {match["value"] for match in _PARAMETER.finditer(value)}
    _known.add(values - {""})


def mask(text: str) -> str:
    """Return `text` with every known secret and every password inside a URI replaced by `***`."""
    hidden = _known.hide(text)
    hidden = _USERINFO.sub(rf"\g<head>{MASK}@", hidden)
    return _PARAMETER.sub(rf"\g<head>{MASK}", hidden)


class Secret:
    """Text that is never shown: a password, a token, a URI that holds one.

    A secret keeps its template (`${DB_PASSWORD}`, `${file:/run/secrets/db}`, or plain text) and
    resolves it at every `reveal()`, so that a rotated password is taken up at the next connect.
    Two secrets are equal when their templates are. `repr` and `str` show no more than `***`.
    """

    __slots__ = ("_template",)

    def __init__(self, template: str) -> None:
        self._template = template

    def reveal(self) -> str:
        """Return the text in clear. Raises `LookupError` when what it refers to is not there."""
        value = expand(self._template) if has_references(self._template) else self._template
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
