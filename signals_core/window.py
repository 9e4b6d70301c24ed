"""Grains and windows: how time is cut into buckets.

A duration grain (`30s`, `4h`) is aligned to 0001-01-01T00:00Z, a Monday, so that weeks written as
`168h` begin on Mondays. A calendar grain (`1d`, `1w`, `1mo`, `1q`, `1y`) follows the local dates
of a time zone: its buckets begin at the first instant of a local date, whatever daylight saving
does to the length of a day.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from attrs import field, frozen

from signals_core.duration import DURATION_FORMS, format_duration, parse_duration

_ORIGIN = datetime.min.replace(tzinfo=UTC)
_MOMENT = timedelta(microseconds=1)
_CALENDAR = ("1d", "1w", "1mo", "1q", "1y")
_FORMS = "write it like 30s, 1h, 1d, 1w, 1mo, 1q or 1y"
_CALENDAR_UNIT = re.compile(r"[0-9.](d|w|mo|q|y)(?![a-z])")

#: The names under which a query may use its window.
PARAMETERS = ("window_start", "window_end", "window_start_local", "window_end_local")


@frozen
class Window:
    """One bucket of time, `[start, end)`."""

    start: datetime
    """Its first instant, aware, in UTC."""

    end: datetime
    """The instant at which it is over, aware, in UTC."""

    local_start: datetime = field(eq=False, kw_only=True)
    """The start as a wall clock in the grain's zone shows it, without zone."""

    local_end: datetime = field(eq=False, kw_only=True)
    """The end likewise: midnight for a calendar grain."""

    @local_start.default
    def _start_without_zone(self) -> datetime:
        return self.start.replace(tzinfo=None)

    @local_end.default
    def _end_without_zone(self) -> datetime:
        return self.end.replace(tzinfo=None)

    @property
    def parameters(self) -> dict[str, datetime]:
        """The bounds under the names that queries use: `:window_start`, `:window_end_local`, …"""
        return dict(
            zip(PARAMETERS, (self.start, self.end, self.local_start, self.local_end), strict=True)
        )

    @property
    def bounds(self) -> str:
        """The same as a person reads them, one a line."""
        return "\n".join(
            f"{name} = {iso(bound) if bound.tzinfo else bound.isoformat()}"
            for name, bound in self.parameters.items()
        )

    def __str__(self) -> str:
        return f"{iso(self.start)}/{iso(self.end)}"


