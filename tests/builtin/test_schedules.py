"""When `interval` and `cron` tick."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signals_core.builtin.schedules import Cron, Interval

PARIS = ZoneInfo("Europe/Paris")
ZONES: list[tzinfo] = [
    UTC,
    PARIS,
    ZoneInfo("America/New_York"),
    ZoneInfo("America/St_Johns"),
    ZoneInfo("Australia/Lord_Howe"),
    ZoneInfo("Asia/Kathmandu"),
    ZoneInfo("Africa/Casablanca"),
    ZoneInfo("Pacific/Apia"),
    ZoneInfo("America/Havana"),
    timezone(timedelta(hours=-3, minutes=-17)),
]
MOMENTS = st.builds(
    lambda moment, zone: moment.astimezone(zone),
    st.datetimes(datetime(1990, 1, 1), datetime(2037, 1, 1), timezones=st.just(UTC)),
    st.sampled_from(ZONES),
)
INTERVALS = st.timedeltas(timedelta(microseconds=1), timedelta(days=400))
CRONS = st.one_of(
    st.sampled_from(
        ["@hourly", "@daily", "@weekly", "@monthly", "@yearly", "0 0 29 2 *", "*/7 */5 * * *"]
    ),
    st.builds("{} {} * * *".format, st.integers(0, 59), st.integers(0, 23)),
    st.builds("*/{} * * * *".format, st.integers(1, 59)),
    st.builds("{} */{} * * MON-FRI".format, st.integers(0, 59), st.integers(1, 23)),
    st.builds("{} * {} JAN,jul *".format, st.integers(0, 59), st.integers(1, 31)),
)
# Around the hours that clocks skip and repeat, where mistakes are.
CHANGES = [
    datetime(2026, 3, 29, 1, tzinfo=UTC),
    datetime(2026, 10, 25, 1, tzinfo=UTC),
    datetime(2026, 3, 8, 7, tzinfo=UTC),
    datetime(2026, 11, 1, 6, tzinfo=UTC),
    datetime(2026, 4, 4, 15, tzinfo=UTC),
    datetime(2026, 10, 3, 15, 30, tzinfo=UTC),
    datetime(2011, 12, 30, 10, tzinfo=UTC),
]
NEAR_CHANGES = st.builds(
    lambda change, offset, zone: (change + offset).astimezone(zone),
    st.sampled_from(CHANGES),
    st.timedeltas(timedelta(hours=-4), timedelta(hours=4)),
    st.sampled_from(ZONES),
)


def instant(moment: datetime) -> datetime:
    """Return the moment in UTC, where moments compare as instants do."""
    return moment.astimezone(UTC)


@given(INTERVALS, MOMENTS)
def test_an_interval_ticks_strictly_later(interval: timedelta, moment: datetime) -> None:
    """The next tick is the first multiple since year 1 behind the moment, in the moment's zone."""
    tick = Interval(interval).next_after(moment)
    assert timedelta() < instant(tick) - instant(moment) <= interval
    assert (instant(tick) - datetime.min.replace(tzinfo=UTC)) % interval == timedelta()
    assert tick.tzinfo is moment.tzinfo
    assert Interval(interval).next_after(moment) == tick


def test_hours_tick_on_the_hour() -> None:
    """What a person expects of `1h` and of `168h`: full hours, and Mondays."""
    moment = datetime(2026, 1, 1, 10, 20, tzinfo=UTC)
    assert Interval(timedelta(hours=1)).next_after(moment) == datetime(2026, 1, 1, 11, tzinfo=UTC)
    assert Interval(timedelta(hours=168)).next_after(moment) == datetime(2026, 1, 5, tzinfo=UTC)


@pytest.mark.parametrize("interval", [timedelta(), timedelta(seconds=-1)])
def test_an_interval_of_zero_is_refused(interval: timedelta) -> None:
    """A schedule that would never let go of the processor is a mistake."""
    with pytest.raises(ValueError) as caught:
        Interval(interval)
    assert str(caught.value) == "an interval of zero never ends (write it like 30s or 1h)"


def test_an_interval_beyond_the_calendar_is_refused() -> None:
    """A slip of the unit is told before it overflows."""
    with pytest.raises(ValueError, match="more than a century"):
        Interval(timedelta(days=36_526))


@given(CRONS, st.one_of(MOMENTS, NEAR_CHANGES))
def test_cron_ticks_strictly_later(cron: str, moment: datetime) -> None:
    """The next tick is later than the moment, as an instant, in its zone, and always the same."""
    tick = Cron(cron).next_after(moment)
    assert instant(tick) > instant(moment)
    assert tick.tzinfo is moment.tzinfo
    assert Cron(cron).next_after(moment) == tick


@given(CRONS, st.one_of(MOMENTS, NEAR_CHANGES))
def test_no_tick_is_passed_over(cron: str, moment: datetime) -> None:
    """Between a moment and its next tick there is no other, whichever moment is asked from."""
    tick = instant(Cron(cron).next_after(moment))
    between = instant(moment) + (tick - instant(moment)) / 2
    if between < tick:
        assert instant(Cron(cron).next_after(between.astimezone(moment.tzinfo))) == tick


