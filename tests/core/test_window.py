"""Grains and windows: alignment, tiling, local bounds, and the edges of the calendar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from parts.cases import cases
from signals_core import Grain, Window
from signals_core.duration import format_duration
from signals_core.window import iso, zone_named

MICROSECOND = timedelta(microseconds=1)
CALENDAR = ("1d", "1w", "1mo", "1q", "1y")
ZONES = sorted(available_timezones() - {"localtime"})

#: Zones whose clocks do odd things: at midnight, a minute after it, by half an hour, by a day.
ODD_ZONES = """
    Africa/Cairo Africa/Casablanca America/Asuncion America/Goose_Bay America/Havana America/Nuuk
    America/Santiago America/Sao_Paulo America/Scoresbysund America/St_Johns Antarctica/Troll
    Asia/Amman Asia/Beirut Asia/Gaza Asia/Kathmandu Asia/Pyongyang Asia/Tehran
    Australia/Lord_Howe Europe/Dublin Pacific/Apia Pacific/Auckland Pacific/Chatham
    Pacific/Kiritimati Pacific/Kwajalein
""".split()

moments = st.datetimes(
    min_value=datetime(1970, 1, 2), max_value=datetime(2037, 12, 30), timezones=st.just(UTC)
)
zones = st.sampled_from(ODD_ZONES) | st.sampled_from(ZONES)
calendar_grains = st.builds(Grain.parse, st.sampled_from(CALENDAR), zones)
lengths = st.integers(1, 10**13) | st.sampled_from([500, 10**6, 60 * 10**6, 3600 * 10**6])
duration_grains = st.builds(
    lambda length, zone: Grain.parse(format_duration(length * MICROSECOND), zone), lengths, zones
)
grains = calendar_grains | duration_grains


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize("case", cases("alignment"))
def test_alignment_cases(case):
    """The bucket of a moment is the one that the semantic cases say."""
    window = Grain.parse(case["grain"], case["zone"]).window(at(case["moment"]))
    assert (window.start, window.end) == (at(case["start"]), at(case["end"]))


@pytest.mark.parametrize("case", cases("completed"))
def test_completed_cases(case):
    """The whole buckets within two moments are those that the semantic cases say."""
    found = Grain.parse(case["grain"], case["zone"]).completed(at(case["from"]), at(case["to"]))
    assert [[iso(each.start), iso(each.end)] for each in found] == case["windows"]


@pytest.mark.parametrize(
    ("grain", "zone", "moment", "start", "end"),
    [
        # Midnight comes twice: clocks go back at 00:01, and the day began when it first came.
        ("1d", "America/St_Johns", "2010-11-07T02:29:59", "2010-11-06T02:30", "2010-11-07T02:30"),
        ("1d", "America/St_Johns", "2010-11-07T02:45", "2010-11-07T02:30", "2010-11-08T03:30"),
        ("1d", "America/Havana", "2026-11-01T12:00", "2026-11-01T04:00", "2026-11-02T05:00"),
        # Midnight never comes: clocks go from 23:59:59 to 01:00.
        ("1d", "Africa/Cairo", "2024-04-26T00:00", "2024-04-25T22:00", "2024-04-26T21:00"),
        ("1d", "America/Asuncion", "2023-10-01T04:00", "2023-10-01T04:00", "2023-10-02T03:00"),
        # Half an hour of daylight saving.
        ("1d", "Australia/Lord_Howe", "2026-04-05T00:00", "2026-04-04T13:00", "2026-04-05T13:30"),
        # The whole day before midnight is an hour longer, from 23:00 to 23:00 again.
        ("1d", "America/Nuuk", "2024-10-27T01:30", "2024-10-26T01:00", "2024-10-27T02:00"),
        ("1d", "Asia/Pyongyang", "2018-05-04T15:00", "2018-05-04T15:00", "2018-05-05T15:00"),
        # Days that never came, in a week, at the end of a year, by themselves.
        ("1w", "Pacific/Apia", "2011-12-30T10:00", "2011-12-26T10:00", "2012-01-01T10:00"),
        ("1mo", "Pacific/Kiritimati", "1994-12-31T09:00", "1994-12-01T10:00", "1994-12-31T10:00"),
        ("1d", "Pacific/Kwajalein", "1993-08-21T12:00", "1993-08-21T12:00", "1993-08-22T12:00"),
        # Leap days, quarters, years.
        ("1d", "UTC", "2024-02-29T12:00", "2024-02-29T00:00", "2024-03-01T00:00"),
        ("1mo", "UTC", "2100-02-28T12:00", "2100-02-01T00:00", "2100-03-01T00:00"),
        ("1q", "Asia/Kathmandu", "2026-03-31T18:15", "2026-03-31T18:15", "2026-06-30T18:15"),
        ("1q", "UTC", "2026-05-31T00:00", "2026-04-01T00:00", "2026-07-01T00:00"),
        ("1y", "America/New_York", "2025-01-01T04:59:59", "2024-01-01T05:00", "2025-01-01T05:00"),
        ("1w", "UTC", "2024-12-31T00:00", "2024-12-30T00:00", "2025-01-06T00:00"),
        # Durations know no zone; whole weeks of hours begin on Mondays.
        ("336h", "Asia/Kolkata", "2024-01-01T00:00", "2023-12-25T00:00", "2024-01-08T00:00"),
        ("90m", "UTC", "2024-01-01T01:29:59", "2024-01-01T00:00", "2024-01-01T01:30"),
        ("7s", "UTC", "2024-01-02T00:00:05", "2024-01-02T00:00:01", "2024-01-02T00:00:08"),
        # The first and the last buckets there are.
        ("1h", "UTC", "0001-01-01T00:30", "0001-01-01T00:00", "0001-01-01T01:00"),
        ("1d", "UTC", "0001-01-01T00:30", "0001-01-01T00:00", "0001-01-02T00:00"),
        ("1h", "UTC", "9999-12-31T22:30", "9999-12-31T22:00", "9999-12-31T23:00"),
        ("1mo", "UTC", "9999-11-30T22:30", "9999-11-01T00:00", "9999-12-01T00:00"),
    ],
)
def test_alignment(grain, zone, moment, start, end):
    """A calendar bucket runs from the first instant of a local date to that of the next one."""
    window = Grain.parse(grain, zone).window(at(moment + "Z"))
    assert (iso(window.start), iso(window.end)) == (iso(at(start + "Z")), iso(at(end + "Z")))


@given(grains, moments)
@example(Grain.parse("1d", "Pacific/Apia"), at("2011-12-30T10:00Z"))
@example(Grain.parse("1d", "America/St_Johns"), at("2010-11-07T02:31Z"))
@example(Grain.parse("1d", "America/Toronto"), at("1919-03-31T04:45Z"))
def test_buckets_tile_time(grain, moment):
    """Every moment lies in exactly its bucket, which ends where the next one begins."""
    window = grain.window(moment)
    assert window.start <= moment < window.end
    assert grain.window(window.start) == window == grain.window(window.end - MICROSECOND)
    assert grain.window(window.end).start == window.end
    assert grain.window(window.start - MICROSECOND).end == window.start


@given(st.sampled_from(CALENDAR), zones, moments)
def test_calendar_buckets_begin_with_local_dates(unit, zone, moment):
    """A calendar bucket begins when the clocks of its zone first show the first of its dates."""
    start = Grain.parse(unit, zone).window(moment).start
    first = start.astimezone(ZoneInfo(zone)).date()
    assert (start - MICROSECOND).astimezone(ZoneInfo(zone)).date() < first
    match unit:
        case "1w":
            assert first.weekday() == 0
        case "1mo":
            assert first.day == 1
        case "1q":
            assert (first.day, first.month % 3) == (1, 1)
        case "1y":
            assert (first.day, first.month) == (1, 1)


@given(lengths, zones, moments)
def test_duration_buckets_are_counted_from_the_year_1(length, zone, moment):
    """A duration bucket begins a whole number of lengths after 0001-01-01T00:00Z, in any zone."""
    grain = Grain.parse(format_duration(length * MICROSECOND), zone)
    days, rest = (
        moment.toordinal() - 1,
        moment - moment.replace(hour=0, minute=0, second=0, microsecond=0),
    )
    since = days * 86_400_000_000 + rest // MICROSECOND
    window = grain.window(moment)
    assert moment - window.start == (since % length) * MICROSECOND
    assert window.end - window.start == length * MICROSECOND


@given(grains, moments, st.timedeltas(timedelta(), timedelta(days=3)), st.integers(0, 4))
def test_completed_is_exactly_the_whole_buckets(grain, start, more, buckets):
    """The first whole bucket begins at or after the start, the last ends at or before the end."""
    end = start
    for _ in range(buckets):
        end = grain.window(end).end
    end += min(more, (grain.window(end).end - end) * 2)
    found = grain.completed(start, end)
    first = grain.window(start)
    if first.start < start:
        first = grain.window(first.end)
    for window in found:
        assert window == first
        first = grain.window(first.end)
    assert first.end > end


@given(calendar_grains, moments)
def test_local_bounds_of_calendar_buckets_are_midnights(grain, moment):
    """A calendar bucket's local bounds are midnights, even those that never came."""
    window = grain.window(moment)
    for bound, local in ((window.start, window.local_start), (window.end, window.local_end)):
        assert local.tzinfo is None and local == local.replace(hour=0, minute=0, second=0)
        instant = local.replace(tzinfo=ZoneInfo(grain.timezone)).astimezone(UTC)
        assert instant == bound


