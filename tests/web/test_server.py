"""The server: it answers over HTTP, within bounds that no client can pass."""

from __future__ import annotations

import http.client
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from parts.command import Signals
from parts.daemon import Daemon, make_level, until
from signals_core.errors import CannotListen
from signals_core.secret import remember
from signals_core.web.app import HEADERS, Answer, App, Request, Response, line
from signals_core.web.server import Address, Server

Serve = Callable[..., Server]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Return a function that serves routes on a free port."""
    with ExitStack() as stack:

        def start(host: str = "127.0.0.1", **routes: Answer) -> Server:
            app = App({f"/{name}": answer for name, answer in routes.items()})
            server = Server(app, Address(host, 0))
            stack.callback(server.stop)
            server.start()
            return server

        yield start


def ask(
    server: Server, path: str, method: str = "GET", **headers: str
) -> tuple[int, dict[str, str], str]:
    connection = http.client.HTTPConnection(
        server.address.host.strip("[]"), server.address.port, timeout=30
    )
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, dict(answer.getheaders()), text


def connected(server: Server) -> socket.socket:
    """Return a client that has begun to ask."""
    client = socket.create_connection((server.address.host, server.address.port), 30)
    client.sendall(b"GET /hel")
    return client


def raw(server: Server, data: bytes) -> bytes:
    """Send bytes, and return all that comes back until the other side closes, which it may soon."""
    answer = b""
    place = (server.address.host, server.address.port)
    with socket.create_connection(place, 30) as client, suppress(OSError):
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        while part := client.recv(65536):
            answer += part
    return answer


def hello(_: Request) -> Response:
    return line("hello")


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:9464", "127.0.0.1", 9464),
        ("localhost:0", "localhost", 0),
        ("[::1]:9464", "::1", 9464),
        ("0.0.0.0:65535", "0.0.0.0", 65535),
    ],
)
def test_addresses(text: str, host: str, port: int) -> None:
    """An address is a host and a port, an IPv6 one stands in brackets, and it reads back."""
    address = Address.parse(text)
    assert (address.host, address.port) == (host, port)
    assert str(address) == text


@pytest.mark.parametrize(
    "text", ["", "9464", ":9464", "localhost", "localhost:", "a:b", "a:65536", "a:-1", "::1:9464"]
)
def test_no_addresses(text: str) -> None:
    """What is no host and port is refused with what would be right."""
    with pytest.raises(ValueError, match=r"is no HOST:PORT|stands in brackets"):
        Address.parse(text)


def test_routes(serve: Serve) -> None:
    """A path leads to its route, with what stands where its pattern has a name."""

    def named(request: Request) -> Response:
        return line(f"{request.named['name']} {request.query.get('of', '')}")

    app = App({"/hello": hello, "/things/{name}": named})
    server = Server(app, Address("127.0.0.1", 0))
    server.start()
    try:
        assert ask(server, "/hello")[::2] == (200, "hello\n")
        assert ask(server, "/things/a%20caf%C3%A9?of=x&of=y")[::2] == (200, "a café y\n")
        assert ask(server, "/things/a/b")[::2] == (404, "there is nothing here\n")
        assert ask(server, "/hello/")[0] == ask(server, "/hello%0A")[0] == 404
    finally:
        server.stop()


def test_only_looks(serve: Serve) -> None:
    """GET and HEAD are answered, HEAD without a body; all else is refused in a line."""
    server = serve(hello=hello)
    head = raw(server, b"HEAD /hello HTTP/1.0\r\n\r\n")
    assert b"Content-Length: 6\r\n" in head
    assert head.endswith(b"\r\n\r\n")
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "X"):
        status, headers, text = ask(server, "/hello", method)
        assert (status, headers["Allow"], text) == (
            405, "GET, HEAD", "only GET and HEAD are answered\n",
        )  # fmt: skip


def test_headers(serve: Serve) -> None:
    """Every answer forbids scripts, frames and keeping it, also one that refuses."""
    server = serve(hello=hello)
    assert "default-src 'none'" in HEADERS["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in HEADERS["Content-Security-Policy"]
    assert "script-src" not in HEADERS["Content-Security-Policy"]
    for path in ("/hello", "/nothing"):
        _, headers, _ = ask(server, path)
        assert headers.items() >= HEADERS.items()
        assert headers["Server"] == "signals"


def test_route_that_fails(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """A route that raises answers 500 without its words, which the log has, masked."""
    remember("hunter2hunter2")

    def broken(_: Request) -> Response:
        raise RuntimeError("the password is hunter2hunter2")

    server = serve(broken=broken)
    status, _, text = ask(server, "/broken")
    assert (status, text) == (500, "that failed: the log says why\n")
    assert caplog.messages == ["a request for /broken failed: the password is ***"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n",
        b"NONSENSE\r\n\r\n",
        b"GET /hello HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS, by mistake
        b"GET /\xff\xfe HTTP/1.1\r\nHost: \xff\r\n\r\n",
    ],
    ids=["nothing", "empty", "nonsense", "version", "headers", "long", "length", "tls", "bytes"],
)
def test_nonsense(
    data: bytes, serve: Serve, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Whatever is sent, it goes on answering, and says nothing at the normal level."""
    server = serve(hello=hello)
    answer = raw(server, data)
    assert b"Traceback" not in answer
    assert b"<" not in answer
    assert ask(server, "/hello")[0] == 200
    assert not [each for each in caplog.records if each.levelno > logging.DEBUG]
    assert capfd.readouterr() == ("", "")


