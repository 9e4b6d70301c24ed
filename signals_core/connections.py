"""Plugins in use: opened once, shared by the collectors that name them, reopened when broken."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from threading import Condition, Thread
from typing import Generic, TypeVar

from signals_core.errors import Rejected, RetryAfter, Unavailable
from signals_core.fields import sameness_of
from signals_core.plugin import Plugin

P = TypeVar("P", bound=Plugin)


class Connection(Generic[P]):
    """One plugin instance and the calls that may run on it at the same time.

    It is opened before its first use. After a failure that says that the connection is broken it
    is closed as soon as no call is in flight, and opened again for the next one. For a call that
    does not end nobody waits; it keeps its place.
    """

    def __init__(self, plugin: P, limit: int) -> None:
        self.plugin = plugin
        self._limit = limit
        self._changed = Condition()
        self._in_flight = 0
        self._abandoned: list[Thread] = []
        self._is_open = False
        self._is_broken = False

    def acquire(self) -> P:
        """Wait for a free place and return the plugin, open. Raises what its `open` raises."""
        with self._changed:
            self._changed.wait_for(lambda: self._has_room() or self._is_stuck())
            if not self._has_room():
                raise Unavailable("it is still busy with a call that does not end")
            if self._is_broken:
                with suppress(Exception):  # what is broken may be closed no better
                    self._close()
            if not self._is_open:
                self._open()
            self._in_flight += 1
        return self.plugin

    def release(self, *, broken: bool = False) -> None:
        """Give the place back."""
        with self._changed:
            self._in_flight -= 1
            self._is_broken = self._is_broken or broken
            self._changed.notify_all()

    @contextmanager
    def use(self, breaks: Callable[[BaseException], bool] | None = None) -> Iterator[P]:
        """Hold the plugin for one call; `breaks` says which failures break the connection.

        By default all do but `RetryAfter` and `Rejected`.
        """
        plugin = self.acquire()
        try:
            yield plugin
        except BaseException as error:
            self.release(broken=(breaks or breaks_connection)(error))
            raise
        self.release()

    def abandon(self, thread: Thread) -> None:
        """Say that the call in `thread` obeys nobody: what waits for it waits no longer."""
        with self._changed:
            self._abandoned.append(thread)
            self._changed.notify_all()

    def close(self) -> None:
        """Wait until no call is in flight, and close; with an abandoned one it stays open."""
        with self._changed:
            self._changed.wait_for(lambda: not self._in_flight or self._is_stuck())
            if not self._in_flight:
                self._close()

    def _has_room(self) -> bool:
        if self._is_broken or not self._is_open:
            return not self._in_flight
        return self._in_flight < self._limit

    def _is_stuck(self) -> bool:
        """Whether all that is in flight has been abandoned."""
        self._abandoned = [thread for thread in self._abandoned if thread.is_alive()]
        return 0 < self._in_flight <= len(self._abandoned)

    def _open(self) -> None:
        try:
            self.plugin.open()
        except BaseException as error:
            if breaks_connection(error):
                with suppress(Exception):  # what counts is why it did not open
                    self.plugin.close()
            raise
        self._is_open = True

    def _close(self) -> None:
        self._is_open = self._is_broken = False
        self.plugin.close()


class Connections(Generic[P]):
    """The connections of a runner: plugins of one type with equal fields share one."""

    def __init__(self) -> None:
        self._by_key: dict[Hashable, Connection[P]] = {}

    def add(self, plugin: P, limit: int) -> Connection[P]:
        """Return the connection of `plugin`, which may be that of an equal one."""
        key = sameness_of(plugin)
        if key not in self._by_key:
            self._by_key[key] = Connection(plugin, limit)
        return self._by_key[key]

    def __iter__(self) -> Iterator[Connection[P]]:
        return iter(self._by_key.values())

    def close(self) -> None:
        """Close them all, even when one fails."""
        with ExitStack() as stack:
            for connection in self:
                stack.callback(connection.close)


def breaks_connection(error: BaseException) -> bool:
    """Whether a failed `open`, `watermark` or `write` says that the plugin must be reopened."""
    return not isinstance(error, (RetryAfter, Rejected))


def breaks_source(error: BaseException) -> bool:
    """Whether a failed `read` or `check` says that the plugin must be reopened."""
    return isinstance(error, Unavailable)