def test_local_bounds_of_duration_buckets():
    """A duration bucket's local bounds are what the clocks of the zone show."""
    window = Grain.parse("1h", "Asia/Kolkata").window(at("2026-01-01T00:10Z"))
    assert window.parameters == {
        "window_start": at("2026-01-01T00:00Z"),
        "window_end": at("2026-01-01T01:00Z"),
        "window_start_local": at("2026-01-01T05:30"),
        "window_end_local": at("2026-01-01T06:30"),
    }


@given(grains, moments, zones)
def test_the_zone_of_a_moment_does_not_matter(grain, moment, zone):
    """A moment in another zone is the same moment; bounds are always UTC."""
    window = grain.window(moment.astimezone(ZoneInfo(zone)))
    assert window == grain.window(moment)
    assert window.start.tzinfo is UTC and window.end.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    "2d 7d 2w 1.5d 1d12h 12h1d 0.5w 2mo 1.0d 2q 5y 1mo1d 01d".split(),
)
def test_calendar_units_stand_alone(text):
    """Multiples of calendar units are no grains, and the message says how to write a length."""
    with pytest.raises(ValueError, match=r"calendar units stand alone.*write hours: 48h"):
        Grain.parse(text)


@pytest.mark.parametrize(
    "text", ["", "d", "1", "-1h", "1h ", " 1d", "1D", "1month", "1min", "daily"]
)
def test_no_grain(text):
    """What is neither a duration nor a calendar unit is no grain."""
    with pytest.raises(ValueError, match="is no "):
        Grain.parse(text)


