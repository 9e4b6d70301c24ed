"""Durations as people write them: `30s`, `1h30m`, `1.5h`."""

from __future__ import annotations

import re
from datetime import timedelta
from fractions import Fraction

_MICROSECONDS = {
    "w": 604_800_000_000,
    "d": 86_400_000_000,
    "h": 3_600_000_000,
    "m": 60_000_000,
    "s": 1_000_000,
    "ms": 1_000,
}
#: How a duration is written.
DURATION_FORMS = "write it like 30s, 1h30m or 1.5h"

_PART = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?)(?P<unit>ms|[smhdw])")


def parse_duration(text: str) -> timedelta:
    """Read a duration in the units ms, s, m, h, d (24 h) and w; `0` needs no unit.

    Raises `ValueError` for other text, and for what is no whole number of microseconds.
    """
    if text == "0":
        return timedelta()
    position, total = 0, Fraction()
    for match in _PART.finditer(text):
        if match.start() != position:
            break
        position = match.end()
        total += Fraction(match["number"]) * _MICROSECONDS[match["unit"]]
    if not text or position != len(text):
        raise ValueError(f"{text!r} is no duration ({DURATION_FORMS})")
    if total.denominator != 1:
        raise ValueError(f"{text!r} is finer than a microsecond")
    try:
        return timedelta(microseconds=int(total))
    except OverflowError:
        raise ValueError(f"{text!r} is too long") from None


def format_duration(duration: timedelta) -> str:
    """Write a duration in its one canonical form, in h, m, s and ms: `24h`, `1h30m`, `0s`."""
    rest = duration // timedelta(microseconds=1)
    if rest < 0:
        return "-" + format_duration(-duration)
    parts = []
    for unit in ("h", "m", "s", "ms"):
        count, rest = divmod(rest, _MICROSECONDS[unit])
        if count or (unit == "ms" and rest):
            fraction = f".{rest:03d}".rstrip("0") if unit == "ms" and rest else ""
            parts.append(f"{count}{fraction}{unit}")
    return "".join(parts) or "0s"
