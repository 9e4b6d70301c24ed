"""Who may look: anybody on this machine, from elsewhere who has the token."""

from __future__ import annotations

import hmac
import re
from base64 import b64decode
from binascii import Error as NoBase64
from collections.abc import Mapping

from attrs import frozen

from signals_core.web.app import Request, Response, line
from signals_core.web.server import Address, is_loopback

#: What a probe asks for, which has no token.
OPEN = ("/healthz", "/readyz")

SHORTEST_TOKEN = 16

_HOST = re.compile(r"(?:\[(?P<v6>[^\]]+)\]|(?P<name>[^:]+))(?::\d*)?")


@frozen(repr=False)
class Access:
    """The guard of an address, with its token if it has one.

    Behind a loopback address a request must name it, or this machine, as its host. Otherwise a
    page from elsewhere could have its own name lead here, and read with the browser's own eyes.
    """

    address: Address
    token: str | None = None

    def __call__(self, request: Request) -> Response | None:
        """Return why a request is refused; None when it is not."""
        host = request.headers.get("host")
        if self.address.is_loopback and host is not None and not self._is_own(host):
            return line("this address is asked for by another name: use localhost", 421)
        if self.token is None or request.path in OPEN or self._has_token(request.headers):
            return None
        return line(
            "the token is missing or wrong: send it as `Authorization: Bearer`, or log in with it"
            " as the password",
            401,
            WWW_Authenticate='Basic realm="signals", charset="UTF-8"',
        )

    def _is_own(self, host: str) -> bool:
        found = _HOST.fullmatch(host)
        name = (found["v6"] or found["name"] or "").lower() if found else ""
        return is_loopback(name) or name == self.address.host.lower()

    def _has_token(self, headers: Mapping[str, str]) -> bool:
        assert self.token is not None
        given = _given(headers.get("authorization", ""))
        return hmac.compare_digest(given, self.token.encode())


def _given(authorization: str) -> bytes:
    """Return the token of a header, whichever way it is given."""
    scheme, _, rest = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip().encode()
    if scheme.lower() == "basic":
        try:
            return b64decode(rest).partition(b":")[2]
        except NoBase64:
            return b""
    return b""
