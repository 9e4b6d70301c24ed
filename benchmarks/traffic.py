"""A relay on loopback that counts what a server sends."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from threading import Lock, Thread

from attrs import define, field


@define
class Relay:
    """Where to connect to instead of the server, and the bytes that came out of it so far."""

    port: int
    received: int = 0
    _lock: Lock = field(factory=Lock)

    def carry(self, source: socket.socket, target: socket.socket, *, counts: bool) -> None:
        """Carry bytes one way until an end closes."""
        with suppress(OSError):
            while data := source.recv(1 << 18):
                if counts:
                    with self._lock:
                        self.received += len(data)
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextmanager
def relay_to(port: int) -> Iterator[Relay]:
    """Listen on loopback and hand every connection on to `port`."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        relay = Relay(listener.getsockname()[1])
        Thread(target=_accept, args=(listener, port, relay), daemon=True).start()
        yield relay


def _accept(listener: socket.socket, port: int, relay: Relay) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            server = socket.create_connection(("127.0.0.1", port))
            for ends, counts in (((client, server), False), ((server, client), True)):
                carry = Thread(
                    target=relay.carry, args=ends, kwargs={"counts": counts}, daemon=True
                )
                carry.start()
