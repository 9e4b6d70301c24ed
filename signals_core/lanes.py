"""Lanes: where the runs of one source queue, and the threads that work them off."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from threading import Condition, Thread, current_thread

from signals_core.clock import Clock

_log = logging.getLogger("signals")

_LINGER_SECONDS = 5.0
_LAST_STEPS = 5.0  # real seconds for a thread that has nothing left to do

Job = Callable[[], None]


class Lane:
    """The queue of one source. A job takes a thread only together with a connection slot.

    There are never more threads than slots, and none once there is nothing to do for a while. Jobs
    that are not urgent wait until no urgent one does.
    """

    def __init__(self, name: str, slots: int, clock: Clock) -> None:
        self._name = name
        self._slots = slots
        self._clock = clock
        self._changed = Condition()
        self._urgent: deque[Job] = deque()
        self._patient: deque[Job] = deque()
        self._threads: set[Thread] = set()
        self._idle: set[Thread] = set()
        self._last: set[Thread] = set()
        self._closed = False

    def submit(self, job: Job, *, urgent: bool = True) -> None:
        """Queue a job, which reports its own failures. After `close` it is let go of."""
        with self._changed:
            if not self._closed:
                (self._urgent if urgent else self._patient).append(job)
                self._start()

    def submit_if_idle(self, job: Job) -> None:
        """Run a job now, or not at all when something else runs."""
        with self._changed:
            if self._threads == self._idle and not (self._waiting or self._closed):
                self._urgent.append(job)
                self._start()

    def give_up(self, thread: Thread) -> None:
        """Let a thread go that does not come back: another one takes its place."""
        with self._changed:
            if thread in self._threads:
                self._leave(thread)
                if self._waiting:
                    self._start()

    def close(self) -> None:
        """Let go of what is queued; what runs goes on."""
        with self._changed:
            self._closed = True
            self._urgent.clear()
            self._patient.clear()
            self._changed.notify_all()

    def join(self, seconds: float) -> bool:
        """Wait until nothing runs; False when that takes longer than `seconds`."""
        deadline = self._clock.monotonic() + seconds
        with self._changed:
            while self._threads and (left := deadline - self._clock.monotonic()) > 0:
                self._clock.wait(self._changed, left)
            last, is_done = set(self._last), not self._threads
        for thread in last if is_done else ():
            thread.join(_LAST_STEPS)
        return is_done

    @property
    def is_busy(self) -> bool:
        """Whether anything runs or waits."""
        with self._changed:
            return bool(self._waiting or self._threads)

    @property
    def is_wanted(self) -> bool:
        """Whether a job waits for a slot."""
        return self._waiting > 0

    @property
    def _waiting(self) -> int:
        return len(self._urgent) + len(self._patient)

    def _start(self) -> None:
        self._changed.notify_all()
        if self._waiting > len(self._idle) and len(self._threads) < self._slots:
            thread = Thread(target=self._work, name=f"signals {self._name}", daemon=True)
            self._threads.add(thread)
            thread.start()

    def _leave(self, thread: Thread) -> None:
        self._threads.discard(thread)
        self._changed.notify_all()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            try:
                job()
            except Exception:  # noqa: BLE001 - logged, and the queue goes on
                _log.exception("a run of %s ended unexpectedly", self._name)

    def _next(self) -> Job | None:
        """Return the next job; None when the thread is to end, for want of work or of a place."""
        thread = current_thread()
        with self._changed:
            if not self._waiting and not self._closed and thread in self._threads:
                self._linger(thread)
            if self._waiting and thread in self._threads:
                return (self._urgent or self._patient).popleft()
            if thread in self._threads:
                self._last = {each for each in self._last if each.is_alive()} | {thread}
                self._leave(thread)
            return None

    def _linger(self, thread: Thread) -> None:
        """Wait a while for work, which mostly comes again."""
        until = self._clock.monotonic() + _LINGER_SECONDS
        self._idle.add(thread)
        while not (self._waiting or self._closed):
            left = until - self._clock.monotonic()
            if left <= 0:
                break
            self._clock.wait(self._changed, left)
        self._idle.discard(thread)
