"""One kept-alive connection to a receiver. The only module that needs urllib3."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from http.client import BadStatusLine, IncompleteRead, RemoteDisconnected
from time import monotonic
from typing import Any

import urllib3
from attrs import frozen
from urllib3 import exceptions as failures
from urllib3.response import BaseHTTPResponse

from signals_core import Unavailable
from signals_vector.answers import Answer

_KEPT = 4096
_PIECE = 65_536


@frozen
class Limits:
    """Seconds to wait for a connection and for each piece that is sent; and for the answer."""

    connect: float
    answer: float


class Late(Exception):
    """The answer began but did not end in time."""


class Transport:
    """Sends requests to one address, one after the other and never twice."""

    def __init__(self, uri: str, limits: Limits, tls: ssl.SSLContext | None) -> None:
        self._limits = limits
        self._path = urllib3.util.parse_url(uri).request_uri
        timeout = urllib3.Timeout(connect=limits.connect, read=limits.answer)
        secure = {"ssl_context": tls} if tls else {}
        self._pool = urllib3.connection_from_url(uri, maxsize=1, timeout=timeout, **secure)

    def send(self, method: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send one request and read the whole answer.

        Raises `Unavailable`, in words without address, when there is none.
        """
        try:
            response = self._pool.urlopen(
                method,
                self._path,
                # The body goes out in pieces, and the time limit is one piece's: a slow line that
                # moves is not taken for a dead one.
                body=_pieces(body),
                headers={**headers, "Content-Length": str(len(body))},
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
            with response:
                return self._answer(response)
        except (failures.HTTPError, OSError, Late) as error:
            raise Unavailable(described(error, self._limits)) from error

    def close(self) -> None:
        """Close the connection."""
        self._pool.close()

    def _answer(self, response: BaseHTTPResponse) -> Answer:
        deadline = monotonic() + self._limits.answer
        body = b""
        while piece := response.read1(_PIECE):
            body += piece[: _KEPT - len(body)]
            if monotonic() > deadline:
                raise Late
        return Answer(response.status, response.reason or "", response.headers, body)


def _pieces(body: bytes) -> list[Any]:
    # urllib3 is typed for copies of them; what it does is hand each to the socket.
    whole = memoryview(body)
    return [whole[start : start + _PIECE] for start in range(0, len(body), _PIECE)]


def described(error: Exception, limits: Limits) -> str:
    """Say in one line, without any address, why there is no answer."""
    match error:
        case Late():
            return f"the answer did not end within {limits.answer:g} s"
        case failures.ReadTimeoutError() if "handshake" in str(error.__cause__):
            return f"no TLS handshake within {limits.connect:g} s"
        case failures.ReadTimeoutError():
            return f"no answer within {limits.answer:g} s"
        case failures.NameResolutionError():
            return "the host name is unknown"
        case failures.ConnectTimeoutError() if not isinstance(error, failures.NewConnectionError):
            return f"no connection within {limits.connect:g} s"
        case failures.SSLError():
            return f"TLS: {_tls_reason(_cause_of(error))}"
    return _described_cause(_cause_of(error), limits)


def _described_cause(cause: BaseException, limits: Limits) -> str:
    match cause:
        case IncompleteRead() | failures.InvalidChunkLength():
            return "the answer broke off"
        case RemoteDisconnected():
            return "the connection was closed without an answer"
        case BadStatusLine():
            return "the answer is not HTTP"
        case ConnectionResetError() | BrokenPipeError():
            return "the connection was reset"
        case TimeoutError():
            return f"nothing more could be sent for {limits.connect:g} s"
        case OSError(strerror=str(reason)):
            return reason[:1].lower() + reason[1:]
    return type(cause).__name__


def _cause_of(error: BaseException) -> BaseException:
    """The innermost exception: urllib3 wraps what happened, in `args` or as the cause."""
    wrapped = [arg for arg in error.args if isinstance(arg, BaseException)]
    inner = wrapped[-1] if wrapped else error.__cause__
    return _cause_of(inner) if inner else error


def _tls_reason(cause: BaseException) -> str:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return cause.verify_message.rstrip(".")
    reason = getattr(cause, "reason", None)
    return str(reason or type(cause).__name__).lower().replace("_", " ")
