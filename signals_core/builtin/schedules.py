"""The schedules `interval` and `cron`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from attrs import Attribute, define, field

from signals_core import Schedule

_ORIGIN = datetime.min.replace(tzinfo=UTC)

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

    timezone: str | None = None
    """The zone of the fields, if it is another than the collector's."""

    def __attrs_post_init__(self) -> None:
        if self.timezone is not None:
            _zone(self.timezone)
        self._ticks_after(datetime(2000, 1, 1, tzinfo=UTC))

    def next_after(self, moment: datetime) -> datetime:
        """Return the first tick later than `moment`."""
        zone = None if self.timezone is None else _zone(self.timezone)
        return self._ticks_after(moment.astimezone(zone) if zone else moment).astimezone(
            moment.tzinfo
        )

    def _ticks_after(self, moment: datetime) -> datetime:
        from cronsim import CronSim, CronSimError

        expression = _NAMED.get(self.cron, self.cron)
        if len(expression.split()) != 5:
            raise ValueError(f"{self.cron!r} is no cron expression (it has five fields, or @daily)")
        try:
            return next(CronSim(expression, moment))
        except CronSimError as error:
            raise ValueError(f"{self.cron!r} is no cron expression: {error}") from None
        except StopIteration:
            raise ValueError(f"{self.cron!r} never comes") from None


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError):
        raise ValueError(f"{name!r} is no time zone (write it like Europe/Paris)") from None
