"""The clock of the daemon: tells when the next run of each collector has come.

The library `schedule` keeps the jobs and runs them. Two names of its `Job` are overridden, since it
thinks in naive local time and we in aware UTC by a clock that is passed in; and its `Scheduler`
gets a heap, since it looks at every job in every pass.
"""

from __future__ import annotations

import heapq
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from threading import Condition, Thread, current_thread
from traceback import format_exc
from typing import TypeAlias

import schedule

from signals_core.clock import Clock
from signals_core.errors import reason_of
from signals_core.secret import mask

NextRun: TypeAlias = Callable[[datetime], datetime | None]
"""Given now, the instant at which a job is to fire: in the future, or past when it is due now.
None: not until it is woken."""

Fire: TypeAlias = Callable[[datetime], None]
"""Queues the run of a tick, and returns at once."""

_log = logging.getLogger("signals")

#: The longest wait: what the wall clock does in it is noticed no later.
_LONGEST_WAIT = 1.0
#: How far the wall clock may move against the monotonic one between two passes.
_STEP = 5.0
#: When a job is looked at again that has just fired and says that it is due.
_PAUSE = timedelta(seconds=1)
#: When a job is asked again that could not say when it is due.
_AFTER_FAILURE = timedelta(minutes=1)


class Timer:
    """Fires jobs at their ticks, in a thread of its own between `start()` and `stop()`.

    A job fires with the instant at which it was due, however late it comes, and never early. One
    that comes late fires once: it is then asked for its next run after the present. After a step
    of the wall clock all are asked anew.

    `next_run` and `fire` are called in the timer's thread, one at a time and under no lock. What
    they raise is logged and keeps no other job from running; a job that cannot say when it is due
    is asked again after a minute. All methods may be called from any thread, also from those two.

    `passed_at` is the clock's `monotonic()` at the last pass, at most a second or so ago while the
    timer is well.
    """

    def __init__(self, clock: Clock) -> None:
        self.passed_at = clock.monotonic()
        self._clock = clock
        self._scheduler = _Scheduler(clock)
        self._jobs: dict[str, _Job] = {}
        self._changed = Condition()
        self._news: dict[_Job, None] = {}
        self._thread: Thread | None = None
        self._is_stopping = False

    def add(self, key: str, next_run: NextRun, fire: Fire) -> None:
        """Add a job. Raises `ValueError` when there is one of that key.

        `next_run(now)` returns an aware instant that has not fired yet; one that is past is due
        now. A job that is due again as soon as it has fired, without having been woken, comes a
        second later.
        """
        with self._changed:
            if key in self._jobs:
                raise ValueError(f"the timer has a job {key!r} already")
            self._jobs[key] = _Job(key, next_run, fire, self._scheduler)
            self._tell(self._jobs[key])

    def wake(self, key: str) -> None:
        """Ask a job for its next run, because something has changed; nothing when it is gone."""
        with self._changed:
            if key in self._jobs:
                self._tell(self._jobs[key])

    def next_run(self, key: str) -> datetime | None:
        """Return when a job fires next, as far as that is known; None when it is gone."""
        job = self._jobs.get(key)
        return None if job is None else job.next_run

    def remove(self, key: str) -> None:
        """Remove a job, if it is there: it fires no more, but for a call that is under way."""
        with self._changed:
            job = self._jobs.pop(key, None)
            if job is not None:
                job.is_removed = True
                self._tell(job)

    def start(self) -> None:
        """Start the thread, unless it runs. A timer that was stopped goes on."""
        with self._changed:
            if self._thread is None or not self._thread.is_alive():
                self._is_stopping = False
                self._thread = Thread(target=self._run, name="signals timer", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it, unless it is the caller's own; the jobs are kept."""
        with self._changed:
            thread = self._thread
            self._is_stopping = True
            self._changed.notify_all()
        if thread is not None and thread is not current_thread():
            thread.join()

    def _tell(self, job: _Job) -> None:
        self._news[job] = None
        self._changed.notify_all()

    def _run(self) -> None:
        while not self._is_stopping:
            self.passed_at = self._clock.monotonic()
            self._scheduler.run_pending()
            for job in self._take_news():
                self._scheduler.review(job)
            self._rest()

    def _take_news(self) -> dict[_Job, None]:
        with self._changed:
            news, self._news = self._news, {}
        return news

    def _rest(self) -> None:
        with self._changed:
            seconds = self._scheduler.idle_seconds
            if seconds > 0 and not self._news and not self._is_stopping:
                self._clock.wait(self._changed, seconds)


class _Job(schedule.Job):
    """One job. Its ticks are aware, in UTC, and asked for instead of computed from a unit."""

    def __init__(self, key: str, next_run: NextRun, fire: Fire, scheduler: _Scheduler) -> None:
        super().__init__(1, scheduler)
        self.key = key
        self.is_removed = False
        self.place: int | None = None
        self._scheduler = scheduler
        self._ask = next_run
        self._submit = fire
        self._has_fired = False

    @property
    def should_run(self) -> bool:
        """Whether its tick has come."""
        return (
            self.next_run is not None
            and self.next_run <= self._scheduler.now
            and not self.is_removed
        )

    def fire(self) -> None:
        """Hand on the tick that has come."""
        assert self.next_run is not None
        self._has_fired = True
        try:
            self._submit(self.next_run)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other jobs go on
            self._complain("its run could not be queued", error)

    def _schedule_next_run(self) -> None:
        """Ask for the next tick, and say when to look at the job again."""
        has_fired, self._has_fired = self._has_fired, False
        now = self._scheduler.now
        try:
            self.next_run = look_at = self._next_tick()
        except Exception as error:  # noqa: BLE001 - whatever it is, the other jobs go on
            self._complain("its next run is unknown", error)
            self.next_run, look_at = None, now + _AFTER_FAILURE
        if has_fired and look_at is not None and look_at <= now:
            look_at = now + _PAUSE
        self._scheduler.put(self, look_at)

    def _next_tick(self) -> datetime | None:
        tick = None if self.is_removed else self._ask(self._scheduler.latest)
        if tick is None:
            return None
        if tick.tzinfo is None:
            raise ValueError(f"{tick.isoformat()} has no time zone")
        return tick.astimezone(UTC)

    def _complain(self, what: str, error: Exception) -> None:
        _log.error("%s: %s: %s", self.key, what, reason_of(error))
        _log.debug("%s", mask(format_exc()))


class _Scheduler(schedule.Scheduler):
    """The jobs, and a heap of the instants at which to look at them.

    `now` is the present of a pass. `latest` is what jobs are asked with: it does not go back when
    the clock does so by a little, or a tick would come twice.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.now = self.latest = clock.now()
        self._clock = clock
        self._offset = _offset(self.now, clock)
        self._heap: list[tuple[datetime, int, _Job]] = []
        self._places = count()

    def run_pending(self) -> None:
        """Run what is due, the oldest tick first. After a step of the clock, ask all anew."""
        step = self._read_clock()
        while (job := self._take()) is not None:
            if job.should_run:
                self._run_job(job)
            else:
                job._schedule_next_run()  # noqa: SLF001 - the library's name for it
        if abs(step) > _STEP:
            self._ask_all(step)

    def review(self, job: _Job) -> None:
        """Take in a job that is new, has changed or is removed."""
        if job.is_removed:
            job.place = None
            self.cancel_job(job)
        elif job.job_func is None:
            job.do(job.fire)
        else:
            job._schedule_next_run()  # noqa: SLF001 - the library's name for it

    def put(self, job: _Job, at: datetime | None) -> None:
        """Look at `job` at that instant and no other; None: not at all."""
        job.place = None
        if at is not None:
            job.place = next(self._places)
            heapq.heappush(self._heap, (at, job.place, job))
        if len(self._heap) > 2 * len(self.jobs) + 100:
            self._heap = [entry for entry in self._heap if _holds(entry)]
            heapq.heapify(self._heap)

    @property
    def idle_seconds(self) -> float:
        """The seconds to wait for the next look at a job."""
        if not self._heap:
            return _LONGEST_WAIT
        left = self._heap[0][0] - self._clock.now()
        return min(left.total_seconds(), _LONGEST_WAIT)

    def _ask_all(self, step: float) -> None:
        _log.warning(
            "the wall clock stepped by %+.1f s (it was set, or the machine slept):"
            " all next runs are computed anew",
            step,
        )
        self.latest = self.now
        for job in self.jobs:
            job._schedule_next_run()  # noqa: SLF001 - the library's name for it

    def _read_clock(self) -> float:
        """Begin a pass, and return by how much the wall clock was set since the last one."""
        self.now = self._clock.now()
        self.latest = max(self.latest, self.now)
        before, self._offset = self._offset, _offset(self.now, self._clock)
        return self._offset - before

    def _take(self) -> _Job | None:
        """Return a job to look at in this pass, each job once."""
        while self._heap and self._heap[0][0] <= self.now:
            entry = heapq.heappop(self._heap)
            if _holds(entry):
                return entry[2]
        return None


def _holds(entry: tuple[datetime, int, _Job]) -> bool:
    """Whether nothing else has been decided about a job since."""
    _, place, job = entry
    return job.place == place


def _offset(now: datetime, clock: Clock) -> float:
    return now.timestamp() - clock.monotonic()
