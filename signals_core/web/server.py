"""The server: the standard library's, one thread a connection, with bounds that nobody can pass.

It shares a process with the daemon, so it may take a few threads and a little time, no more: a
connection ends after seconds, and when there are too many the oldest ends first.
"""

from __future__ import annotations

import logging
import socket
import time
from ipaddress import ip_address
from socketserver import TCPServer, ThreadingMixIn
from threading import BoundedSemaphore, Lock, Thread
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, cast
from wsgiref.simple_server import ServerHandler, WSGIRequestHandler, WSGIServer

from attrs import frozen

from signals_core.errors import CannotListen

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

_log = logging.getLogger("signals")

_LONGEST_LINE = 65_536
_PAUSE = 0.1
_POLL = 0.5

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]


@frozen
class Address:
    """Where to listen."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read `HOST:PORT`; an IPv6 address stands in brackets. Raises `ValueError`."""
        host, colon, port = text.rpartition(":")
        host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
        if not (colon and host and port.isascii() and port.isdigit() and int(port) < 1 << 16):
            raise ValueError(f"{text!r} is no HOST:PORT (as in 127.0.0.1:9464 or [::1]:9464)")
        if ":" in host and not text.startswith("["):
            raise ValueError(f"{text!r}: an IPv6 address stands in brackets, as in [::1]:9464")
        return cls(host, int(port))

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return is_loopback(self.host)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def is_loopback(host: str) -> bool:
    """Whether a name or an address is this machine's own."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


class Server:
    """Serves an application from `start` to `stop`, in at most so many `threads` and one.

    A connection may take so many `seconds`.
    """

    def __init__(
        self,
        app: WSGIApplication,
        address: Address,
        *,
        threads: int = 16,
        seconds: float = 10.0,
    ) -> None:
        """Take the address. Raises `CannotListen`."""
        try:
            family, *_, place = socket.getaddrinfo(
                address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            self._http = (_Http6 if family == socket.AF_INET6 else _Http)(
                place, app, threads, seconds
            )
        except OSError as error:
            raise CannotListen(
                f"cannot listen on {address}: {error.strerror} "
                "(name another address with --listen, or end what has it)"
            ) from error
        self.address = Address(address.host, self._http.server_address[1])
        self._thread: Thread | None = None

    def start(self) -> None:
        """Begin to answer."""
        self._thread = Thread(
            target=self._http.serve_forever, args=(_POLL,), name="signals listen", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End, whatever is under way; may be called twice."""
        if self._thread is not None:
            self._http.shutdown()
            self._thread.join()
            self._thread = None
        self._http.server_close()
        self._http.end_all()


@frozen(eq=False)
class _Connection:
    socket: socket.socket
    began: float

    def end(self) -> None:
        """Wake whoever waits for it: there is nothing more to read or to write."""
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:  # it has ended by itself
            return


class _Http(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, place: Any, app: WSGIApplication, threads: int, seconds: float) -> None:
        self.seconds = seconds
        self._free = BoundedSemaphore(threads)
        self._open: dict[Any, _Connection] = {}
        self._lock = Lock()
        self.app = app
        super().__init__(place, _Handler)

    def server_bind(self) -> None:
        """Bind, without asking a name server what this machine is called."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()

    def get_request(self) -> tuple[Any, Any]:
        try:
            return super().get_request()
        except OSError:  # there are no files left: not as fast as can be
            time.sleep(_PAUSE)
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread; where all are taken the oldest connection ends."""
        if not self._free.acquire(blocking=False):
            self._end_oldest()
            if not self._free.acquire(timeout=_POLL):
                self.shutdown_request(request)
                return
        with self._lock:
            self._open[request] = _Connection(request, time.monotonic())
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no thread can be started
            self._release(request)
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._release(request)

    def service_actions(self) -> None:
        """End what takes too long; called twice a second."""
        before = time.monotonic() - self.seconds
        with self._lock:
            late = [each for each in self._open.values() if each.began < before]
        for each in late:
            each.end()

    def end_all(self) -> None:
        """End every connection."""
        with self._lock:
            connections = list(self._open.values())
        for each in connections:
            each.end()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing is to be said of a client that went away."""
        _log.debug("a connection to the status page broke", exc_info=True)

    def _end_oldest(self) -> None:
        with self._lock:
            oldest = min(self._open.values(), key=lambda each: each.began, default=None)
        if oldest is not None:
            oldest.end()

    def _release(self, request: Any) -> None:
        with self._lock:
            self._open.pop(request, None)
        self._free.release()


class _Http6(_Http):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    server_version, sys_version = "signals", ""
    error_message_format, error_content_type = "%(message)s\n", "text/plain; charset=utf-8"

    def handle(self) -> None:
        """Answer one request."""
        self.raw_requestline = self.rfile.readline(_LONGEST_LINE + 1)
        if len(self.raw_requestline) > _LONGEST_LINE:
            self.requestline = self.request_version = self.command = ""
            self.send_error(414)
        elif self.parse_request():
            server = cast("_Http", self.server)
            answer = _Answer(
                cast("IO[bytes]", self.rfile),
                cast("IO[bytes]", self.wfile),
                self.get_stderr(),
                self.get_environ(),
            )
            answer.request_handler = self
            answer.run(server.app)

    def log_message(self, format: str, *args: Any) -> None:
        _log.debug("%s asked: %s", self.client_address[0], ascii(format % args))


class _Answer(ServerHandler):
    request_handler: WSGIRequestHandler
    server_software = "signals"

    def log_exception(self, exc_info: _ExcInfo) -> None:
        """Say nothing of a client that went away."""
        _log.debug("an answer could not be sent", exc_info=exc_info)
