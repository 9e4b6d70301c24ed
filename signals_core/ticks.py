"""The ticks of schedules: which comes next, which came last, and how runs at start are spread.

A schedule may be anybody's plugin: what it raises, or returns and should not, is a `TickUnknown`.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from attrs import define

from signals_core.collector import Collector
from signals_core.errors import reason_of
from signals_core.retries import retry_delay
from signals_core.window import zone_named

_log = logging.getLogger("signals")

_MOMENT = timedelta(microseconds=1)
_FIRST_LOOK = timedelta(milliseconds=50)
LONGEST_SPREAD = timedelta(minutes=1)
_EACH = timedelta(seconds=2)
_SAY_AGAIN = timedelta(hours=1)  # what is wrong with a schedule


class TickUnknown(Exception):
    """A schedule does not say when its next tick comes: why, with the name of its type."""


@define
class Ticks:
    """The ticks of a collector's schedule; `next` is None while nobody knows when it comes.

    One unknown is asked for again at `ask_at`, a minute later and ever less often. One that came
    meanwhile is the next, as long as the schedule answers for the moment it could not answer for.
    """

    collector: Collector
    next: datetime | None = None
    ask_at: datetime | None = None
    _since: datetime | None = None
    _attempts: int = 0
    _said: str = ""
    _said_at: datetime | None = None

    def look(self, now: datetime) -> None:
        """Ask again for a tick that is unknown, if it is time to."""
        if self.ask_at is not None and self.ask_at <= now:
            self._ask(now, self._since or now, now)

    def move(self, moment: datetime, now: datetime) -> None:
        """Go on to the first tick after a moment."""
        self._ask(now, moment)

    def last(self, since: datetime, now: datetime) -> datetime | None:
        """Return the last tick of `[since, now]`, None when there is none or it is unknown."""
        try:
            return last_tick(self.collector, since, now)
        except TickUnknown as error:
            self._unknown(error, since, now)
            return None

    def count(self, since: datetime, now: datetime, most: int) -> int:
        """Return how many ticks came after `since`, as far as is known, and no more than `most`."""
        found = 0
        try:
            tick = tick_after(self.collector, since)
            while tick <= now and found < most:
                found += 1
                tick = tick_after(self.collector, tick)
        except TickUnknown as error:
            self._say(error, now)
        return found

    def _ask(self, now: datetime, *moments: datetime) -> None:
        """Take the tick after the first moment for which the schedule answers."""
        for moment in moments:
            try:
                self.next = tick_after(self.collector, moment)
            except TickUnknown as error:
                trouble = error
            else:
                self.ask_at, self._attempts = None, 0
                return
        self._unknown(trouble, moments[0], now)

    def _unknown(self, error: TickUnknown, moment: datetime, now: datetime) -> None:
        self._attempts += 1
        self.next, self._since, self.ask_at = None, moment, now + retry_delay(self._attempts)
        self._say(error, now)

    def _say(self, error: TickUnknown, now: datetime) -> None:
        """Log what is new, and what is not once an hour."""
        text = str(error)
        if self._said_at is None or text != self._said or now - self._said_at >= _SAY_AGAIN:
            self._said, self._said_at = text, now
            _log.error("%s: its next tick is unknown: %s", self.collector.name, text)


def tick_after(collector: Collector, moment: datetime) -> datetime:
    """Return the schedule's next tick, computed in the collector's zone, in UTC.

    Raises `TickUnknown` when the schedule does not say.
    """
    assert collector.schedule is not None
    local = moment.astimezone(zone_named(collector.timezone))
    kind = type(collector.schedule).__name__
    try:
        tick: object = collector.schedule.next_after(local)
    except Exception as error:
        raise TickUnknown(f"the schedule {kind} failed: {reason_of(error)}") from error
    if not isinstance(tick, datetime):
        raise TickUnknown(f"the schedule {kind} returned no moment, but {type(tick).__name__}")
    if tick.utcoffset() is None:
        raise TickUnknown(f"the schedule {kind} returned a moment without a time zone")
    if tick <= moment:
        raise TickUnknown(
            f"the schedule {kind} returned a moment that is not later than the one it was given"
        )
    return tick.astimezone(UTC)


def late_after(collector: Collector, run: datetime) -> datetime:
    """Return the second tick after a run: by then there must have been another.

    Raises `TickUnknown`.
    """
    return tick_after(collector, tick_after(collector, run))


def last_tick(collector: Collector, since: datetime, now: datetime) -> datetime | None:
    """Return the last tick of `[since, now]`, None when there is none.

    A schedule only looks ahead: asked from ever further back, it answers with a tick at last.
    Raises `TickUnknown`.
    """
    back, start = _FIRST_LOOK, now
    while (tick := tick_after(collector, start - _MOMENT)) > now:
        if start <= since:
            return None
        start, back = max(since, now - back), back * 2
    while (later := tick_after(collector, tick)) <= now:
        tick = later
    return tick


def spread(collector_id: str, room: timedelta) -> timedelta:
    """Return how long a collector waits at start: always the same part of a minute or less."""
    part = int.from_bytes(sha256(collector_id.encode()).digest()[:4]) / 2**32
    return min(room, LONGEST_SPREAD) * part


def spread_of(count: int) -> timedelta:
    """Return over how long the runs of so many collectors are spread at start."""
    return min(count * _EACH, LONGEST_SPREAD)
