"""Lanes: where the runs of one source queue, and the threads that work them off."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from threading import Condition, Thread

_log = logging.getLogger("signals")

Job = Callable[[], None]


class Lane:
    """The queue of one source. A job takes a thread only together with a connection slot.

    There are never more threads than slots, and none while there is nothing to do. Jobs that are
    not urgent wait until no urgent one does.
    """

    def __init__(self, name: str, slots: int) -> None:
        self._name = name
        self._slots = slots
        self._changed = Condition()
        self._urgent: deque[Job] = deque()
        self._patient: deque[Job] = deque()
        self._threads = 0
        self._closed = False

    def submit(self, job: Job, *, urgent: bool = True) -> None:
        """Queue a job, which reports its own failures. After `close` it is let go of."""
        with self._changed:
            if self._closed:
                return
            (self._urgent if urgent else self._patient).append(job)
            if self._threads < self._slots:
                self._threads += 1
                Thread(target=self._work, name=f"signals {self._name}", daemon=True).start()

    def close(self) -> None:
        """Let go of what is queued; what runs goes on."""
        with self._changed:
            self._closed = True
            self._urgent.clear()
            self._patient.clear()

    def join(self, seconds: float) -> bool:
        """Wait until nothing runs; False when that takes longer than `seconds`."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._threads, max(seconds, 0))

    def _work(self) -> None:
        while (job := self._next()) is not None:
            try:
                job()
            except Exception:  # noqa: BLE001 - logged, and the queue goes on
                _log.exception("a run of %s ended unexpectedly", self._name)

    def _next(self) -> Job | None:
        with self._changed:
            for queue in (self._urgent, self._patient):
                if queue:
                    return queue.popleft()
            self._threads -= 1
            self._changed.notify_all()
            return None
