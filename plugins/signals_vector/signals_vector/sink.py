"""The sink `http`."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from attrs import define, field

from signals_core import Batch, Rejected, Secret, Sink, Unavailable
from signals_vector.address import Address, shown
from signals_vector.answers import problem_of
from signals_vector.headers import Authorization, Headers, check_name

if TYPE_CHECKING:
    from signals_vector.transport import Transport

_CONTENT_TYPES = {
    "json_array": "application/json",
    "json_lines": "application/x-ndjson",
    "json_object": "application/json",
}


def _valid_uri(_instance: Any, _attribute: Any, uri: str) -> None:
    Address.parse(uri)


def _positive(_instance: Any, attribute: Any, duration: timedelta) -> None:
    if duration <= timedelta():
        raise ValueError(f"{attribute.name} must be longer than zero")


@define
class Http(Sink):
    """Posts metrics as JSON to Vector, or to whatever else takes JSON over HTTP.

    A batch is accepted when the receiver has answered it with 2xx, in full. 400, 413 and 422
    refuse its content; everything else, silence included, means that it is sent again. A batch
    sent again holds the same metrics with the same `uuid` and `timestamp`, by which a receiver
    tells them.
    """

    uri: str = field(validator=_valid_uri, repr=shown)
    """Where to send, `http://` or `https://`. A user and a password in it are taken out and sent
    as basic credentials."""

    method: Literal["POST", "PUT"] = "POST"
    """The method of the requests."""

    format: Literal["json_array", "json_lines", "json_object"] = "json_array"
    """What a request holds: a batch as one JSON array, a batch with a JSON object a line, or a
    single metric as a JSON object."""

    gzip: bool = False
    """Whether to compress the requests."""

    headers: dict[str, Secret] = field(factory=dict)
    """More headers. Their values are treated as secrets."""

    token: Secret | None = None
    """A bearer token."""

    username: str | None = None
    """The user of basic credentials."""

    password: Secret | None = None
    """The password of basic credentials."""

    ca_file: Path | None = None
    """A PEM file of the authorities to trust, in place of the system's."""

    client_cert: Path | None = None
    """A PEM file with the certificate to show to the receiver."""

    client_key: Path | None = None
    """A PEM file with its key, where `client_cert` does not hold it; without pass phrase."""

    verify_tls: bool = True
    """Whether the receiver must prove who it is. Without it anyone on the way can read along."""

    connect_timeout: timedelta = field(default=timedelta(seconds=5), validator=_positive)
    """How long to wait for a connection, and for each piece of a request to be taken."""

    timeout: timedelta = field(default=timedelta(seconds=30), validator=_positive)
    """How long to wait for the answer."""

    _address: Address = field(init=False, eq=False, repr=False)
    _transport: Any = field(init=False, default=None, eq=False, repr=False)

    @_address.default
    def _taken_apart(self) -> Address:
        return Address.parse(self.uri)

    def __attrs_post_init__(self) -> None:
        """Refuse what contradicts itself. What a secret holds is looked at where it is there."""
        for contradiction in self._contradictions():
            raise ValueError(contradiction)
        for name in self.headers:
            check_name(name)
        with suppress(LookupError):
            self._headers()

    def open(self) -> None:
        """Read the TLS files. The connection is made by the first request and kept."""
        from signals_vector.tls import client_context
        from signals_vector.transport import Limits, Transport

        tls = None
        if self._address.is_secure:
            tls = client_context(
                verify=self.verify_tls,
                ca_file=self.ca_file,
                cert=self.client_cert,
                key=self.client_key,
            )
        limits = Limits(self.connect_timeout.total_seconds(), self.timeout.total_seconds())
        self._transport = Transport(self._address.target, limits, tls)

    def close(self) -> None:
        """Close the connection."""
        transport, self._transport = self._transport, None
        if transport:
            transport.close()

    def write(self, batch: Batch) -> None:
        """Send `batch` and return when the receiver has accepted all of it."""
        if self.format == "json_array":
            self._send(batch.json_array())
        elif self.format == "json_lines":
            self._send(batch.json_lines())
        else:
            self._send_each(batch)

    def check(self) -> None:
        """Send a batch of no metrics, `[]` or an empty body, as `write` would send a full one.

        That proves the address, TLS and the credentials on the very path that batches take (many
        receivers, Vector among them, look at no credentials before the method is right). A
        receiver that refuses the empty content with 400, 413 or 422 passes: it has let us in.
        """
        with suppress(Rejected):
            self._send(b"[]" if self.format == "json_array" else b"")

    def _send_each(self, batch: Batch) -> None:
        """Send every metric alone. The refused ones are named, unless none was taken at all.

        Then the address is more likely at fault than the data, which the runner finds out.
        """
        refused = {}
        for index, line in enumerate(batch.encoded):
            try:
                self._send(line)
            except Rejected as error:
                refused[index] = error
        for first in refused.values():
            several = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
            named = refused if len(refused) < len(batch) else None
            raise Rejected(f"{first.reason}{several}", named)

    def _send(self, body: bytes) -> None:
        address, where = self._address, f"{self.method} {self._address.shown}"
        content = gzip.compress(body, compresslevel=6, mtime=0) if self.gzip else body
        try:
            headers = self._headers()
            answer = self._opened.send(self.method, content, headers.sent)
        except (Unavailable, LookupError, ValueError) as error:
            raise Unavailable(f"{where}: {error}") from error
        problem = problem_of(answer, address.target, datetime.now(UTC))
        if problem:
            raise problem.error(f"{where}: {headers.hide(problem.text)}")

    @property
    def _opened(self) -> Transport:
        if self._transport is None:
            raise Unavailable("the sink is not open")
        transport: Transport = self._transport
        return transport

    def _headers(self) -> Headers:
        """Build the headers anew, since a secret may have changed.

        Raises `LookupError` where one is not there, `ValueError` where none can be made of it.
        """
        ours = {"User-Agent": _agent(), "Content-Type": _CONTENT_TYPES[self.format]}
        if self.gzip:
            ours["Content-Encoding"] = "gzip"
        theirs = {name: secret.reveal() for name, secret in self.headers.items()}
        return Headers.build(ours, theirs, self._authorization())

    def _authorization(self) -> Authorization | None:
        if self.token:
            return Authorization.bearer(self.token.reveal())
        username, password = self._address.username, self._address.password
        if self.username is not None:
            username = self.username
            password = self.password.reveal() if self.password else ""
        return None if username is None else Authorization.basic(username, password or "")

    def _contradictions(self) -> Iterator[str]:
        given = {
            "token": self.token is not None,
            "username": self.username is not None,
            "a user in uri": self._address.username is not None,
            "an Authorization header": "authorization" in {name.lower() for name in self.headers},
        }
        ways = [way for way, is_given in given.items() if is_given]
        if len(ways) > 1:
            yield f"{' and '.join(ways)} contradict each other (keep one)"
        if self.password and self.username is None:
            yield "password needs username beside it"
        if ":" in (self.username or ""):
            yield "username holds a colon, which ends a user's name in basic credentials"
        if self.client_key and not self.client_cert:
            yield "client_key needs client_cert beside it"


@cache
def _agent() -> str:
    return f"signals-vector/{version('signals-vector')}"
