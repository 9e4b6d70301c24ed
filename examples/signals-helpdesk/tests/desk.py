"""A small help desk on loopback: a real HTTP server with a JSON API."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

TOKEN = "not-for-the-log"
PAGE = 2
TICKETS = [
    {"opened": "2026-01-01T00:00:00+00:00", "state": "open", "queue": "sales"},
    {"opened": "2026-01-01T09:00:00+00:00", "state": "open", "queue": "sales"},
    {"opened": "2026-01-01T12:00:00+00:00", "state": "closed", "queue": "support"},
    {"opened": "2026-01-01T23:59:59+00:00", "state": "waiting", "queue": "support"},
    {"opened": "2026-01-02T00:00:00+00:00", "state": "open", "queue": "support"},
]


class Desk:
    """The help desk: what it was asked, and how it is."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.status = 200
        self.retry_after: str | None = None
        self.awake = Event()
        self._server: ThreadingHTTPServer | None = None
        self._port = 0
        self.start()

    @property
    def uri(self) -> str:
        """Where its API is."""
        return f"http://127.0.0.1:{self._port}/api"

    def start(self) -> None:
        """Listen, at the same port as before."""
        desk = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                desk.answer(self)

            def log_message(self, format: str, *arguments: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_port
        Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Listen no more."""
        assert self._server is not None
        self.awake.set()
        self._server.shutdown()
        self._server.server_close()
        self.awake.clear()

    @contextmanager
    def down(self) -> Iterator[None]:
        """Listen no more for a while."""
        self.stop()
        yield
        self.start()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer a request."""
        address = urlsplit(handler.path)
        query = dict(parse_qsl(address.query))
        self.asked.append(query)
        status, body = self.status, {"error": "not now"}
        if handler.headers["Authorization"] != f"Bearer {TOKEN}":
            status = 401
        elif status == 200:
            status, body = self._counts(query)
        content = json.dumps(body).encode()
        handler.send_response(status)
        if self.retry_after and status != 200:
            handler.send_header("Retry-After", self.retry_after)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    def _counts(self, query: dict[str, str]) -> tuple[int, dict[str, Any]]:
        by, page = query["by"], int(query.get("page", 0))
        further = "counts?" + urlencode({**query, "page": page + 1})
        if by == "minute":  # there is no end to them
            rows = [{"minute": f"{page}.{number}", "value": 1} for number in range(PAGE)]
            return 200, {"counts": rows, "next": further}
        if by == "mood":  # nobody knows for a long time
            self.awake.wait(60)
        since, until = (datetime.fromisoformat(query[key]) for key in ("from", "to"))
        opened = [
            ticket
            for ticket in TICKETS
            if since <= datetime.fromisoformat(ticket["opened"]) < until
        ]
        counts = Counter(ticket.get(by, "") for ticket in opened)
        rows = [{by: value, "value": count} for value, count in sorted(counts.items())]
        begin, end = page * PAGE, (page + 1) * PAGE
        return 200, {"counts": rows[begin:end], "next": further if rows[end:] else None}
