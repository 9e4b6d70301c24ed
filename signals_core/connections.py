"""Plugins in use: opened once, shared by the collectors that name them, reopened when broken."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from hashlib import sha256
from threading import Condition, Thread, current_thread
from typing import Generic, TypeVar

from signals_core.errors import Rejected, RetryAfter, Unavailable
from signals_core.fields import sameness_of, secrets_in
from signals_core.plugin import Plugin
from signals_core.secret import Secret

P = TypeVar("P", bound=Plugin)


class Connection(Generic[P]):
    """One plugin instance and the calls that may run on it at the same time.

    It is opened before its first use. After a failure that says that the connection is broken it
    is closed as soon as no call is in flight, and opened again for the next one. For a call that
    does not end, one that opens or closes it included, nobody waits; it keeps its place. One that
    is retired is closed whenever no call is in flight.
    """

    def __init__(self, plugin: P, limit: int) -> None:
        self.plugin = plugin
        self._limit = limit
        self._changed = Condition()
        self._in_flight = 0
        self._abandoned: list[Thread] = []
        self._is_open = False
        self._is_broken = False
        self._is_retired = False
        self._opened_with: Sequence[bytes | None] = ()

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
        self._close_if_retired()

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

    def retire(self) -> bool:
        """Have it closed as soon as no call is in flight; whether it is."""
        with self._changed:
            self._is_retired = True
        self._close_if_retired()
        return not self._is_open

    def take_back(self) -> None:
        """Have it stay open again, because it is needed after all."""
        with self._changed:
            self._is_retired = False

    def refresh(self) -> bool:
        """Have it reopened when a secret is no longer what it was opened with; whether it is."""
        with self._changed:
            if not self._is_open or self._opened_with == _secrets(self.plugin):
                return False
            self._is_broken = True
            return True

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

    def _close_if_retired(self) -> None:
        with self._changed:
            if not (self._is_retired and self._is_open) or self._in_flight:
                return
            self._in_flight += 1
            self._is_open = self._is_broken = False
        try:
            with suppress(Exception):  # nobody needs it any more
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
        self._opened_with = _secrets(self.plugin)
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
        self._by_key[key].take_back()
        return self._by_key[key]

    def retain(self, used: Collection[Connection[P]]) -> None:
        """Retire all others: one whose call does not end yet can be taken back."""
        for key, connection in list(self._by_key.items()):
            if connection not in used and connection.retire():
                del self._by_key[key]

    def __iter__(self) -> Iterator[Connection[P]]:
        return iter(self._by_key.values())

    def close(self) -> None:
        """Close them all, even when one fails."""
        with ExitStack() as stack:
            for connection in self:
                stack.callback(connection.close)


def _secrets(plugin: Plugin) -> Sequence[bytes | None]:
    """Return what tells whether the secrets of a plugin are the same as before."""
    return [_digest(secret) for secret in secrets_in(plugin)]


def _digest(secret: Secret) -> bytes | None:
    try:
        return sha256(secret.reveal().encode(errors="surrogatepass")).digest()
    except LookupError:
        return None


def breaks_connection(error: BaseException) -> bool:
    """Whether a failed `open`, `watermark` or `write` says that the plugin must be reopened."""
    return not isinstance(error, (RetryAfter, Rejected))


def breaks_source(error: BaseException) -> bool:
    """Whether a failed `read` or `check` says that the plugin must be reopened."""
    return isinstance(error, Unavailable)
