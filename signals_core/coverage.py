"""Which windows have been read: interval sets, and what is due, missing, skipped, to be retried.

All of it is pure: it is given the instants it compares and keeps nothing. A window is due at a
level when `end + level <= W`, where W is the smaller of the runner's clock and the source's
watermark. The first level is the collector's grace; each `revise` is a further one. One reading
covers every level then due.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from heapq import merge
from itertools import islice

from attrs import evolve, field, frozen

from signals_core import retries
from signals_core.collector import WindowPolicy
from signals_core.retries import Failure, retry_delay
from signals_core.window import Grain, Window

Span = tuple[datetime, datetime]

#: Later than any window that is ever read, and far enough from the end of the calendar.
LATEST = datetime(9000, 1, 1, tzinfo=UTC)
_HALF_A_DAY = timedelta(hours=12)
_DAYS = {"1d": 1, "1w": 7}
_MONTHS = {"1mo": 1, "1q": 3, "1y": 12}
_MOMENT = timedelta(microseconds=1)


@frozen
class Intervals:
    """A set of instants, as disjoint half-open intervals in order; those that touch are one."""

    spans: tuple[Span, ...] = ()

    @classmethod
    def of(cls, spans: Iterable[Span]) -> Intervals:
        """Merge spans, given in any order."""
        merged: list[Span] = []
        for start, end in sorted(span for span in spans if span[0] < span[1]):
            if merged and start <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(merged[-1][1], end))
            else:
                merged.append((start, end))
        return cls(tuple(merged))

    def __or__(self, other: Intervals) -> Intervals:
        if not (self.spans and other.spans):
            return self if self.spans else other
        return Intervals.of((*self.spans, *other.spans))

    def __bool__(self) -> bool:
        return bool(self.spans)

    def adding(self, start: datetime, end: datetime) -> Intervals:
        """Return the set with one more interval."""
        if start >= end:
            return self
        first = bisect_left(self.spans, start, key=lambda span: span[1])
        last = bisect_right(self.spans, end, key=lambda span: span[0])
        touched = self.spans[first:last]
        joined = (
            min(start, touched[0][0]) if touched else start,
            max(end, touched[-1][1]) if touched else end,
        )
        return Intervals((*self.spans[:first], joined, *self.spans[last:]))

    def without(self, start: datetime, end: datetime) -> Intervals:
        """Return the set less one interval."""
        kept: list[Span] = []
        for span in self.spans:
            kept += [(span[0], min(span[1], start)), (max(span[0], end), span[1])]
        return Intervals(tuple(span for span in kept if span[0] < span[1]))

    def covers(self, start: datetime, end: datetime) -> bool:
        """Whether all of `[start, end)` is in the set."""
        index = bisect_right(self.spans, start, key=lambda span: span[0]) - 1
        return start >= end or (index >= 0 and self.spans[index][1] >= end)

    def gaps(self, start: datetime, end: datetime) -> Iterator[Span]:
        """Yield what of `[start, end)` is not in the set, in order."""
        index = bisect_right(self.spans, start, key=lambda span: span[1])
        for span_start, span_end in self.spans[index:]:
            if span_start >= end:
                break
            if start < span_start:
                yield start, span_start
            start = max(start, span_end)
        if start < end:
            yield start, end


@frozen
class Level:
    """One `revise` of a collector: since when it applies, and what has been read at it."""

    since: datetime
    covered: Intervals = Intervals()


@frozen
class Coverage:
    """What is known of one collector's windows.

    `start` is where history begins. `covered` has been read at the first level, `levels` holds the
    further ones by their delay, `skipped` is what `catch_up` passed over, `failures` are by the
    start of their window.
    """

    start: datetime
    covered: Intervals = Intervals()
    skipped: Intervals = Intervals()
    levels: Mapping[timedelta, Level] = field(factory=dict)
    failures: Mapping[datetime, Failure] = field(factory=dict)

    @classmethod
    def at_first_sight(cls, grain: Grain, policy: WindowPolicy, seen: datetime) -> Coverage:
        """Return the coverage where nothing is known: history begins at the policy's start.

        Without one it begins with the latest window due.
        """
        if policy.start is not None:
            return cls(policy.start)
        return cls(grain.window(grain.window(seen - policy.grace).start - _MOMENT).start)

    @property
    def read_until(self) -> datetime | None:
        """The end of the last window read; None before the first."""
        return self.covered.spans[-1][1] if self.covered else None

    def due(
        self, grain: Grain, policy: WindowPolicy, seen: datetime, now: datetime
    ) -> Iterator[Window]:
        """Yield the windows to read, oldest first: missing ones and those to read again.

        `seen` is W, the instant up to which everything is there; failed windows come when their
        retry has come by the runner's clock `now`.
        """
        until = seen - policy.grace
        again = retries.to_retry(self.failures, now, until)
        parts: list[Iterable[Window]] = [(self.failures[start].window for start in sorted(again))]
        parts += [self._to_revise(grain, delay, seen) for delay in policy.revise]
        if not self.holds_back(grain, until, now):
            parts.append(self.new(grain, until))
        last = None
        for window in merge(*parts, key=lambda each: each.start):
            if window != last and (window.start not in self.failures or window.start in again):
                yield window
            last = window

    def missing(self, grain: Grain, policy: WindowPolicy, seen: datetime) -> Iterator[Window]:
        """Yield the due windows that have never been read, oldest first, failed ones included."""
        for start, end in self._unread(seen - policy.grace):
            yield from grain.windows(start, end)

    def new(self, grain: Grain, until: datetime) -> Iterator[Window]:
        """Yield the windows of which nothing is recorded."""
        for start, end in self.new_spans(until):
            yield from grain.windows(start, end)

    def new_spans(self, until: datetime) -> Iterator[Span]:
        """Yield the spans of which nothing is recorded."""
        windows = (each.window for each in self.failures.values())
        failed = Intervals.of((window.start, window.end) for window in windows)
        return (self.covered | self.skipped | failed).gaps(self.start, until)

    def first_missing(self, grain: Grain, until: datetime) -> Window | None:
        """Return the first window that ended by `until` of which nothing is recorded."""
        return next(self.new(grain, until), None)

    def next_due(
        self, grain: Grain, policy: WindowPolicy, now: datetime, *, until: datetime | None
    ) -> datetime | None:
        """Return when something is due next, by the clock alone; it may lie in the past.

        Of the windows never read those count that end by `until`, none of them without it; what
        is read again counts, and what failed.
        """
        times = [time for time in [retries.next_retry(self.failures, now, policy.grace)] if time]
        first = None if until is None else self.first_missing(grain, until)
        if first is not None:
            due = first.end + policy.grace
            times.append(max(due, self._waits_until(grain, first, now) or due))
        for delay in policy.revise:
            times += self._first_to_revise(grain, delay)
        return min(times, default=None)

    def excess(
        self, grain: Grain, policy: WindowPolicy, until: datetime, fresh: datetime | None = None
    ) -> Span | None:
        """Return what `catch_up` says to skip: all but the last few unread windows until then.

        Those that ended after `fresh` were not missed.
        """
        if policy.catch_up is None:
            return None
        left = policy.catch_up
        unread = list(self._unread(until))
        for start, end in reversed(unread):
            for window in grain.backwards(start, end):
                if left <= 0 and (fresh is None or window.end <= fresh):
                    return unread[0][0], window.end
                left -= 1
        return None

    def after_reading(self, window: Window, policy: WindowPolicy, seen: datetime) -> Coverage:
        """Return the coverage after `window` was read: at every level then due."""
        levels = {
            delay: evolve(level, covered=level.covered.adding(window.start, window.end))
            if window.end + delay <= seen
            else level
            for delay, level in self.levels.items()
        }
        return evolve(
            self,
            covered=self.covered.adding(window.start, window.end),
            skipped=self.skipped.without(window.start, window.end),
            levels=levels,
            failures=retries.after_success(self.failures, window.start, seen),
        )

    def after_failure(self, window: Window, reason: str, now: datetime) -> Coverage:
        """Return the coverage after `window` failed: it is tried again, ever less often."""
        earlier = self.failures.get(window.start)
        attempts = earlier.attempts + 1 if earlier else 1
        failure = Failure(window, reason, attempts, now + retry_delay(attempts))
        return evolve(self, failures={**self.failures, window.start: failure})

    def after_skipping(self, start: datetime, end: datetime) -> Coverage:
        """Return the coverage after the windows of `[start, end)` were passed over."""
        gaps = self.covered.gaps(start, end)
        return evolve(
            self,
            skipped=self.skipped | Intervals.of(gaps),
            failures={key: each for key, each in self.failures.items() if not start <= key < end},
        )

    def with_policy(self, policy: WindowPolicy, now: datetime) -> Coverage:
        """Return the coverage under a policy: levels it newly has, and an earlier start."""
        levels = {delay: self.levels.get(delay, Level(now)) for delay in policy.revise}
        start = self.start if policy.start is None else min(self.start, policy.start)
        return evolve(self, start=start, levels=levels)

    def unread(self, start: datetime, end: datetime) -> Iterator[Span]:
        """Yield what of `[start, end)` was neither read nor skipped."""
        return (self.covered | self.skipped).gaps(start, end)

    def _unread(self, until: datetime) -> Iterator[Span]:
        return self.unread(self.start, until)

    def holds_back(self, grain: Grain, until: datetime, now: datetime) -> bool:
        """Whether new windows are to wait, because those before them have failed."""
        if len(self.failures) < retries.FEW:
            return False
        first = self.first_missing(grain, until)
        waits_until = self._waits_until(grain, first, now) if first else None
        return waits_until is not None and waits_until > now

    def _waits_until(self, grain: Grain, window: Window, now: datetime) -> datetime | None:
        before = islice(grain.backwards(self.start, window.start), retries.FEW)
        return retries.new_waits_until(self.failures, before, now)

    def _first_to_revise(self, grain: Grain, delay: timedelta) -> Iterator[datetime]:
        for window in self._to_revise(grain, delay, LATEST):
            if window.start not in self.failures:
                yield window.end + delay
                return

    def _to_revise(self, grain: Grain, delay: timedelta, seen: datetime) -> Iterator[Window]:
        level = self.levels.get(delay)
        if level is None:
            return
        first = grain.window(level.since - delay).start
        for start, end in self.covered.spans:
            for gap in level.covered.gaps(max(start, first), min(end, seen - delay)):
                yield from grain.windows(*gap)


def within(grain: Grain, spans: Iterable[Span]) -> tuple[int, Span | None]:
    """Return how many whole windows there are in spans, in order, and what they span together."""
    count, first, last = 0, None, None
    for start, end in spans:
        window = next(grain.windows(start, end), None)
        if window is None:
            continue
        first, last = first or window, next(grain.backwards(start, end))
        count += _from_to(grain, window, last)
    return count, (first.start, last.end) if first and last else None


def _from_to(grain: Grain, first: Window, last: Window) -> int:
    """Return how many windows there are from one to another, both included."""
    span, local = last.end - first.start, last.local_end - first.local_start
    if not grain.is_calendar:
        return span // (first.end - first.start)
    if abs(local - span) > _HALF_A_DAY:  # the date line was moved: there is a day too few
        return sum(1 for _ in grain.windows(first.start, last.end))
    if grain.text in _DAYS:
        return local.days // _DAYS[grain.text]
    years, months = (
        last.local_end.year - first.local_start.year,
        last.local_end.month - first.local_start.month,
    )
    return (12 * years + months) // _MONTHS[grain.text]
