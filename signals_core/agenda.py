"""A collector's agenda: when it runs next, and what it reads then.

Pure but for the state it keeps: it is told the time, what the source has seen and how runs ended.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TypeAlias

from attrs import define, field

from signals_core.collector import Collector, WindowPolicy
from signals_core.coverage import LATEST, Coverage, Span, within
from signals_core.retries import Unreachable
from signals_core.ticks import LONGEST_SPREAD, Ticks, spread
from signals_core.window import Grain, Window

_MOMENT = timedelta(microseconds=1)
_SHORTEST_POLL = timedelta(milliseconds=50)
_LONGEST_POLL = timedelta(minutes=1)
_MANY_TICKS = 10_000  # that are counted one by one
_STEP = timedelta(seconds=5)  # a clock that goes back by less is not taken to have been set


@define
class Snapshots:
    """The agenda of a snapshot collector: it runs at each tick, and after a failure in between.

    `dropped` counts the ticks that came while a run was under way, `missed` those that came while
    it was paused; `not_before` is what the source has asked for.
    """

    collector: Collector
    ticks: Ticks
    first_run: datetime | None = None
    unreachable: Unreachable = field(factory=Unreachable)
    retry_at: datetime | None = None
    not_before: datetime | None = None
    dropped: int = 0
    missed: int = 0
    _asked: datetime | None = None

    @classmethod
    def starting(
        cls,
        collector: Collector,
        last_run: datetime | None,
        now: datetime,
        most: timedelta = LONGEST_SPREAD,
    ) -> Snapshots:
        """Begin: one that missed a tick, or never ran, runs within `most` and the next tick."""
        agenda = cls(collector, Ticks(collector))
        agenda.ticks.move(now, now)
        tick = agenda.next_tick
        if tick and (last_run is None or agenda.ticks.count(last_run, now, 1)):
            agenda.first_run = now + spread(collector.id, min(tick - now, most))
        return agenda

    @classmethod
    def following(cls, collector: Collector, before: Agenda, now: datetime) -> Snapshots:
        """Go on as a collector that has changed: what was owed comes at once."""
        agenda = cls(collector, Ticks(collector))
        agenda.ticks.move(now, now)
        if not isinstance(before, Snapshots):
            agenda.first_run = now
        elif before.is_owing(now):
            agenda.first_run = now
            agenda.missed, agenda.dropped = before.missed, before.dropped
        return agenda

    @property
    def next_tick(self) -> datetime | None:
        """The next tick, None while it is unknown."""
        return self.ticks.next

    def is_owing(self, now: datetime) -> bool:
        """Whether a run is owed: by a tick that has come, at start, or after one that failed."""
        return bool(
            self._has_come(now) or self.first_run or self.missed or self.unreachable.attempts
        )

    def next_run(self, now: datetime) -> datetime | None:
        """Return when it runs next, or when to ask again for a tick that is unknown."""
        self._notice(now)
        self.ticks.look(now)
        times = [self.next_tick, self.ticks.ask_at, self.first_run, self.retry_at]
        return min((time for time in times if time is not None), default=None)

    def begin(self, now: datetime) -> bool:
        """Take up what has come due; whether it is to run now."""
        self.first_run = self.retry_at = None
        if self._has_come(now):
            self.ticks.move(now, now)
            self.unreachable.attempts = 0
        if self.not_before is None or self.not_before <= now:
            return True
        self._try_again(self.not_before, of=now)
        return False

    def meanwhile(self, now: datetime) -> None:
        """Drop a tick that comes while a run is under way."""
        if self._has_come(now):
            self.dropped += 1
            self.ticks.move(now, now)

    def pass_over(self, now: datetime) -> None:
        """Miss a tick that comes while it is paused."""
        if self._has_come(now):
            self.missed += 1
            self.ticks.move(now, now)

    def missed_since(self, since: datetime, now: datetime) -> None:
        """Count the ticks that have come since it was paused."""
        self.missed = self.ticks.count(since, now, _MANY_TICKS)

    def put_off(self, now: datetime) -> None:
        """Owe a run that was not begun when its turn came."""
        self.first_run = now

    def resume(self, now: datetime) -> None:
        """Run now when ticks were missed."""
        if self.missed:
            self.first_run = now

    def take_missed(self) -> int:
        """Return how many ticks were missed in pauses since this was asked last."""
        count, self.missed = self.missed, 0
        return count

    def take_dropped(self) -> int:
        """Return how many ticks were dropped since this was asked last."""
        count, self.dropped = self.dropped, 0
        return count

    def worked(self) -> None:
        """Note that a run succeeded."""
        self.unreachable.worked()
        self.not_before = None

    def failed(
        self, began: datetime, now: datetime, pause: timedelta | None, *, asked: bool = False
    ) -> None:
        """Note that a run failed: it is tried again before the next tick, in its own bucket.

        `asked`: the pause is what the source wants, also beyond the next tick.
        """
        again = self.unreachable.failed(now, pause)
        self.not_before = again if asked else None
        self._try_again(again, of=began)

    def _try_again(self, when: datetime, *, of: datetime) -> None:
        grain = self.collector.buckets
        same = grain is None or grain.window(of) == grain.window(when)
        comes_first = self.next_tick is None or when < self.next_tick
        self.retry_at = when if same and comes_first else None

    def _has_come(self, now: datetime) -> bool:
        return self.next_tick is not None and self.next_tick <= now

    def _notice(self, now: datetime) -> None:
        """Notice a clock that was set back: what was to come by it comes as much earlier."""
        back = _set_back(self._asked, now)
        if back is not None:
            self.ticks.move(now, now)
            self.first_run = _earlier(self.first_run, back)
            self.retry_at = _earlier(self.retry_at, back)
            self.not_before = _earlier(self.not_before, back)
        self._asked = now


@define
class Windows:
    """The agenda of a windowed collector.

    A tick opens a pass: every window that ended by `horizon`, the latest tick, is to be read or
    recorded, however long that takes. `previous` is the horizon before. Without a schedule each
    window that falls due is a tick, and the horizon is everything.

    `coverage` is a guess by the clock until `is_seen`: what a source shows at first sight decides.
    """

    collector: Collector
    grain: Grain
    policy: WindowPolicy
    coverage: Coverage
    ticks: Ticks | None = None
    horizon: datetime | None = None
    previous: datetime | None = None
    unreachable: Unreachable = field(factory=Unreachable)
    not_before: datetime | None = None
    is_seen: bool = False
    _asked: datetime | None = None

    @classmethod
    def starting(
        cls,
        collector: Collector,
        known: Coverage | None,
        now: datetime,
        most: timedelta = LONGEST_SPREAD,
    ) -> Windows:
        """Begin: one with a tick between the end of its oldest missing window and now runs.

        That is within `most`, and before the next one.
        """
        grain, policy = collector.buckets, collector.window
        assert grain is not None
        assert policy is not None
        coverage = known or Coverage.at_first_sight(grain, policy, now)
        agenda = cls(collector, grain, policy, coverage.with_policy(policy, now), horizon=LATEST)
        next_due = grain.window(now - policy.grace).end + policy.grace
        if collector.schedule is not None:
            agenda.ticks = ticks = Ticks(collector)
            missing = coverage.first_missing(grain, now)
            agenda.horizon = ticks.last(missing.end, now) if missing else None
            if ticks.ask_at is None:
                ticks.move(now, now)
            next_due = ticks.next or next_due
        work = agenda._work(now)
        if work is not None and work <= now:
            agenda.not_before = now + spread(collector.id, min(next_due - now, most))
        return agenda

    @property
    def next_tick(self) -> datetime | None:
        """The next tick, None without a schedule and while it is unknown."""
        return None if self.ticks is None else self.ticks.next

    def next_run(self, now: datetime) -> datetime | None:
        """Return when it runs next, or when to ask again for a tick that is unknown.

        None when nothing will ever come due.
        """
        self._notice(now)
        times = [self._next_work(now)]
        if self.ticks is not None:
            self.ticks.look(now)
            times += [self.ticks.next, self.ticks.ask_at]
        return min((time for time in times if time is not None), default=None)

    def begin(self, now: datetime) -> bool:
        """Take up a tick that has come, which opens its pass; whether there is work now."""
        if self.ticks is not None and self.ticks.next is not None and self.ticks.next <= now:
            tick, self.previous = self.ticks.next, self.horizon
            self.horizon = self.ticks.last(tick, now) or tick
            self.ticks.move(now, now)
        return self.is_ready(now)

    def meanwhile(self, now: datetime) -> None:
        """Take up a tick that comes while a run is under way: its pass goes on when that ends."""
        self.begin(now)

    def pass_over(self, now: datetime) -> None:
        """Take up a tick that comes while it is paused: its pass goes on after that."""
        self.begin(now)

    def missed_since(self, since: datetime, now: datetime) -> None:
        """Miss nothing: windows are made up."""

    def put_off(self, now: datetime) -> None:
        """Miss nothing: what was to be read still is."""

    def resume(self, now: datetime) -> None:
        """Go on: what has fallen due is read."""

    def is_ready(self, now: datetime) -> bool:
        """Whether there is work now."""
        work = self._next_work(now)
        return work is not None and work <= now

    def see(self, coverage: Coverage) -> None:
        """Take up the coverage that goes by what the source has shown."""
        self.coverage, self.is_seen = coverage, True

    def excess(self, seen: datetime) -> Span | None:
        """Return what is to be skipped of the windows that are to be read."""
        if self.horizon is None:
            return None
        until = min(seen - self.policy.grace, self.horizon)
        return self.coverage.excess(self.grain, self.policy, until, self.previous)

    def missed(self, seen: datetime) -> tuple[int, Span | None]:
        """Return how many windows are to be made up, but for what failed, and what they span.

        A window was missed when it was not read before the next tick came, or the next one was due.
        """
        if self.horizon is None:
            return 0, None
        until = min(seen - self.policy.grace, self.horizon)
        if self.ticks is None:
            until = self.grain.window(until).start - _MOMENT
        elif self.previous is not None:
            until = min(until, self.previous)
        return within(self.grain, self.coverage.new_spans(until))

    def choose(self, seen: datetime, now: datetime) -> Window | None:
        """Return the window to read now; None when there is none that the source shows already."""
        for window in self.coverage.due(self.grain, self.policy, seen, now):
            known = self.coverage.covered.covers(window.start, window.end)
            if known or window.start in self.coverage.failures:
                return window
            if self.horizon is not None and window.end <= self.horizon:
                return window
        return None

    def wait_for(self, seen: datetime, now: datetime) -> bool:
        """Leave the source alone for a while; whether what is due by the clock waits for it."""
        due = self._work(now)
        if due is None or due > now:
            return False
        self.not_before = now + min(max(due - seen, _SHORTEST_POLL), _LONGEST_POLL)
        return True

    def worked(self) -> None:
        """Note that the source could be reached."""
        self.unreachable.worked()

    def failed(
        self, began: datetime, now: datetime, pause: timedelta | None, *, asked: bool = False
    ) -> None:
        """Note that the source could not be reached: the pass goes on later."""
        self.unreachable.failed(now, pause)

    def _work(self, now: datetime) -> datetime | None:
        return self.coverage.next_due(self.grain, self.policy, now, until=self.horizon)

    def _next_work(self, now: datetime) -> datetime | None:
        work = self._work(now)
        pauses = (self.unreachable.until, self.not_before)
        return work and max(work, *(pause or work for pause in pauses))

    def _notice(self, now: datetime) -> None:
        """Notice a clock that was set back: what was to come by it comes as much earlier."""
        back = _set_back(self._asked, now)
        if back is not None:
            self.unreachable.until = _earlier(self.unreachable.until, back)
            self.not_before = _earlier(self.not_before, back)
            if self.ticks is not None:
                self.ticks.move(now, now)
                self.horizon = self.horizon and min(self.horizon, now)
        self._asked = now


Agenda: TypeAlias = Snapshots | Windows


def _set_back(asked: datetime | None, now: datetime) -> timedelta | None:
    return asked - now if asked is not None and asked - now > _STEP else None


def _earlier(when: datetime | None, back: timedelta) -> datetime | None:
    return when and when - back