@pytest.mark.parametrize("text", ["0", "0s", "0h0m"])
def test_a_grain_of_zero(text):
    """A grain of zero holds no time."""
    with pytest.raises(ValueError, match="a grain of zero"):
        Grain.parse(text)


@pytest.mark.parametrize(("one", "other"), [("90m", "1h30m"), ("60s", "1m"), ("48h", "2880m")])
def test_grains_have_one_text(one, other):
    """Equal lengths are equal grains, with one text."""
    assert Grain.parse(one) == Grain.parse(other)
    assert str(Grain.parse(one)) == str(Grain.parse(other))


def test_24_hours_are_no_day():
    """A day is a local date, 24 hours are a length."""
    assert Grain.parse("1d").is_calendar and not Grain.parse("24h").is_calendar
    assert Grain.parse("1d") != Grain.parse("24h")


@pytest.mark.parametrize(
    "zone",
    [
        "",
        "Mars/Olympus",
        "Europe",
        "../etc/passwd",
        ".",
        "utc\0",
        "Europe/Paris ",
        "\ud800",
        "+01:00",
    ],
)
def test_unknown_zones(zone):
    """Whatever is no IANA name is refused with a name that would be right."""
    with pytest.raises(ValueError, match=r"is no time zone \(write it like UTC or Europe/Paris\)"):
        zone_named(zone)


