"""The address of a receiver, and what of it may be shown."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, unquote, urlsplit

from attrs import frozen

_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f]")


@frozen
class Address:
    """A URI taken apart: what is requested, what is shown, and the credentials it held."""

    target: str
    shown: str
    username: str | None
    password: str | None

    @property
    def is_secure(self) -> bool:
        """Whether it is asked over TLS."""
        return self.target[:6].lower() == "https:"

    @classmethod
    def parse(cls, uri: str) -> Address:
        """Take `uri` apart. Raises `ValueError`, whose text shows nothing of it."""
        parts = _split(uri)
        bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="")
        return cls(
            target=bare.geturl(),
            shown=bare._replace(query="***" if bare.query else "").geturl(),
            username=None if parts.username is None else unquote(parts.username),
            password=None if parts.password is None else unquote(parts.password),
        )


def shown(uri: str) -> str:
    """Return `uri` without credentials and query, fit for messages whatever it is."""
    try:
        return Address.parse(uri).shown
    except ValueError:
        return "***"


def _split(uri: str) -> SplitResult:
    if _UNPRINTABLE.search(uri):
        raise ValueError("uri holds a space or a line break (write it as %20)")
    try:
        parts = urlsplit(uri)
        complete = parts.port != 0 and bool(parts.hostname)
    except ValueError:
        complete = False
    if not re.match("(?i)https?:", uri):
        raise ValueError("uri must begin with http:// or https://")
    if not complete:
        raise ValueError("uri names no host (percent-encode / # ? and @ in a password)")
    return parts
