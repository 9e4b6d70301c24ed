"""The conformance suite of a schedule."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signals_core import Schedule
from signals_core.testing import promises
from signals_core.testing.promise import Promise, Seen, keeps
from signals_core.testing.suite import PluginSuite

_MICROSECOND = timedelta(microseconds=1)

#: Instants at which the clocks of these zones are changed.
_CHANGES = (
    ("Europe/Paris", datetime(2026, 3, 29, 1, tzinfo=UTC)),
    ("Europe/Paris", datetime(2026, 10, 25, 1, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 3, 8, 7, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 11, 1, 6, tzinfo=UTC)),
    ("America/Santiago", datetime(2026, 4, 5, 3, tzinfo=UTC)),
    ("America/Santiago", datetime(2026, 9, 6, 4, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 4, 15, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
    ("Pacific/Apia", datetime(2011, 12, 30, 10, tzinfo=UTC)),
)

_ZONES = st.timezones() | st.builds(
    lambda minutes: timezone(timedelta(minutes=minutes)), st.integers(-14 * 60, 14 * 60)
)
MOMENTS: st.SearchStrategy[datetime] = st.builds(
    lambda moment, zone: moment.astimezone(zone),
    st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - hypothesis takes bounds without zone
    _ZONES,
)
CHANGES: st.SearchStrategy[datetime] = st.builds(
    lambda change, seconds: (change[1] + timedelta(seconds=seconds)).astimezone(
        ZoneInfo(change[0])
    ),
    st.sampled_from(_CHANGES),
    st.integers(-100_000, 100_000) | st.sampled_from([-3600, -1800, -1, 0, 1, 1800, 3600]),
)
_GAPS = st.timedeltas(timedelta(), timedelta(days=3)) | st.just(_MICROSECOND)


class ScheduleSuite(PluginSuite):
    """Tests a schedule against every promise of the plugin API.

    Give `type`, the registered name, and `schedule`, an instance, as a value or as a fixture of the
    class. Moments of a hundred years in all zones are tried.
    """

    schedule: Any = None

    kit_promises: ClassVar[tuple[Promise, ...]] = promises.SCHEDULE_PROMISES
    kit_subject: ClassVar[str] = "schedule"

    @keeps(promises.LATER)
    def test_later(self) -> None:
        """A tick is strictly later than the moment, and so is the tick after a tick."""
        _hold(MOMENTS, self._is_later)

    @keeps(promises.AWARE)
    def test_aware(self) -> None:
        """A tick is aware, in the moment's own zone."""
        _hold(MOMENTS, self._is_aware)

    @keeps(promises.PURE)
    def test_pure(self) -> None:
        """The same moments give the same ticks, in any order, from any thread and instance."""
        schedule = self.instance

        def pure(moments: list[datetime]) -> None:
            first = [schedule.next_after(moment) for moment in moments]
            again = [schedule.next_after(moment) for moment in reversed(moments)][::-1]
            fresh = list(map(self.fresh().next_after, moments))
            with ThreadPoolExecutor(4) as threads:
                other = list(threads.map(schedule.next_after, moments))
            for how, ticks in (("in another order", again), ("of a copy", fresh), ("", other)):
                for moment, tick, expected in zip(moments, ticks, first, strict=True):
                    if tick != expected:
                        asked = how or "from another thread"
                        raise Seen(
                            f"after {moment.isoformat()} comes {expected.isoformat()}, and asked "
                            f"again, {asked}, {tick.isoformat()}"
                        )

        _hold(st.lists(MOMENTS, min_size=2, max_size=5), pure)

    @keeps(promises.NO_TICK_SKIPPED)
    def test_no_tick_skipped(self) -> None:
        """Asked at any moment before a tick and not before the one before, the tick is the same."""
        _hold(MOMENTS, self._is_first)

    @keeps(promises.MONOTONE)
    def test_monotone(self) -> None:
        """A later moment has no earlier tick."""
        _hold(st.tuples(MOMENTS, _GAPS), lambda drawn: self._is_monotone(*drawn))

    @keeps(promises.DAYLIGHT_SAVING)
    def test_daylight_saving(self) -> None:
        """Around a change of the clocks all of it holds."""

        def all_of_it(drawn: tuple[datetime, timedelta]) -> None:
            moment, gap = drawn
            self._is_later(moment)
            self._is_first(moment)
            self._is_monotone(moment, gap)

        _hold(st.tuples(CHANGES, _GAPS), all_of_it)

    def _is_later(self, moment: datetime) -> None:
        for _ in range(3):
            tick = self._tick(moment)
            if _utc(tick) <= _utc(moment):
                raise Seen(f"after {_shown(moment)} comes {_shown(tick)}")
            moment = tick

    def _is_aware(self, moment: datetime) -> None:
        tick = self._schedule.next_after(moment)
        if tick.tzinfo is None:
            raise Seen(f"after {_shown(moment)} comes {tick.isoformat()}, which has no zone")
        if tick.tzinfo != moment.tzinfo:
            raise Seen(f"after {_shown(moment)} comes {_shown(tick)}")

    def _is_first(self, moment: datetime) -> None:
        tick = self._tick(moment)
        before = _utc(tick) - _MICROSECOND
        between = _utc(moment) + (before - _utc(moment)) / 2
        for asked in (between, before):
            again = self._tick(max(asked, _utc(moment)).astimezone(moment.tzinfo))
            if _utc(again) != _utc(tick):
                raise Seen(
                    f"after {_shown(moment)} comes {_shown(tick)}, and after "
                    f"{_shown(asked.astimezone(moment.tzinfo))} comes {_shown(again)}"
                )

    def _is_monotone(self, moment: datetime, gap: timedelta) -> None:
        after = (_utc(moment) + gap).astimezone(moment.tzinfo)
        one, other = self._tick(moment), self._tick(after)
        if _utc(other) < _utc(one):
            raise Seen(
                f"after {_shown(moment)} comes {_shown(one)}, and after {_shown(after)}, which is "
                f"later, {_shown(other)}"
            )

    def _tick(self, moment: datetime) -> datetime:
        """Return the next tick; one without zone is another promise's business."""
        tick = self._schedule.next_after(moment)
        return tick if tick.tzinfo else tick.replace(tzinfo=moment.tzinfo)

    @property
    def _schedule(self) -> Schedule:
        schedule: Schedule = self.instance
        return schedule


def _hold(drawn: st.SearchStrategy[Any], rule: Callable[[Any], None]) -> None:
    """Try a rule on many examples; the smallest one that breaks it is shown."""

    @settings(
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        suppress_health_check=[HealthCheck.differing_executors],
    )
    @given(drawn)
    def holds(example: Any) -> None:
        rule(example)

    holds()


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


def _shown(moment: datetime) -> str:
    return f"{moment.isoformat()} ({moment.tzinfo})"
