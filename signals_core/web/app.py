"""The application that a daemon serves: a table of routes, as WSGI."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from attrs import field, frozen

from signals_core.errors import reason_of

if TYPE_CHECKING:
    from wsgiref.types import StartResponse

_log = logging.getLogger("signals")

#: Nothing comes from elsewhere, no script runs, nobody frames it, and nothing of it is kept.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'none'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

_METHODS = ("GET", "HEAD")


@frozen
class Request:
    """What is asked for: `named` holds what stands in the path where its pattern has a name."""

    path: str
    named: Mapping[str, str] = field(factory=dict)
    query: Mapping[str, str] = field(factory=dict)
    headers: Mapping[str, str] = field(factory=dict)


@frozen
class Response:
    """What is answered; text is sent as UTF-8."""

    body: str | bytes
    status: int = 200
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(factory=dict)


def line(text: str, status: int = 200, **headers: str) -> Response:
    """Answer in one line; underscores in the names of headers stand for hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(f"{text}\n", status, headers=named)


Answer = Callable[[Request], Response]

#: Looks at a request before its route does; what it returns is the answer.
Guard = Callable[[Request], Response | None]


class App:
    """Routes by the patterns of their paths: `/collectors/{name}` has `name` up to the next slash.

    `guard` is asked first, and `nothing` where no route fits. Only GET and HEAD are answered. A
    route that raises is logged, and answers 500: no text of an error reaches the outside.
    """

    def __init__(
        self,
        routes: Mapping[str, Answer],
        guard: Guard = lambda _: None,
        nothing: Answer = lambda _: line("there is nothing here", 404),
    ) -> None:
        self._routes = [(_compiled(pattern), answer) for pattern, answer in routes.items()]
        self._guard = guard
        self._nothing = nothing

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer as WSGI wants it."""
        response = self._answered(environ)
        body = response.body if isinstance(response.body, bytes) else response.body.encode()
        headers = {
            "Content-Type": response.content_type,
            "Content-Length": str(len(body)),
            **HEADERS,
            **response.headers,
        }
        phrase = HTTPStatus(response.status).phrase
        start_response(f"{response.status} {phrase}", list(headers.items()))
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    def _answered(self, environ: Mapping[str, Any]) -> Response:
        request = _request(environ)
        refusal = self._guard(request)
        if refusal is not None:
            return refusal
        if environ["REQUEST_METHOD"] not in _METHODS:
            return line("only GET and HEAD are answered", 405, Allow=", ".join(_METHODS))
        for pattern, answer in self._routes:
            if found := pattern.fullmatch(request.path):
                return _safely(answer, _named(request, found))
        return _safely(self._nothing, request)


def _safely(answer: Answer, request: Request) -> Response:
    try:
        return answer(request)
    except Exception as error:  # noqa: BLE001 - whatever it is, the daemon goes on
        _log.error("a request for %s failed: %s", request.path, reason_of(error))
        return line("that failed: the log says why", 500)


def _named(request: Request, found: re.Match[str]) -> Request:
    return Request(request.path, found.groupdict(), request.query, request.headers)


def _request(environ: Mapping[str, Any]) -> Request:
    # PEP 3333: the bytes of the path, each as one character.
    path = environ.get("PATH_INFO", "/").encode("latin-1").decode("utf-8", "replace")
    query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    return Request(
        path,
        query={name: values[-1] for name, values in query.items()},
        headers=dict(_headers(environ)),
    )


def _headers(environ: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in environ.items():
        if name.startswith("HTTP_"):
            yield name.removeprefix("HTTP_").replace("_", "-").lower(), value


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern))
