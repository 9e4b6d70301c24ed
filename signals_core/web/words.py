"""How the pages say times, spans of time, and which window."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from signals_core.window import Grain, Window, zone_named

_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_LONG = 10


def roughly(span: timedelta) -> str:
    """Write a span of time in its two largest units: `2 d 3 h`."""
    left = max(int(span.total_seconds()), 0)
    said: list[str] = []
    for size, unit in _UNITS:
        count, left = divmod(left, size)
        if count or said:
            said.append(f"{count}\u00a0{unit}" if count else "")
        if len(said) == 2:
            break
    return " ".join(filter(None, said)) or "0\u00a0s"


def ago(moment: datetime, now: datetime) -> str:
    """Say how long ago a moment was, or how soon it comes."""
    if moment > now:
        return f"in {roughly(moment - now)}"
    return f"{roughly(now - moment)} ago"


def bucket(window: Window, grain: Grain | None, timezone: str) -> str:
    """Say which window, as its collector's zone calls it: `2026-11-24`, `2026-11-24 13:00`."""
    if grain is None or not grain.is_calendar:
        local = window.start.astimezone(zone_named(timezone))
        return f"{local:%Y-%m-%d %H:%M:%S}".removesuffix(":00")
    own = grain.window(window.start)
    if own != window:  # the grain was another then
        return str(window)
    day = own.local_start
    match grain.text:
        case "1w":
            return f"week of {day:%Y-%m-%d}"
        case "1mo":
            return f"{day:%Y-%m}"
        case "1q":
            return f"{day:%Y} Q{(day.month + 2) // 3}"
        case "1y":
            return f"{day:%Y}"
        case _:
            return f"{day:%Y-%m-%d}"


def tick(window: Window, grain: Grain | None, timezone: str) -> str:
    """Say the same in less room, for an axis."""
    text = bucket(window, grain, timezone)
    if grain is None or not grain.is_calendar:
        return text[5:]
    return text.removeprefix("week of ")


def value(text: str) -> str:
    """Write a number as on the wire, or where that is long with six digits."""
    return text if len(text) <= _LONG else f"{Decimal(text):.6g}"


def size(count: int) -> str:
    """Write a number of bytes."""
    amount = float(count)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.3g} {unit}"
        amount /= 1000
    return f"{amount:.3g} GB"
