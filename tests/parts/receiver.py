"""A small HTTP receiver in a process of its own, for tests that deliver over HTTP.

No package brings Vector, so this is a small receiver that behaves as Vector's `http_server` source
is documented to: it takes one method on one path, checks credentials only then, unpacks gzip, and
takes JSON in any framing: each line one value, an array split into its elements. Whatever a test
needs to go wrong is switched on with a call. It ends when the test process does.

    def test_something(receiver):
        deliver_to(receiver.uri)
        assert [metric["value"] for metric in receiver.metrics()] == [3]
        receiver.answer(503, headers={"Retry-After": "7"})
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from parts import receiver_process
from parts.receiver_process import values_of


@dataclass(frozen=True)
class Received:
    """One request as it came in; `connection` numbers the TCP connections from 1."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    connection: int
    accepted: bool

    def header(self, name: str) -> str | None:
        """One header, whatever the case of its name."""
        found = [value for key, value in self.headers.items() if key.lower() == name.lower()]
        return found[0] if found else None

    def values(self) -> list[Any]:
        """The JSON values of the body; decimals are exact."""
        return values_of(self.headers, self.body)


@dataclass(frozen=True)
class Certificates:
    """Files of a certificate authority, a server's certificate and a client's."""

    ca: Path
    server: Path
    client_cert: Path
    client_key: Path
    stranger_ca: Path


class Receiver:
    """A running receiver: where it is, what it got, and what it is to do next."""

    def __init__(
        self, certificates: Certificates | None = None, *, client_cert: bool = False
    ) -> None:
        command = [sys.executable, "-I", receiver_process.__file__]
        if certificates:
            command += [str(certificates.server), str(certificates.ca) if client_cert else ""]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._lock = threading.Lock()
        self.port = int(self._call("port"))
        self.origin = f"http{'s' if certificates else ''}://127.0.0.1:{self.port}"
        self.uri = f"{self.origin}/metrics"

    def requests(self) -> list[Received]:
        """Every request so far, refused ones too."""
        return [
            Received(**{**request, "body": base64.b64decode(request["body"])})
            for request in self._call("requests")
        ]

    def metrics(self) -> list[dict[str, Any]]:
        """All metrics that were accepted, in order; decimals are exact."""
        return [value for got in self.requests() if got.accepted for value in got.values()]

    def forget(self) -> None:
        """Forget the requests so far, and behave again."""
        self._call("forget")

    def behave(self) -> None:
        """Answer 200 from now on, to everyone."""
        self._call("behave")

    def answer(
        self,
        status: int,
        body: str = "",
        headers: Mapping[str, str] | None = None,
        *,
        times: int | None = None,
        reason: str | None = None,
    ) -> None:
        """Answer with this, `times` times (None: until told otherwise), then as before."""
        sent = dict(headers or {})
        self._call("answer", status=status, body=body, headers=sent, times=times, reason=reason)

    def require(self, *, basic: tuple[str, str] | None = None, bearer: str | None = None) -> None:
        """Answer 401 to whoever does not present these credentials."""
        if basic:
            pair = base64.b64encode(":".join(basic).encode()).decode()
            self._call("require", authorization=f"Basic {pair}")
        else:
            self._call("require", authorization=f"Bearer {bearer}")

    def reject(self, name: str) -> None:
        """Answer 400 to a body that holds a metric of this name."""
        self._call("reject", name=name)

    def take(self, method: str) -> None:
        """Take this method instead of POST; others are answered with 405."""
        self._call("take", method=method)

    def fail(self, how: str) -> None:
        """Misbehave, until told otherwise: `how` is one of

        - `silent`: read the request, never answer
        - `half`: announce more of an answer than is sent, then close
        - `half_chunk`: the same inside a chunked answer
        - `drip`: send an answer byte by byte, without end
        - `hang_up`: close without an answer
        - `reset`: reset the connection
        - `garbage`: answer with what is not HTTP
        - `early_413`: answer 413 without reading the body, and reset
        - `slow`: read the body at a few MB a second
        - `drop_idle`: answer, then close the connection without having said so
        """
        self._call("fail", how=how)

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return self._process.poll() is None

    def stop(self) -> None:
        """End the process; its port refuses connections from then on."""
        self._process.kill()
        self._process.communicate()

    def _call(self, command: str, **arguments: Any) -> Any:
        with self._lock:
            assert self._process.stdin
            assert self._process.stdout
            line = json.dumps({"command": command, **arguments})
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())


class _Pool:
    """Receivers are started once and handed from test to test, unless a test stopped its own."""

    def __init__(self) -> None:
        self._running: dict[str, Receiver] = {}

    def get(self, kind: str, **options: Any) -> Receiver:
        if kind not in self._running or not self._running[kind].is_running:
            self._running[kind] = Receiver(**options)
        self._running[kind].forget()
        return self._running[kind]

    def stop(self) -> None:
        for receiver in self._running.values():
            receiver.stop()


@pytest.fixture(scope="session")
def _receivers() -> Iterator[_Pool]:
    pool = _Pool()
    yield pool
    pool.stop()


@pytest.fixture
def receiver(_receivers: _Pool) -> Receiver:
    """A receiver over plain HTTP that has got nothing yet."""
    return _receivers.get("plain")


@pytest.fixture
def tls_receiver(_receivers: _Pool, certificates: Certificates) -> Receiver:
    """A receiver over TLS whose certificate the tests' own authority signed."""
    return _receivers.get("tls", certificates=certificates)


@pytest.fixture
def mtls_receiver(_receivers: _Pool, certificates: Certificates) -> Receiver:
    """The same, and it wants a client certificate of that authority."""
    return _receivers.get("mtls", certificates=certificates, client_cert=True)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Certificates made for this run."""
    import trustme

    folder = tmp_path_factory.mktemp("certificates")
    authority, stranger = trustme.CA(), trustme.CA()
    server = authority.issue_cert("127.0.0.1")
    client = authority.issue_cert("client@example.org")
    files = Certificates(
        *(
            folder / name
            for name in ("ca.pem", "server.pem", "client.pem", "client.key", "stranger.pem")
        )
    )
    authority.cert_pem.write_to_path(str(files.ca))
    stranger.cert_pem.write_to_path(str(files.stranger_ca))
    server.private_key_and_cert_chain_pem.write_to_path(str(files.server))
    client.cert_chain_pems[0].write_to_path(str(files.client_cert))
    client.private_key_pem.write_to_path(str(files.client_key))
    return files
