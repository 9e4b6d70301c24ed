"""A collector's agenda: when it runs next, and what it reads then.

Pure but for the state it keeps: it is told the time, what the source has seen and how runs ended.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256

from attrs import define, field

from signals_core.collector import Collector, WindowPolicy
from signals_core.coverage import Coverage, retry_delay
from signals_core.plugin import Schedule
from signals_core.window import Grain, Window, zone_named

_LONGEST_SPREAD = timedelta(minutes=1)
_SHORTEST_POLL = timedelta(milliseconds=50)
_LONGEST_POLL = timedelta(minutes=1)


@define
class Unreachable:
    """How long a source or its collectors are left alone after it could not be reached."""

    attempts: int = 0
    until: datetime | None = None

    def failed(self, now: datetime, not_before: timedelta | None = None) -> None:
        """Note a failure: the next try comes later each time, or when the source asked for."""
        self.attempts += 1
        self.until = now + (not_before or retry_delay(self.attempts))

    def worked(self) -> None:
        """Note that it could be reached."""
        self.attempts, self.until = 0, None

    def delayed(self, when: datetime | None) -> datetime | None:
        """Return `when`, put off until the next try."""
        return when if when is None or self.until is None else max(when, self.until)


@define
class Snapshots:
    """The agenda of a snapshot collector: it runs at each tick, and after a failure in between."""

    collector: Collector
    schedule: Schedule
    next_tick: datetime
    first_run: datetime | None = None
    unreachable: Unreachable = field(factory=Unreachable)
    retry_at: datetime | None = None
    dropped: int = 0

    @classmethod
    def starting(cls, collector: Collector, last_run: datetime | None, now: datetime) -> Snapshots:
        """Begin: one that missed a tick, or never ran, runs within a minute and the next tick."""
        assert collector.schedule is not None
        agenda = cls(collector, collector.schedule, tick_after(collector, now))
        if last_run is None or tick_after(collector, last_run) <= now:
            agenda.first_run = now + spread(collector.id, agenda.next_tick - now)
        return agenda

    def next_run(self, now: datetime) -> datetime:
        """Return when it runs next."""
        times = [self.next_tick, self.first_run, self.retry_at]
        return min(time for time in times if time is not None)

    def begin(self, now: datetime) -> None:
        """Note that a run begins: what has come due is done with."""
        self.first_run = self.retry_at = None
        if self.next_tick <= now:
            self.next_tick = tick_after(self.collector, now)

    def drop(self, now: datetime) -> None:
        """Note that a tick came while a run was under way."""
        if self.next_tick <= now:
            self.dropped += 1
        self.begin(now)

    def ended(self, now: datetime, *, failed: bool, pause: timedelta | None = None) -> None:
        """Note how a run ended. A failed one is tried again before the next tick, in its bucket."""
        if not failed:
            self.unreachable.worked()
            return
        self.unreachable.failed(now, pause)
        retry_at = self.unreachable.until
        assert retry_at is not None
        grain = self.collector.buckets
        same = grain is None or grain.window(now) == grain.window(retry_at)
        self.retry_at = retry_at if same and retry_at < self.next_tick else None


@define
class Windows:
    """The agenda of a windowed collector.

    A tick opens a pass that stays open until every window that ended before it is read or
    recorded. Without a schedule each window that falls due is a tick.
    """

    collector: Collector
    grain: Grain
    policy: WindowPolicy
    coverage: Coverage
    next_tick: datetime | None
    opened: datetime | None = None
    first_run: datetime | None = None
    unreachable: Unreachable = field(factory=Unreachable)
    not_before: datetime | None = None

    @classmethod
    def starting(cls, collector: Collector, coverage: Coverage, now: datetime) -> Windows:
        """Begin: one with a tick between the end of its oldest missing window and now runs."""
        grain = collector.buckets
        assert grain is not None
        assert collector.window is not None
        next_tick = tick_after(collector, now) if collector.schedule else None
        agenda = cls(collector, grain, collector.window, coverage, next_tick)
        missing = next(coverage.missing(grain, agenda.policy, now), None)
        if missing and (not collector.schedule or tick_after(collector, missing.end) <= now):
            room = next_tick - now if next_tick else _LONGEST_SPREAD
            agenda.first_run = agenda.not_before = now + spread(collector.id, room)
        return agenda

    def next_run(self, now: datetime) -> datetime | None:
        """Return when it runs next, None when nothing will ever come due."""
        work = self.coverage.next_due(
            self.grain, self.policy, base=self.opened is not None or not self.collector.schedule
        )
        times = [self.unreachable.delayed(self._delayed(work)), self.next_tick, self.first_run]
        return min((time for time in times if time is not None), default=None)

    def begin(self, now: datetime) -> None:
        """Note that a run begins: a tick or the start that has come opens the pass."""
        if self.first_run is not None and self.first_run <= now:
            self.first_run, self.opened = None, now
        if self.next_tick is not None and self.next_tick <= now:
            self.opened = self.next_tick
            self.next_tick = tick_after(self.collector, now)

    def choose(self, seen: datetime, now: datetime) -> Window | None:
        """Return the window to read now; None when there is none, or none that may be seen yet."""
        if self.unreachable.until is not None and self.unreachable.until > now:
            return None
        horizon = self.opened if self.collector.schedule else now
        for window in self.coverage.due(self.grain, self.policy, seen, now):
            known = self.coverage.covered.covers(window.start, window.end)
            if known or window.start in self.coverage.failures:
                return window
            if horizon is not None and window.end <= horizon:
                return window
        self._settle(seen, now)
        return None

    def _settle(self, seen: datetime, now: datetime) -> None:
        """With nothing to read, close the pass, or look again when the source may have moved."""
        if self.opened is not None:
            waiting = self.coverage.missing(self.grain, self.policy, now)
            first = next(waiting, None)
            late = first is not None and first.end <= self.opened
            if not late and not self._ends_within_grace():
                self.opened = None
        due = self.coverage.next_due(
            self.grain, self.policy, base=self.opened is not None or not self.collector.schedule
        )
        if due is not None and due <= now:
            self.not_before = now + min(max(due - seen, _SHORTEST_POLL), _LONGEST_POLL)

    def _ends_within_grace(self) -> bool:
        """Whether a window that ended before the pass opened still waits for its late rows."""
        assert self.opened is not None
        due = self.coverage.next_due(self.grain, self.policy, base=True)
        return due is not None and due - self.policy.grace <= self.opened

    def _delayed(self, when: datetime | None) -> datetime | None:
        if when is None or self.not_before is None:
            return when
        return max(when, self.not_before)


def tick_after(collector: Collector, moment: datetime) -> datetime:
    """Return the schedule's next tick, computed in the collector's zone, in UTC."""
    assert collector.schedule is not None
    local = moment.astimezone(zone_named(collector.timezone))
    return collector.schedule.next_after(local).astimezone(UTC)


def spread(collector_id: str, room: timedelta) -> timedelta:
    """Return how long a collector waits at start: always the same part of a minute or less."""
    part = int.from_bytes(sha256(collector_id.encode()).digest()[:4]) / 2**32
    return min(room, _LONGEST_SPREAD) * part