@frozen
class Grain:
    """The length of a bucket, in a time zone. Make one with `Grain.parse`."""

    text: str
    """The grain as it is written in one form: `1h` for `60m`."""

    timezone: str
    """The zone whose dates a calendar grain follows."""

    _length: timedelta | None = field(repr=False)
    _zone: ZoneInfo = field(repr=False, eq=False)

    @classmethod
    def parse(cls, text: str, timezone: str = "UTC") -> Grain:
        """Read a grain such as `30s`, `1h`, `1d` or `1mo` in the zone `timezone`.

        Raises `ValueError` for what is no grain and for an unknown zone.
        """
        zone = zone_named(timezone)
        if text in _CALENDAR:
            return cls(text, timezone, None, zone)
        if _CALENDAR_UNIT.search(text):
            raise ValueError(
                f"{text!r} is no grain: calendar units stand alone, as {', '.join(_CALENDAR)} "
                "(for other lengths write hours: 48h)"
            )
        try:
            length = parse_duration(text)
        except ValueError as error:
            if DURATION_FORMS not in str(error):
                raise
            raise ValueError(f"{text!r} is no grain ({_FORMS})") from None
        if not length:
            raise ValueError(f"a grain of zero holds no time ({_FORMS})")
        return cls(format_duration(length), timezone, length, zone)

    @property
    def is_calendar(self) -> bool:
        """Whether buckets follow local dates rather than a fixed length."""
        return self._length is None

    def window(self, moment: datetime) -> Window:
        """Return the bucket that holds `moment`, an aware datetime.

        Raises `ValueError` for a naive one, and where the bucket leaves the years 1 to 9999.
        """
        try:
            instant = _utc(moment)
            if self._length is None:
                return self._calendar_window(instant)
            start = instant - (instant - _ORIGIN) % self._length
            return self._between(start, start + self._length)
        except OverflowError:
            raise ValueError(f"the bucket of {moment} leaves the calendar") from None

    def completed(self, start: datetime, end: datetime) -> list[Window]:
        """Return the whole buckets within `[start, end]`, oldest first.

        Raises `ValueError` for naive moments, and where the first bucket begins before the year 1.
        """
        return list(self.windows(start, end))

    def windows(self, start: datetime, end: datetime) -> Iterator[Window]:
        """Yield what `completed` returns, one by one."""
        if _aware(start) >= _aware(end):
            return
        window = self._unless_last(start)
        if window and window.start < start:
            window = self._unless_last(window.end)
        while window and window.end <= end:
            yield window
            window = self._unless_last(window.end)

    def backwards(self, start: datetime, end: datetime) -> Iterator[Window]:
        """Yield the whole buckets within `[start, end]`, newest first."""
        window = self.window(end)
        if window.end > end:
            window = self.window(window.start - _MOMENT)
        while window.start >= start:
            yield window
            window = self.window(window.start - _MOMENT)

    def _unless_last(self, moment: datetime) -> Window | None:
        """Return the bucket that holds `moment`; None for one that ends after the year 9999."""
        try:
            return self.window(moment)
        except ValueError:
            if moment.year == 1:
                raise
            return None

    def _calendar_window(self, instant: datetime) -> Window:
        first = _first_date(self.text, instant.astimezone(self._zone).date())
        # Where clocks jumped from before midnight to after it (Toronto, 1919), the new date is
        # shown a little earlier than it begins.
        if instant < self._first_instant(first):
            first = _first_date(self.text, first - timedelta(days=1))
        following = _next_date(self.text, first)
        # Where clocks go back over midnight a date comes twice: it began when it first came. And
        # a date that never came has no bucket.
        while instant >= self._first_instant(following):
            first, following = following, _next_date(self.text, following)
        return Window(
            self._first_instant(first),
            self._first_instant(following),
            local_start=datetime.combine(first, time.min),
            local_end=datetime.combine(following, time.min),
        )

    def _first_instant(self, day: date) -> datetime:
        return datetime.combine(day, time.min, tzinfo=self._zone).astimezone(UTC)

    def _between(self, start: datetime, end: datetime) -> Window:
        return Window(
            start,
            end,
            local_start=start.astimezone(self._zone).replace(tzinfo=None),
            local_end=end.astimezone(self._zone).replace(tzinfo=None),
        )

    def __str__(self) -> str:
        return self.text


def zone_named(name: str) -> ZoneInfo:
    """Return the IANA time zone `name`. Raises `ValueError` when there is none."""
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError):
        raise ValueError(f"{name!r} is no time zone (write it like UTC or Europe/Paris)") from None


def iso(moment: datetime) -> str:
    """Write an aware moment in UTC with `Z`, with microseconds only when there are any."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def _utc(moment: datetime) -> datetime:
    return _aware(moment).astimezone(UTC)


def _aware(moment: datetime) -> datetime:
    if moment.utcoffset() is None:
        raise ValueError(f"{moment} has no time zone")
    return moment


def _first_date(unit: str, day: date) -> date:
    match unit:
        case "1d":
            return day
        case "1w":
            return day - timedelta(days=day.weekday())
        case "1mo":
            return day.replace(day=1)
        case "1q":
            return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
        case _:
            return day.replace(month=1, day=1)


def _next_date(unit: str, first: date) -> date:
    longest = {"1d": 1, "1w": 7, "1mo": 31, "1q": 92, "1y": 366}[unit]
    return _first_date(unit, first + timedelta(days=longest))
