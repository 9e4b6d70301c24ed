"""Plugins in use: opened once, shared by the collectors that name them, reopened when broken."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from threading import Condition, Thread, current_thread
from typing import Generic, TypeVar

from signals_core.errors import Rejected, RetryAfter, Unavailable
from signals_core.fields import sameness_of
from signals_core.plugin import Plugin

P = TypeVar("P", bound=Plugin)


class Connection(Generic[P]):
    """One plugin instance and the calls that may run on it at the same time.

    It is opened before its first use. After a failure that says that the connection is broken it
    is closed as soon as no call is in flight, and opened again for the next one. For a call that
    does not end, one that opens or closes it included, nobody waits; it keeps its place.
    """

    def __init__(self, plugin: P, limit: int) -> None:
        self.plugin = plugin
        self._limit = limit
        self._changed = Condition()
        self._in_flight = 0
        self._abandoned: list[Thread] = []
        self._is_open = False
        self._is_broken = False

    def acquire(self, opening: Callable[[], AbstractContextManager[object]] = nullcontext) -> P:
        """Wait for a free place and return the plugin, open. Raises what its `open` raises.

        Where it must be opened that is done within `opening`.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._has_room() or self._is_stuck())
            if not self._has_room():
                raise Unavailable("it is still busy with a call that does not end")
            self._in_flight += 1
            if self._is_open and not self._is_broken:
                return self.plugin
        # Nothing else is in flight, and nothing comes: it is no longer, or not yet, open.
        is_opened = False
        try:
            with opening():
                self._reopen()
                is_opened = True
        except BaseException:
            self.release(broken=is_opened)
            raise
        with self._changed:
            self._is_open = True
            self._changed.notify_all()
        return self.plugin

    def release(self, *, broken: bool = False) -> None:
        """Give the place back."""
        with self._changed:
            self._in_flight -= 1
            self._abandoned = [each for each in self._abandoned if each is not current_thread()]
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
            if self._in_flight:
                return
            self._in_flight += 1
            self._is_open = self._is_broken = False
        try:
            self.plugin.close()
        finally:
            self.release()

    def _has_room(self) -> bool:
        if self._is_broken or not self._is_open:
            return not self._in_flight
        return self._in_flight < self._limit

    def _is_stuck(self) -> bool:
        """Whether all that is in flight has been abandoned."""
        self._abandoned = [thread for thread in self._abandoned if thread.is_alive()]
        return 0 < self._in_flight <= len(self._abandoned)

    def _reopen(self) -> None:
        if self._is_broken:
            self._is_open = self._is_broken = False
            with suppress(Exception):  # what is broken may be closed no better
                self.plugin.close()
        try:
            self.plugin.open()
        except BaseException as error:
            if breaks_connection(error):
                with suppress(Exception):  # what counts is why it did not open
                    self.plugin.close()
            raise


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
