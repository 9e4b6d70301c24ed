"""The schedules `interval` and `cron`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from attrs import Attribute, define, field

from signals_core import Schedule

_ORIGIN = datetime.min.replace(tzinfo=UTC)
_LONGEST = timedelta(days=36_525)

_NAMED = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


@define
class Interval(Schedule):
    """Ticks at even distances, aligned to 0001-01-01T00:00Z: `1h` ticks on the hour in UTC."""

    interval: timedelta = field()
    """The distance between two ticks."""

    @interval.validator
    def _is_positive(self, attribute: Attribute[timedelta], value: timedelta) -> None:
        if value <= timedelta():
            raise ValueError("an interval of zero never ends (write it like 30s or 1h)")
        if value > _LONGEST:
            raise ValueError("an interval of more than a century is none")

    def next_after(self, moment: datetime) -> datetime:
        """Return the first tick later than `moment`."""
        since = moment.astimezone(UTC) - _ORIGIN
        return (_ORIGIN + (since // self.interval + 1) * self.interval).astimezone(moment.tzinfo)


@define
class Cron(Schedule):
    """Ticks as cron does: five fields, names of months and days, and `@daily` and the like.

    Where clocks go forward, a tick that falls into the gap comes right after it; where they go
    back, one at a fixed time comes once.
    """

    cron: str = field()
    """Minute, hour, day of the month, month, day of the week."""

    timezone: str | None = field(default=None)
    """The zone of the fields, if it is another than the collector's."""

    @cron.validator
    def _ticks(self, attribute: Attribute[str], value: str) -> None:
        _first_after(datetime(2000, 1, 1, tzinfo=UTC), value)

    @timezone.validator
    def _is_a_zone(self, attribute: Attribute[str | None], value: str | None) -> None:
        if value is not None:
            _zone(value)

    def next_after(self, moment: datetime) -> datetime:
        """Return the first tick later than `moment`."""
        local = moment if self.timezone is None else moment.astimezone(_zone(self.timezone))
        return _first_after(local, self.cron).astimezone(moment.tzinfo)


def _first_after(moment: datetime, cron: str) -> datetime:
    from cronsim import CronSim, CronSimError

    expression = _NAMED.get(cron.lower(), cron)
    if len(expression.split()) != 5:
        raise ValueError(f"{cron!r} is no cron expression (it has five fields, or is like @daily)")
    try:
        # Asked in the second pass of an hour that comes twice, cronsim answers with the first.
        return next(tick for tick in CronSim(expression, moment) if _is_later(tick, moment))
    except CronSimError as error:
        raise ValueError(f"{cron!r} is no cron expression ({str(error).lower()})") from None
    except StopIteration:
        raise ValueError(f"{cron!r} never comes") from None


def _is_later(tick: datetime, moment: datetime) -> bool:
    return tick.astimezone(UTC) > moment.astimezone(UTC)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError):
        raise ValueError(f"{name!r} is no time zone (write it like Europe/Paris)") from None
