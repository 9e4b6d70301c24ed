"""How numbers, moments and durations are written for a person."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from signals_core.duration import format_duration
from signals_core.window import iso

#: What moves a cursor, changes a terminal, or turns the order of letters around.
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]"
)


def printable(text: str) -> str:
    """Return text that a terminal shows and does not obey: of controls, line break and tab stay.

    The others are spelled as JSON and Python spell them, so that JSON stays JSON.
    """
    return _CONTROLS.sub(lambda control: f"\\u{ord(control[0]):04x}", text)


def counted(number: int, noun: str) -> str:
    """Write a number of things: `1 row`, `2 rows`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def moment(when: datetime) -> str:
    """Write a moment to the second."""
    return iso(when.replace(microsecond=0))


def late(duration: timedelta) -> str:
    """Write how late something is, to the second."""
    return format_duration(timedelta(seconds=int(duration.total_seconds())))