@given(CRONS, NEAR_CHANGES)
def test_a_zone_of_its_own_wins(cron: str, moment: datetime) -> None:
    """With `timezone` the ticks are that zone's, and are told in the moment's."""
    tick = Cron(cron, "Europe/Paris").next_after(moment)
    assert instant(tick) == instant(Cron(cron).next_after(moment.astimezone(PARIS)))
    assert tick.tzinfo is moment.tzinfo


def ticks(cron: str, start: datetime, end: datetime) -> list[str]:
    """Return the ticks within a time, as the wall clock and its offset show them."""
    found, moment = [], Cron(cron).next_after(start)
    while instant(moment) < instant(end):
        found.append(f"{moment:%H:%M%z}")
        moment = Cron(cron).next_after(moment)
    return found


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("30 2 * * *", ["03:00+0200"]),
        ("30 1 * * *", ["01:30+0100"]),
        ("0 * * * *", ["01:00+0100", "03:00+0200", "04:00+0200"]),
        ("*/30 2 * * *", []),
        ("@daily", []),
    ],
)
def test_clocks_go_forward(cron: str, expected: list[str]) -> None:
    """A fixed time within the gap comes right after it; one that repeats by the hour goes on."""
    start = datetime(2026, 3, 29, 0, 30, tzinfo=PARIS)
    assert ticks(cron, start, datetime(2026, 3, 29, 4, 30, tzinfo=PARIS)) == expected


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("30 2 * * *", ["02:30+0200"]),
        ("0 * * * *", ["01:00+0200", "02:00+0200", "02:00+0100", "03:00+0100"]),
        ("*/30 2 * * *", ["02:00+0200", "02:30+0200", "02:00+0100", "02:30+0100"]),
    ],
)
def test_clocks_go_back(cron: str, expected: list[str]) -> None:
    """A fixed time in the hour that comes twice ticks once; one that repeats ticks in both."""
    start = datetime(2026, 10, 25, 0, 30, tzinfo=PARIS)
    assert ticks(cron, start, datetime(2026, 10, 25, 3, 30, tzinfo=PARIS)) == expected


def test_the_hour_that_comes_twice_is_not_gone_back_in() -> None:
    """Asked in its second pass, a fixed time of that hour comes on the next day."""
    moment = datetime(2026, 10, 25, 2, 10, fold=1, tzinfo=PARIS)
    tick = Cron("30 2 * * *").next_after(moment)
    assert tick == datetime(2026, 10, 26, 2, 30, tzinfo=PARIS)


def test_a_reading_of_the_clock_that_never_was_is_an_instant() -> None:
    """Asked with a time within the gap, the tick is later than the instant that it stands for."""
    moment = datetime(2026, 3, 29, 2, 15, tzinfo=PARIS)  # 03:15 after the change
    for cron, expected in [
        ("0 3 * * *", datetime(2026, 3, 30, 3, tzinfo=PARIS)),
        ("30 2 * * *", datetime(2026, 3, 30, 2, 30, tzinfo=PARIS)),
        ("20 3 * * *", datetime(2026, 3, 29, 3, 20, tzinfo=PARIS)),
        ("*/30 * * * *", datetime(2026, 3, 29, 3, 30, tzinfo=PARIS)),
    ]:
        assert Cron(cron).next_after(moment) == expected


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 JAN *"),
        ("@monthly", "0 0 1 * *"),
        ("@weekly", "0 0 * * SUN"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@HOURLY", "0 * * * *"),
    ],
)
def test_short_names(short: str, long: str) -> None:
    """`@daily` and the like are what they are in cron."""
    for month in range(1, 13):
        moment = datetime(2026, month, 3, 4, 5, tzinfo=PARIS)
        assert Cron(short).next_after(moment) == Cron(long).next_after(moment)


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("* * * *", "is no cron expression (it has five fields, or is like @daily)"),
        ("0 * * * * *", "is no cron expression (it has five fields, or is like @daily)"),
        ("@reboot", "is no cron expression (it has five fields, or is like @daily)"),
        ("", "is no cron expression (it has five fields, or is like @daily)"),
        ("61 * * * *", "is no cron expression (bad minute)"),
        ("0 0 * * FOO", "is no cron expression (bad day-of-week)"),
        ("*/0 * * * *", "is no cron expression (bad minute)"),
        ("0 0 30 2 *", "is no cron expression (bad day-of-month)"),
        ("0 0 */31 2 1#5", "never comes"),
    ],
)
def test_what_is_no_cron_is_refused(cron: str, words: str) -> None:
    """An expression that is none, or that never comes, is a mistake that is told at once."""
    start = time.monotonic()
    with pytest.raises(ValueError) as caught:
        Cron(cron)
    assert str(caught.value) == f"{cron!r} {words}"
    assert time.monotonic() - start < 1


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc", "europe paris"])
def test_what_is_no_zone_is_refused(name: str) -> None:
    """An unknown zone is a mistake that is told at once."""
    with pytest.raises(ValueError) as caught:
        Cron("@daily", name)
    assert str(caught.value) == f"{name!r} is no time zone (write it like Europe/Paris)"
