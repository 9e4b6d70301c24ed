"""Failed windows: when each is tried again, and the brake on trying many.

A window that failed is tried again after a minute, doubling up to an hour. That asks little of a
source while a few have failed, and ever more of it when a query on a short grain fails for weeks.
So while more than `FEW` have failed they are tried one at a time, the one that has waited longest
first: after one that fails again the others wait for `PAUSE`, and after one that succeeds they
follow at once. A window never tried is held back likewise when the `FEW` before it have all failed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta

from attrs import define, evolve, frozen

from signals_core.window import Window

#: How many failed windows are tried again each by itself.
FEW = 10
#: How long the others wait after a failed one of many has failed again.
PAUSE = timedelta(minutes=5)
#: How long a window waits when those before it have failed one after the other.
PAUSE_OF_NEW = timedelta(minutes=1)

_FIRST_RETRY = timedelta(minutes=1)
_LAST_RETRY = timedelta(hours=1)


@frozen
class Failure:
    """A window that could not be read: why, how often it was tried, and when it is tried again."""

    window: Window
    reason: str
    attempts: int
    retry_at: datetime

    def retried_at(self, now: datetime) -> datetime:
        """Return when it is tried again; at once where a clock that was ahead has set the time."""
        return min(self.retry_at, now) if self.retry_at > now + _LAST_RETRY else self.retry_at

    @property
    def tried_at(self) -> datetime:
        """When it was tried last, or earlier: where others have let it follow at once."""
        return self.retry_at - retry_delay(self.attempts)


Failures = Mapping[datetime, Failure]
"""Failures by the start of their window."""


@define
class Unreachable:
    """How long a collector leaves its source alone after it could not be reached."""

    attempts: int = 0
    until: datetime | None = None

    def failed(self, now: datetime, pause: timedelta | None = None) -> datetime:
        """Note a failure; return when to try again: later each time, or when the source asked."""
        self.attempts += 1
        self.until = now + (pause or retry_delay(self.attempts))
        return self.until

    def worked(self) -> None:
        """Note that it could be reached."""
        self.attempts, self.until = 0, None


def retry_delay(attempts: int) -> timedelta:
    """Return how long to wait after so many failures: a minute, doubling up to an hour."""
    doublings = min(attempts - 1, 10)
    return min(_FIRST_RETRY * (1 << doublings), _LAST_RETRY)


def to_retry(failures: Failures, now: datetime, until: datetime) -> Collection[datetime]:
    """Return the starts of the windows to try again now, of those that ended by `until`."""
    ripe = [
        each
        for each in failures.values()
        if each.retried_at(now) <= now and each.window.end <= until
    ]
    if len(failures) <= FEW:
        return {each.window.start for each in ripe}
    if not ripe or _braked_until(failures, now) > now:
        return ()
    return (min(ripe, key=lambda each: (each.retry_at, each.window.start)).window.start,)


def next_retry(failures: Failures, now: datetime, grace: timedelta) -> datetime | None:
    """Return when a failed window is tried next; it may lie in the past."""
    times = (max(each.retried_at(now), each.window.end + grace) for each in failures.values())
    first = min(times, default=None)
    return first and (max(first, _braked_until(failures, now)) if len(failures) > FEW else first)


def new_waits_until(failures: Failures, before: Iterable[Window], now: datetime) -> datetime | None:
    """Return until when a new window waits, None when it need not.

    `before` are the `FEW` windows before it.
    """
    if len(failures) < FEW:  # as nearly always, when there is no need to look at them
        return None
    failed = [failures.get(window.start) for window in before]
    tried = [each.tried_at for each in failed if each is not None and each.tried_at <= now]
    if len(tried) < FEW or len(tried) < len(failed):
        return None
    return max(tried) + PAUSE_OF_NEW


def after_success(failures: Failures, start: datetime, seen: datetime) -> Failures:
    """Return what has failed still after the window at `start` was read.

    When it is one of many that failed, the query may be mended: the others may follow at once.
    """
    left = {key: each for key, each in failures.items() if key != start}
    if start not in failures or len(failures) <= FEW:
        return left
    return {key: _released(each, seen) for key, each in left.items()}


def _released(failure: Failure, seen: datetime) -> Failure:
    if failure.attempts == 1 and failure.retry_at <= seen:
        return failure
    return evolve(failure, attempts=1, retry_at=min(failure.retry_at, seen))


def _braked_until(failures: Failures, now: datetime) -> datetime:
    """Return until when no retry comes, because one has failed; in the past when none has."""
    tried = (each.tried_at for each in failures.values() if each.attempts > 1)
    return max((time for time in tried if time <= now), default=now - PAUSE) + PAUSE
