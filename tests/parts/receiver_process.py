"""The receiver's own process, for `parts.receiver`. Standard library only: it starts at once.

Commands come in on standard input, one JSON object a line; each is answered with one line.
"""

from __future__ import annotations

import base64
import gzip
import json
import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def values_of(headers: Mapping[str, str], body: bytes) -> list[Any]:
    """Take a body apart as Vector's JSON decoder with lines as frames does."""
    encoding = {key.lower(): value for key, value in headers.items()}.get("content-encoding")
    plain = gzip.decompress(body) if encoding == "gzip" else body
    found: list[Any] = []
    for line in filter(None, (line.strip() for line in plain.split(b"\n"))):
        value = json.loads(line, parse_float=Decimal)
        found += value if isinstance(value, list) else [value]
    return found


@dataclass
class _State:
    lock: threading.Lock = field(default_factory=threading.Lock)
    requests: list[dict[str, Any]] = field(default_factory=list)
    forgotten: int = 0
    connections: int = 0
    method: str = "POST"
    authorization: str | None = None
    rejected: str | None = None
    answer: dict[str, Any] | None = None
    failure: str | None = None

    def behave(self) -> None:
        self.method, self.authorization, self.rejected = "POST", None, None
        self.answer, self.failure = None, None

    def next_answer(self) -> dict[str, Any] | None:
        with self.lock:
            answer = self.answer
            if answer and answer["times"] is not None:
                answer["times"] -= 1
                self.answer = answer if answer["times"] else None
            return answer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    state: _State

    def setup(self) -> None:
        super().setup()
        with self.state.lock:
            self.state.connections += 1
            self.number = self.state.connections

    def log_message(self, *_: Any) -> None:
        pass

    def handle_one_request(self) -> None:
        # A client that goes away is what the tests are about, not something to report.
        try:
            super().handle_one_request()
        except OSError:
            self.close_connection = True

    def _handle(self) -> None:
        failure, self.age = self.state.failure, self.state.forgotten
        if failure == "early_413":
            self.answer(413, {}, "too much")
            self.reset()
            return
        body = self.read_body(slowly=failure == "slow")
        status, headers, words, reason = self.decide(body)
        accepted = 200 <= status < 300 and failure in (None, "slow", "drop_idle")
        self.keep(body, accepted=accepted)
        misbehave = getattr(self, f"fail_{failure}", None)
        if misbehave:
            misbehave()
        else:
            self.answer(status, headers, words, reason)
            self.close_connection |= failure == "drop_idle"

    do_POST = do_PUT = do_GET = do_HEAD = do_OPTIONS = do_DELETE = _handle  # noqa: N815

    def read_body(self, *, slowly: bool) -> bytes:
        length = int(self.headers.get("Content-Length") or 0)
        if not slowly:
            return self.rfile.read(length)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        body = b""
        while piece := self.rfile.read(min(200_000, length - len(body))):
            time.sleep(0.03)
            body += piece
        return body

    def decide(self, body: bytes) -> tuple[int, dict[str, str], str, str | None]:
        if self.command != self.state.method:
            return 405, {}, "HTTP method not allowed", None
        if answer := self.state.next_answer():
            return answer["status"], answer["headers"], answer["body"], answer["reason"]
        if self.path.split("?")[0] != "/metrics":
            return self.refusal(404, "Not found")
        wanted = self.state.authorization
        if wanted and self.headers.get("Authorization") != wanted:
            return self.refusal(401, "Invalid username/password")
        try:
            values = values_of(self.headers, body)
        except (ValueError, OSError, EOFError):
            return self.refusal(400, "Failed decoding the body")
        if self.state.rejected and self.state.rejected in [value["name"] for value in values]:
            return self.refusal(400, f"no {self.state.rejected} here")
        return 200, {}, "", None

    def refusal(self, code: int, message: str) -> tuple[int, dict[str, str], str, None]:
        words = json.dumps({"code": code, "message": message})
        return code, {"Content-Type": "application/json"}, words, None

    def keep(self, body: bytes, *, accepted: bool) -> None:
        request = {
            "method": self.command,
            "path": self.path,
            "headers": dict(self.headers),
            "body": base64.b64encode(body).decode(),
            "connection": self.number,
            "accepted": accepted,
        }
        with self.state.lock:
            if self.age == self.state.forgotten:
                self.state.requests.append(request)

    def answer(
        self, status: int, headers: Mapping[str, str], words: str, reason: str | None = None
    ) -> None:
        body = words.encode()
        self.send_response(status, reason)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def fail_silent(self) -> None:
        time.sleep(3600)

    def fail_half(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf an ans")
        self.close_connection = True

    def fail_half_chunk(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n100\r\nhalf")
        self.close_connection = True

    def fail_drip(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while True:
            self.wfile.write(b".")
            self.wfile.flush()
            time.sleep(0.02)

    def fail_hang_up(self) -> None:
        self.close_connection = True

    def fail_garbage(self) -> None:
        self.wfile.write(b"220 mail.example.org ESMTP\r\n")
        self.close_connection = True

    def fail_reset(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    context: ssl.SSLContext | None = None

    def get_request(self) -> tuple[Any, Any]:
        connection, address = super().get_request()
        if self.context:
            # The handshake belongs to the connection's thread: it may fail, or never come.
            connection = self.context.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        return connection, address

    def handle_error(self, *_: Any) -> None:
        pass


def _context(server: str, client_ca: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server)
    if client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_ca)
    return context


def _obey(state: _State, order: dict[str, Any], port: int) -> Any:
    match order.pop("command"):
        case "port":
            return port
        case "requests":
            return state.requests
        case "forget":
            # What is still under way belongs to a test that is over.
            state.requests, state.connections, state.forgotten = [], 0, state.forgotten + 1
            state.behave()
        case "behave":
            state.behave()
        case "answer":
            state.answer = order
        case "require":
            state.authorization = order["authorization"]
        case "reject":
            state.rejected = order["name"]
        case "take":
            state.method = order["method"]
        case "fail":
            state.failure = order["how"]
    return None


def main() -> None:
    """Serve until standard input ends."""
    state = _State()
    handler = type("Handler", (_Handler,), {"state": state})
    server = _Server(("127.0.0.1", 0), handler)
    if sys.argv[1:]:
        server.context = _context(*sys.argv[1:])
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for line in sys.stdin:
        with state.lock:
            answer = json.dumps(_obey(state, json.loads(line), server.server_port))
        sys.stdout.write(answer + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
