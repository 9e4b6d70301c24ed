"""The watch over calls of sources: cancels what is late, and gives up what does not obey."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock, Thread, current_thread

from attrs import define

from signals_core.clock import Clock
from signals_core.plugin import Request

_GRACE_SECONDS = 2.0
_OBEY_SECONDS = 10.0

GiveUp = Callable[[Thread], None]


class GivenUp(Exception):
    """A call came back after it was given up: nothing must come of it."""


@define(eq=False)
class Call:
    """A call under way: until when it may take, and whether it was cancelled."""

    thread: Thread
    until: float
    request: Request | None
    give_up: GiveUp
    is_cancelled: bool = False


class Watch:
    """Watches calls, each in the thread that makes it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._calls: set[Call] = set()
        self._lock = Lock()

    @contextmanager
    def over(self, seconds: float, request: Request | None, give_up: GiveUp) -> Iterator[Call]:
        """Watch what is done inside, which may take so many seconds.

        `give_up` is called, in another thread, when it does not end: all that was to follow is
        then its business, and should the call end after all, `GivenUp` is raised.
        """
        until = self._clock.monotonic() + seconds + _GRACE_SECONDS
        call = Call(current_thread(), until, request, give_up)
        with self._lock:
            self._calls.add(call)
        try:
            yield call
        finally:
            if not self._take(call):
                raise GivenUp

    def look(self) -> None:
        """Cancel what is late, and give up what was cancelled and does not end."""
        now = self._clock.monotonic()
        with self._lock:
            late = [call for call in self._calls if call.until < now]
        for call in late:
            if call.is_cancelled or call.request is None:
                self._give_up(call)
            else:
                self._cancel(call, "the read took longer than its timeout, and was cancelled")

    @property
    def has_late(self) -> bool:
        """Whether there is anything to look at."""
        now = self._clock.monotonic()
        with self._lock:
            return any(call.until < now for call in self._calls)

    def cancel(self, reason: str) -> None:
        """Cancel every call at its source."""
        for call in self._all():
            self._cancel(call, reason)

    def give_up(self) -> None:
        """Give up whatever has not ended."""
        for call in self._all():
            self._give_up(call)

    def _all(self) -> tuple[Call, ...]:
        with self._lock:
            return tuple(self._calls)

    def _cancel(self, call: Call, reason: str) -> None:
        call.is_cancelled = True
        call.until = self._clock.monotonic() + _OBEY_SECONDS
        if call.request is not None:
            call.request.cancel(reason)

    def _give_up(self, call: Call) -> None:
        if self._take(call):
            call.give_up(call.thread)

    def _take(self, call: Call) -> bool:
        """Whether it is for the caller to say what comes of a call."""
        with self._lock:
            if call not in self._calls:
                return False
            self._calls.remove(call)
            return True
