"""Coverage: the arithmetic of what is due, missing, skipped and read again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from attrs import fields
from hypothesis import example, given
from hypothesis import strategies as st

from signals_core import Grain, Window, WindowPolicy
from signals_core.coverage import Coverage, Intervals, within
from signals_core.retries import retry_delay

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
GRAIN = Grain.parse("1h")

hours = st.integers(0, 30)
spans = st.lists(st.tuples(hours, hours), max_size=12)


def at(hour: float) -> datetime:
    """Return the instant so many hours after the start of history."""
    return START + hour * HOUR


def window(hour: int) -> Window:
    """Return the window that begins so many hours after the start of history."""
    return GRAIN.window(at(hour))


def hours_of(intervals: Intervals) -> set[int]:
    """Return the hours that are in a set."""
    return {hour for hour in range(31) if intervals.covers(at(hour), at(hour + 1))}


def due(coverage: Coverage, policy: WindowPolicy, seen: float, now: float = 1e4) -> list[int]:
    """Return the hours of the windows that are due."""
    windows = coverage.due(GRAIN, policy, at(seen), at(now))
    return [round((each.start - START) / HOUR) for each in windows]


@given(spans)
def test_intervals_are_a_set(spans: list[tuple[int, int]]) -> None:
    """Adding intervals in any order gives the union, merged and in order."""
    wanted = {hour for start, end in spans for hour in range(start, end)}
    one_by_one = Intervals()
    for start, end in spans:
        one_by_one = one_by_one.adding(at(start), at(end))
    assert one_by_one == Intervals.of([(at(start), at(end)) for start, end in spans])
    assert hours_of(one_by_one) == wanted
    edges = [edge for span in one_by_one.spans for edge in span]
    assert edges == sorted(set(edges))


@given(spans, hours, hours)
def test_without(spans: list[tuple[int, int]], start: int, end: int) -> None:
    """Taking an interval away leaves the difference."""
    everything = Intervals.of([(at(first), at(last)) for first, last in spans])
    assert hours_of(everything.without(at(start), at(end))) == (
        hours_of(everything) - set(range(start, end))
    )


@given(spans, hours, hours)
def test_gaps_are_the_complement(spans: list[tuple[int, int]], start: int, end: int) -> None:
    """The gaps of a range and the set together are the range, and share nothing."""
    covered = Intervals.of([(at(first), at(last)) for first, last in spans])
    gaps = Intervals.of(covered.gaps(at(start), at(end)))
    assert hours_of(gaps) == set(range(start, end)) - hours_of(covered)


@given(st.permutations(range(20)))
def test_windows_in_any_order_merge(order: list[int]) -> None:
    """Windows read in any order are one interval when all are there."""
    coverage = Coverage(START)
    for hour in order:
        coverage = coverage.after_reading(window(hour), WindowPolicy(), at(1000))
    assert coverage.covered.spans == ((at(0), at(20)),)


@given(st.sets(hours), st.floats(0, 30), st.integers(0, 180))
def test_due_is_what_ended_and_was_not_read(read: set[int], seen: float, grace: int) -> None:
    """A window is due when its end and the grace have passed and it was not read; oldest first."""
    policy = WindowPolicy(grace=timedelta(minutes=grace))
    coverage = Coverage(START)
    for hour in read:
        coverage = coverage.after_reading(window(hour), policy, at(1000))
    ended = [hour for hour in range(31) if at(hour + 1) + policy.grace <= at(seen)]
    assert due(coverage, policy, seen) == [hour for hour in ended if hour not in read]


def test_one_reading_covers_every_level_then_due() -> None:
    """After days down a window is read once, however many levels have passed."""
    policy = WindowPolicy(revise=[HOUR, timedelta(days=1)])
    coverage = Coverage(START).with_policy(policy, START)
    reads = 0
    while pending := due(coverage, policy, seen=8 * 24):
        coverage = coverage.after_reading(window(pending[0]), policy, at(8 * 24))
        reads += 1
    assert reads == 8 * 24 - 1


def test_revised_at_each_level() -> None:
    """A window read when it fell due is read again at each level, and then no more."""
    policy = WindowPolicy(revise=[HOUR, timedelta(days=1)])
    coverage = Coverage(START).with_policy(policy, START)
    read_at = []
    for minute in range(60, 30 * 60, 5):
        seen = minute / 60
        if 0 in due(coverage, policy, seen):
            coverage = coverage.after_reading(window(0), policy, at(seen))
            read_at.append(minute)
    assert read_at == [65, 120, 25 * 60]


def test_new_level_leaves_the_past_alone() -> None:
    """A new level applies to windows whose end and level lie after it was first seen."""
    coverage = Coverage(START)
    for hour in range(10):
        coverage = coverage.after_reading(window(hour), WindowPolicy(), at(10))
    policy = WindowPolicy(revise=[HOUR])
    coverage = coverage.with_policy(policy, at(10.5))
    assert due(coverage, policy, seen=12) == [9, 10]


def test_catch_up_skips_the_older_ones() -> None:
    """`catch_up: 3` reads the last three of forty and records the others as skipped."""
    policy = WindowPolicy(catch_up=3, grace=timedelta())
    coverage = Coverage(START)
    excess = coverage.excess(GRAIN, policy, at(40))
    assert excess == (at(0), at(37))
    coverage = coverage.after_skipping(*excess)
    assert due(coverage, policy, seen=40) == [37, 38, 39]
    assert coverage.excess(GRAIN, policy, at(40)) is None
    backfilled = coverage.after_reading(window(5), policy, at(40))
    assert not backfilled.skipped.covers(at(5), at(6))
    assert backfilled.covered.covers(at(5), at(6))


@given(st.sets(hours, max_size=20), st.integers(1, 10), st.integers(1, 30))
def test_excess_leaves_the_newest(read: set[int], catch_up: int, seen: int) -> None:
    """After skipping, no more windows are missing than `catch_up`, and they are the newest."""
    policy = WindowPolicy(catch_up=catch_up, grace=timedelta())
    coverage = Coverage(START)
    for hour in read:
        coverage = coverage.after_reading(window(hour), policy, at(seen))
    missing = due(coverage, policy, seen)
    excess = coverage.excess(GRAIN, policy, at(seen))
    after = coverage.after_skipping(*excess) if excess else coverage
    assert due(after, policy, seen) == missing[-catch_up:]
    assert after.covered == coverage.covered


@given(spans, st.sampled_from(["1h", "90m", "1d", "7m"]))
def test_windows_are_counted_as_they_are_listed(drawn: list[tuple[int, int]], text: str) -> None:
    """The windows of spans are as many as can be listed, and span from the first to the last."""
    grain = Grain.parse(text, "Europe/Paris")
    gaps = Intervals.of([(at(start), at(end)) for start, end in drawn]).spans
    listed = [each for gap in gaps for each in grain.windows(*gap)]
    together = (listed[0].start, listed[-1].end) if listed else None
    assert within(grain, gaps) == (len(listed), together)


@given(
    st.datetimes(datetime(2009, 1, 1), datetime(2013, 12, 31)),
    st.timedeltas(timedelta(), timedelta(days=1500)),
    st.sampled_from(["1d", "1w", "1mo", "1q", "1y"]),
    st.sampled_from(["Pacific/Apia", "Europe/Paris", "America/St_Johns", "UTC"]),
)
@example(datetime(2011, 12, 1), timedelta(days=60), "1d", "Pacific/Apia")
def test_calendars_are_counted_as_they_are_listed(
    start: datetime, length: timedelta, text: str, zone: str
) -> None:
    """Local days, weeks, months and years are counted right, also where a day does not exist."""
    grain = Grain.parse(text, zone)
    begin = start.replace(tzinfo=UTC)
    listed = list(grain.windows(begin, begin + length))
    assert within(grain, [(begin, begin + length)])[0] == len(listed)


def test_a_century_of_days_is_counted_at_once() -> None:
    """Windows of a calendar are counted, not listed."""
    grain = Grain.parse("1d", "Europe/Paris")
    asked: list[datetime] = []

    class Listed(Grain):
        def window(self, moment):
            asked.append(moment)
            return super().window(moment)

    counting = Listed(*(getattr(grain, each.name) for each in fields(Grain)))
    assert within(counting, [(START, START + timedelta(days=36_500))])[0] == 36_499
    assert len(asked) < 10


def test_a_century_of_seconds_is_counted_at_once() -> None:
    """Windows of a fixed length are counted, not listed."""
    year = timedelta(days=36_500)
    assert within(Grain.parse("1s"), [(START, START + year)])[0] == year // timedelta(seconds=1)


def test_failed_window_is_retried_and_the_others_go_on() -> None:
    """A failed window comes again when its retry has come, and is forgotten once it was read."""
    policy = WindowPolicy(grace=timedelta())
    coverage = Coverage(START).after_failure(window(1), "division by zero", at(3))
    assert due(coverage, policy, seen=3, now=3) == [0, 2]
    assert due(coverage, policy, seen=3, now=3 + 1 / 60) == [0, 1, 2]
    coverage = coverage.after_failure(window(1), "division by zero", at(3.1))
    assert coverage.failures[at(1)].attempts == 2
    assert not coverage.after_reading(window(1), policy, at(4)).failures


def test_retries_grow_rare() -> None:
    """Retries come after a minute, then twice as late each time, and once an hour at last."""
    assert [retry_delay(n) // timedelta(minutes=1) for n in range(1, 10)] == [
        1, 2, 4, 8, 16, 32, 60, 60, 60,
    ]  # fmt: skip
    assert retry_delay(10**6) == HOUR


def test_an_earlier_start_extends_history() -> None:
    """An earlier `window.start` extends history, a later one changes nothing."""
    coverage = Coverage(at(5))
    assert coverage.with_policy(WindowPolicy(start=at(2)), at(9)).start == at(2)
    assert coverage.with_policy(WindowPolicy(start=at(7)), at(9)).start == at(5)
    assert coverage.with_policy(WindowPolicy(), at(9)).start == at(5)


@given(st.sets(hours), st.sets(st.integers(0, 30), max_size=3))
def test_next_due_agrees_with_due(read: set[int], failed: set[int]) -> None:
    """Something is due exactly from the instant that `next_due` names."""
    policy = WindowPolicy(grace=timedelta(), revise=[3 * HOUR])
    coverage = Coverage(START).with_policy(policy, START)
    for hour in read:
        coverage = coverage.after_reading(window(hour), policy, window(hour).end)
    for hour in failed - read:
        coverage = coverage.after_failure(window(hour), "no", at(hour + 1))
    when = coverage.next_due(GRAIN, policy, at(100), until=at(100))
    assert when is not None
    hours_until = (when - START) / HOUR
    assert not due(coverage, policy, seen=hours_until - 1e-6, now=hours_until - 1e-6)
    assert due(coverage, policy, seen=hours_until, now=hours_until)