def test_access_is_not_logged(serve: Serve, capfd: pytest.CaptureFixture[str]) -> None:
    """Requests show at the level debug only, each in one line whatever is asked for."""
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]
    logger = logging.getLogger("signals")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        raw(serve(hello=hello), b"GET /hello?\x1b[31mred HTTP/1.0\r\n\r\n")
        until(lambda: records)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
    assert [each.levelno for each in records] == [logging.DEBUG]
    assert "\\x1b[31mred" in records[0].getMessage()
    assert capfd.readouterr() == ("", "")


def test_clients_that_wait() -> None:
    """However many clients connect and send nothing, one that asks is answered, in few threads.

    It is the oldest that ends for it.
    """
    threads = 4
    server = Server(App({"/hello": hello}), Address("127.0.0.1", 0), threads=threads, seconds=600)
    before = threading.active_count()
    server.start()
    with ExitStack() as stack:
        stack.callback(server.stop)
        clients = [stack.enter_context(connected(server)) for _ in range(5 * threads)]
        assert ask(server, "/hello")[::2] == (200, "hello\n")
        assert threading.active_count() - before <= threads + 1
        for client in clients[: 1 - threads]:
            assert client.recv(1) == b""
        for client in clients[1 - threads :]:
            client.setblocking(False)
            with pytest.raises(BlockingIOError):
                client.recv(1)


def test_late_clients() -> None:
    """A connection that takes too long is ended, though it trickles."""
    server = Server(App({"/hello": hello}), Address("127.0.0.1", 0), seconds=0.5)
    server.start()
    with connected(server) as client:
        client.settimeout(0.1)

        def is_ended() -> bool:
            try:
                client.sendall(b"l")
                return client.recv(1) == b""
            except TimeoutError:
                return False
            except ConnectionError:
                return True

        until(is_ended)
    server.stop()


def test_stopping() -> None:
    """It stops while clients wait, lets the port go, and may be stopped again."""
    server = Server(App({"/hello": hello}), Address("127.0.0.1", 0), seconds=600)
    server.start()
    with connected(server) as client:
        until(lambda: server._http._open)
        server.stop()
        assert client.recv(1) == b""
    server.stop()
    again = Server(App({}), server.address)
    again.stop()


def test_ipv6(serve: Serve) -> None:
    """It listens on IPv6 too."""
    try:
        server = serve("::1", hello=hello)
    except CannotListen:
        pytest.skip("needs IPv6, which this machine lacks")
    assert ask(server, "/hello")[0] == 200
    assert str(server.address) == f"[::1]:{server.address.port}"


def test_port_in_use(serve: Serve, project: Path, signals: Signals) -> None:
    """An address that cannot be had ends the daemon with 2, before it takes anything up."""
    server = serve(hello=hello)
    make_level(project)
    done = signals("run", "--listen", server.address)
    assert done.returncode == 2
    assert done.stderr.partition("ERROR ")[2] == (
        f"signals.run: cannot listen on {server.address}: Address already in use "
        "(name another address with --listen, or end what has it)\n"
    )
    assert not (project / ".signals").exists()


def test_daemon(project: Path) -> None:
    """The daemon names the port it was given, answers until it stops, and exits with 0 in time."""
    make_level(project)
    with Daemon(project, "--listen", "127.0.0.1:0") as daemon:
        until(lambda: daemon.get("/readyz") == (200, "ok\n"))
        assert daemon.get("/healthz") == (200, "ok\n")
        with socket.create_connection(("127.0.0.1", daemon.port), 30) as client:
            client.sendall(b"GET /hel")
            assert daemon.stop(signal.SIGTERM) == 0
    assert daemon.said.count("\n") == 4  # listens, runs, stops, has stopped
