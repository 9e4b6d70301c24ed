"""The headers of a request, and the secrets in them."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping

from attrs import field, frozen

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OURS = {"content-encoding", "content-length", "transfer-encoding"}

# What is shorter than this would riddle a message with stars; the core masks it as a whole word.
_SHORTEST = 4


@frozen
class Authorization:
    """The value of the header `Authorization`, and what in it is secret."""

    value: str
    secrets: frozenset[str]

    @classmethod
    def bearer(cls, token: str) -> Authorization:
        """Present a token. Raises `ValueError` for one that no header can hold."""
        check_value("token", token)
        return cls(f"Bearer {token}", frozenset({token}))

    @classmethod
    def basic(cls, username: str, password: str) -> Authorization:
        """Present a user and a password."""
        encoded = b64encode(f"{username}:{password}".encode()).decode()
        return cls(f"Basic {encoded}", frozenset({password, encoded}))


@frozen
class Headers:
    """Headers as they are sent, and what in them is never shown."""

    sent: Mapping[str, str] = field(repr=False)
    _secrets: frozenset[str] = field(repr=False)

    @classmethod
    def build(
        cls,
        ours: Mapping[str, str],
        theirs: Mapping[str, str],
        authorization: Authorization | None,
    ) -> Headers:
        """Put headers together; `theirs`, the configured ones, win and are secret."""
        for name, value in theirs.items():
            check_value(f"headers: {name}", value)
        secrets = set(theirs.values())
        if authorization:
            ours = {**ours, "Authorization": authorization.value}
            secrets |= authorization.secrets
        named = {name.lower() for name in theirs}
        rest = {name: value for name, value in ours.items() if name.lower() not in named}
        return cls({**rest, **theirs}, frozenset(secrets))

    def hide(self, text: str) -> str:
        """Return what a receiver said, perhaps in our own words, without the secrets."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, "***") if len(secret) >= _SHORTEST else text
        return text


def check_name(name: str) -> None:
    """Raise `ValueError` for what is no header's name, and for what the sink sets itself."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"headers: {name!r} is no name of a header")
    if name.lower() in _OURS:
        raise ValueError(f"headers: {name} is set by the sink itself")


def check_value(name: str, value: str) -> None:
    """Raise `ValueError`, without showing it, for a value that no header can hold."""
    if "\n" in value or "\r" in value:
        raise ValueError(f"{name} holds a line break")
    if not (value.isascii() and value.isprintable()):
        raise ValueError(f"{name} holds a character that cannot stand in a header")
