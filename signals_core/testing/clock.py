"""A clock that stands still until a test moves it, for a runner or anything with threads.

A test builds what it tests with a `SimulatedClock`, starts it, and calls `advance`:

    clock = SimulatedClock()
    with Runner([collector], state_dir=folder, clock=clock) as runner:
        runner.start()
        clock.advance(60)   # a minute has passed, and everything that it brought about is done

How `advance` knows that everything is done, without sleeping: threads *take part* in the
simulation, and the simulation is *settled* when each of them waits in `clock.wait` with nobody
having notified it, or has finished. Then no one is left who could change anything but the test
itself, so time moves to the earliest deadline, those who wait for it are released, and so on until
the seconds have passed. A program sees the same instants whatever the machine does meanwhile.

- The threads that take part are those that were started after the clock was made and have a name
  that begins with "signals" (as all of a runner's do), and all that have ever waited through the
  clock; but not the one that calls `advance`.
- They must do all their waiting through the clock, with `seconds=None` to wait without an end. One
  that waits in another way (for a `Future`, a `Queue`, a lock held long, the network) is taken for
  one that works, and `advance` waits with it: right for a query at a real server, a deadlock when
  what it waits for needs time to move. After `patience` real seconds `advance` raises `NotSettled`,
  which shows where the busy threads are.
- Nobody may hold a condition while calling `advance`.
- As everywhere, a wait may return early: look at what was waited for again.
- Whether a thread that waits has been notified already, nothing public tells: the clock looks at
  the list of waiters that a `threading.Condition` keeps.
"""

from __future__ import annotations

import sys
import threading
import time
import traceback
from datetime import UTC, datetime, timedelta
from threading import Condition, Thread

from attrs import define

_MICROSECOND = timedelta(microseconds=1)

#: How often to look whether a thread has finished, which nothing announces.
_LOOK = 0.001


class NotSettled(AssertionError):
    """A thread that takes part neither waits through the clock nor finishes."""


@define(eq=False)
class _Wait:
    condition: Condition
    deadline: int | None
    is_over: bool = False


class SimulatedClock:
    """A clock for a `Runner` and a `Request`; its time passes by `advance` alone.

    `start` is the aware instant at which it stands, `patience` the real seconds that `advance`
    and `settle` wait for threads that neither wait through the clock nor finish. Which threads it
    waits for, and how, its module tells.
    """

    def __init__(
        self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC), *, patience: float = 30.0
    ) -> None:
        self._wall = start
        self._passed = 0  # in microseconds, which add up exactly
        self._patience = patience
        self._waits: dict[Thread, _Wait] = {}
        self._strangers = set(threading.enumerate())
        self._waited: set[Thread] = set()
        self._changes = 0
        self._changed = Condition(threading.Lock())

    def now(self) -> datetime:
        """Return the instant at which it stands, aware."""
        with self._changed:
            return self._wall + self._passed * _MICROSECOND

    def monotonic(self) -> float:
        """Return the seconds that have passed since it was made."""
        with self._changed:
            return self._passed / 1_000_000

    def wait(self, condition: Condition, seconds: float | None) -> bool:
        """Wait on `condition`, which the caller holds, until notified or time has passed."""
        if seconds is not None and seconds <= 0:
            return False
        wait = self._enter(condition, seconds)
        try:
            condition.wait()
        finally:
            self._leave()
        return not wait.is_over

    def advance(self, seconds: float) -> None:
        """Let seconds pass, and return when all that happens in them has happened.

        Raises `NotSettled` when a thread goes on working for longer than the clock's patience.
        """
        until = self._passed + _microseconds(seconds)
        self.settle()
        while (deadline := self._next_deadline()) is not None and deadline <= until:
            self._move_to(deadline)
            self.settle()
        self._move_to(until)

    def hurry(self, seconds: float) -> None:
        """Let seconds pass from whole minute to whole minute, which is quick for hours and days.

        As on a machine that is busy: what falls between two of them happens at the later one.
        """
        until = self.now() + timedelta(seconds=seconds)
        self.settle()
        while (now := self.now()) < until:
            minute = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
            self._move_to(self._passed + (min(minute, until) - now) // _MICROSECOND)
            self.settle()

    def step_wall(self, seconds: float) -> None:
        """Set the wall clock forward; monotonic time and those who wait see nothing of it."""
        with self._changed:
            self._wall += timedelta(seconds=seconds)

    def settle(self) -> None:
        """Return when every thread that takes part waits or has finished; no time passes."""
        give_up = time.monotonic() + self._patience
        while True:
            with self._changed:
                changes = self._changes
            busy = self._busy()
            with self._changed:
                # What nobody has entered or left while we looked was all true at the same time.
                if not busy and changes == self._changes:
                    return
                if changes == self._changes:
                    self._changed.wait(_LOOK)
            if time.monotonic() > give_up:
                raise NotSettled(_portrait(busy))

    def _enter(self, condition: Condition, seconds: float | None) -> _Wait:
        thread = threading.current_thread()
        with self._changed:
            deadline = None if seconds is None else self._passed + _microseconds(seconds)
            wait = self._waits[thread] = _Wait(condition, deadline)
            self._waited.add(thread)
            self._count()
        return wait

    def _leave(self) -> None:
        with self._changed:
            del self._waits[threading.current_thread()]
            self._count()

    def _count(self) -> None:
        self._changes += 1
        self._changed.notify_all()

    def _next_deadline(self) -> int | None:
        with self._changed:
            deadlines = [wait.deadline for wait in self._waits.values()]
        return min((each for each in deadlines if each is not None), default=None)

    def _move_to(self, instant: int) -> None:
        with self._changed:
            self._passed = instant
            over = [
                wait
                for wait in self._waits.values()
                if wait.deadline is not None and wait.deadline <= instant
            ]
            for wait in over:
                wait.is_over = True
        for wait in over:
            with wait.condition:
                wait.condition.notify_all()

    def _busy(self) -> set[Thread]:
        """Return the threads that take part and do not wait, or were notified a moment ago."""
        with self._changed:
            waits = dict(self._waits)
        busy = self._taking_part() - waits.keys()
        for condition in {wait.condition for wait in waits.values()}:
            threads = {thread for thread, wait in waits.items() if wait.condition is condition}
            if _asleep(condition) < len(threads):
                busy |= threads
        return busy

    def _taking_part(self) -> set[Thread]:
        named = {each for each in threading.enumerate() if each.name.startswith("signals")}
        with self._changed:
            self._waited = {thread for thread in self._waited if thread.is_alive()}
            return (named - self._strangers | self._waited) - {threading.current_thread()}


def _asleep(condition: Condition) -> int:
    """Return how many threads wait on a condition and have not been notified."""
    if not condition.acquire(timeout=_LOOK):
        return 0
    try:
        # Nothing public tells.
        return len(condition._waiters)  # type: ignore[attr-defined]  # noqa: SLF001
    finally:
        condition.release()


def _microseconds(seconds: float) -> int:
    return max(round(seconds * 1_000_000), 1 if seconds > 0 else 0)


def _portrait(threads: set[Thread]) -> str:
    frames = sys._current_frames()  # noqa: SLF001 - as the documentation of sys has it
    lines = ["these threads neither wait through the clock nor finish:"]
    for thread in sorted(threads, key=lambda each: each.name):
        frame = frames.get(thread.ident or 0)
        lines += [f"\n{thread.name}:", *(traceback.format_stack(frame) if frame else [])]
    return "\n".join(lines)
