"""A pool of connections: never more than so many exist, whoever asks."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock, Semaphore
from typing import Any, Protocol

from attrs import define, field

_POLL = 0.1


class Closable(Protocol):
    """What the pool knows of a connection."""

    def close(self) -> None:
        """Let go of it."""


@define(eq=False)
class Pool:
    """Connections that are idle, and the right to have one.

    `connect` makes a connection. A driver's own pool would hide why it cannot, and bring threads.
    """

    _size: int
    _connect: Callable[[], Any]
    _idle: list[Any] = field(init=False, factory=list)
    _lock: Lock = field(init=False, factory=Lock)
    _slots: Semaphore = field(init=False)

    @_slots.default
    def _one_a_connection(self) -> Semaphore:
        return Semaphore(self._size)

    def acquire(self, check: Callable[[], None]) -> tuple[Any, bool]:
        """Return a connection, and whether it is fresh; wait for one while `check` lets us."""
        while not self._slots.acquire(timeout=_POLL):
            check()
        try:
            with self._lock:
                if self._idle:
                    return self._idle.pop(), False
            return self._connect(), True
        except BaseException:
            self._slots.release()
            raise

    def renew(self, stale: Closable) -> Any:
        """Return a fresh connection in place of one that turned out to be dead."""
        stale.close()
        return self._connect()

    def release(self, connection: Closable, *, reusable: bool) -> None:
        """Give back what `acquire` or `renew` returned."""
        try:
            if reusable:
                with self._lock:
                    self._idle.append(connection)
            else:
                connection.close()
        finally:
            self._slots.release()

    def close(self) -> None:
        """Close what is idle."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