class Nowhere(tzinfo):
    """A zone that knows no offset, which makes a datetime naive."""

    def utcoffset(self, moment):
        return None


@pytest.mark.parametrize("moment", [datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=Nowhere())])
def test_naive_moments(moment):
    """A moment without an offset is refused: whose it is nobody knows."""
    grain = Grain.parse("1h")
    for call in (
        lambda: grain.window(moment),
        lambda: grain.completed(moment, datetime(2027, 1, 1, tzinfo=UTC)),
        lambda: grain.completed(datetime(2025, 1, 1, tzinfo=UTC), moment),
    ):
        with pytest.raises(ValueError, match="has no time zone"):
            call()


@pytest.mark.parametrize(
    ("grain", "zone", "moment"),
    [
        ("1h", "UTC", datetime(9999, 12, 31, 23, 30, tzinfo=UTC)),
        ("1y", "UTC", datetime(9999, 6, 1, tzinfo=UTC)),
        ("1d", "Europe/Paris", datetime(1, 1, 1, tzinfo=UTC)),
        ("1d", "America/New_York", datetime(1, 1, 1, tzinfo=UTC)),
        ("1h", "UTC", datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))),
        ("1h", "UTC", datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-3)))),
        ("90000000h", "UTC", datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)
def test_beyond_the_calendar(grain, zone, moment):
    """A bucket that leaves the years 1 to 9999 is refused."""
    with pytest.raises(ValueError, match="leaves the calendar"):
        Grain.parse(grain, zone).window(moment)


def test_completed_up_to_the_last_moment():
    """The bucket that would end after the year 9999 is not whole; those before it are."""
    end = datetime.max.replace(tzinfo=UTC)
    hours = Grain.parse("1h").completed(datetime(9999, 12, 31, tzinfo=UTC), end)
    assert len(hours) == 23
    assert Grain.parse("1h").completed(end - MICROSECOND, end) == []
    assert len(Grain.parse("1mo").completed(datetime(9999, 1, 15, tzinfo=UTC), end)) == 10
    assert (
        len(Grain.parse("1d").completed(datetime.min.replace(tzinfo=UTC), at("0001-01-03T00:00Z")))
        == 2
    )


@pytest.mark.parametrize("grain", ["5m", "1d"])
def test_completed_of_nothing(grain):
    """Between a moment and itself, or an earlier one, there is no bucket."""
    moment = at("2026-01-01T00:00Z")
    assert Grain.parse(grain).completed(moment, moment) == []
    assert Grain.parse(grain).completed(moment, moment - timedelta(days=9)) == []


def test_a_window_is_its_bounds():
    """Windows are equal when their bounds are, whatever a wall clock shows."""
    start, end = at("2026-01-01T00:00Z"), at("2026-01-02T00:00Z")
    window = Window(start, end)
    assert window == Window(start, end, local_start=at("2026-01-01T01:00"))
    assert (window.local_start, window.local_end) == (
        at("2026-01-01T00:00"),
        at("2026-01-02T00:00"),
    )
    assert str(window) == "2026-01-01T00:00:00Z/2026-01-02T00:00:00Z"


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        ("2026-01-01T01:00:00+01:00", "2026-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00.120000+00:00", "2026-01-01T00:00:00.120000Z"),
        ("0999-01-01T00:00:00+00:00", "0999-01-01T00:00:00Z"),
    ],
)
def test_iso(moment, text):
    """Moments are written in UTC with `Z`, with microseconds only when there are any."""
    assert iso(at(moment)) == text
