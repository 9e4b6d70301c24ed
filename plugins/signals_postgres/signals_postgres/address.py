"""Where a URI leads, checked before anything connects."""

from __future__ import annotations

import re
from typing import Any

import psycopg
from attrs import field, frozen
from psycopg.conninfo import conninfo_to_dict

_FORM = "write it like postgresql://user:password@host:5432/database"
_SCHEME = re.compile(r"\s*(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://")
_PRIMARY = ("read-write", "primary")

# A peer that is gone without a word is noticed in half a minute instead of in hours.
_NETWORK = {
    "keepalives_idle": "15",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}


@frozen
class Address:
    """The parameters of a connection, and a name for its target that holds no secret."""

    parameters: dict[str, Any] = field(repr=False)

    @property
    def target(self) -> str:
        """Return `postgres at HOST:PORT/DATABASE`."""
        given = self.parameters
        host = given.get("host") or given.get("hostaddr") or "localhost"
        database = given.get("dbname") or given.get("user") or ""
        return f"postgres at {host}:{given.get('port') or 5432}/{database}"


def address_of(uri: str, connect_timeout: int) -> Address:
    """Read a URI (or libpq's `key=value` text). Raises `ValueError`, never showing the URI."""
    scheme = _SCHEME.match(uri)
    if scheme and scheme["scheme"] not in ("postgresql", "postgres"):
        raise ValueError(f"the uri begins with {scheme['scheme']}:// ({_FORM})")
    given = _parsed(uri.strip())
    hosts = str(given.get("host") or given.get("hostaddr") or "")
    if "," in hosts and given.get("target_session_attrs") not in _PRIMARY:
        raise ValueError(
            f"the uri names several servers, {hosts}, and not which of them to read "
            "(add target_session_attrs=read-write, the primary)"
        )
    defaults = {
        "connect_timeout": str(connect_timeout),
        "fallback_application_name": "signals",
        "client_encoding": "UTF8",
    }
    return Address(_NETWORK | defaults | given)


def _parsed(uri: str) -> dict[str, Any]:
    try:
        return conninfo_to_dict(uri)
    except psycopg.Error as error:
        unknown = re.search(r'invalid URI query parameter: "(\w+)"', str(error))
    # Outside the handler: the driver's text may quote the password, so it is not chained.
    if unknown:
        raise ValueError(f"the uri has a parameter that PostgreSQL does not know: {unknown[1]}")
    raise ValueError(f"the uri is none that PostgreSQL understands ({_FORM})")
