"""How numbers, moments and durations are written for a person."""

from __future__ import annotations

from datetime import datetime, timedelta

from signals_core.duration import format_duration
from signals_core.window import iso


def counted(number: int, noun: str) -> str:
    """Write a number of things: `1 row`, `2 rows`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def moment(when: datetime) -> str:
    """Write a moment to the second."""
    return iso(when.replace(microsecond=0))


def late(duration: timedelta) -> str:
    """Write how late something is, to the second."""
    return format_duration(timedelta(seconds=int(duration.total_seconds())))
