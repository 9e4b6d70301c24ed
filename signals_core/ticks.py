"""The ticks of schedules: which comes next, which came last, and how runs at start are spread."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256

from signals_core.collector import Collector
from signals_core.window import zone_named

_MOMENT = timedelta(microseconds=1)
_FIRST_LOOK = timedelta(milliseconds=50)
_LONGEST_SPREAD = timedelta(minutes=1)


def tick_after(collector: Collector, moment: datetime) -> datetime:
    """Return the schedule's next tick, computed in the collector's zone, in UTC."""
    assert collector.schedule is not None
    local = moment.astimezone(zone_named(collector.timezone))
    return collector.schedule.next_after(local).astimezone(UTC)


def late_after(collector: Collector, run: datetime) -> datetime:
    """Return the second tick after a run: by then there must have been another."""
    return tick_after(collector, tick_after(collector, run))


def last_tick(collector: Collector, since: datetime, now: datetime) -> datetime | None:
    """Return the last tick of `[since, now]`, None when there is none.

    A schedule only looks ahead: asked from ever further back, it answers with a tick at last.
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
    return min(room, _LONGEST_SPREAD) * part
