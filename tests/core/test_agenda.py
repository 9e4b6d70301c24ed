"""Agendas: when a collector runs next, told the time and how its runs ended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parts.collectors import collector_of
from signals_core import WindowPolicy
from signals_core.agenda import Snapshots, Windows
from signals_core.builtin.schedules import Cron, Interval
from signals_core.coverage import Coverage
from signals_core.ticks import last_tick, spread, tick_after

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def at(hour: float) -> datetime:
    """Return the instant so many hours into the year."""
    return START + hour * HOUR


def windows(now: float, known: Coverage | None = None, **fields) -> Windows:
    """Begin the agenda of a collector of hours."""
    policy = WindowPolicy(grace=MINUTE, **fields.pop("policy", {}))
    collector = collector_of(grain="1h", window=policy, **fields)
    return Windows.starting(collector, known, at(now))


def test_a_pass_is_what_ended_by_the_tick() -> None:
    """A tick's windows are those that ended by then, one that ends with it included."""
    agenda = windows(0.5, Coverage(at(0)), schedule=Cron("0 */4 * * *"))
    assert agenda.next_run(at(3)) == at(4)
    assert agenda.begin(at(4))
    for hour in range(3):
        window = agenda.choose(at(4), at(4))
        assert window is not None and window.start == at(hour)
        agenda.coverage = agenda.coverage.after_reading(window, agenda.policy, at(4))
    assert agenda.next_run(at(4)) == at(4) + MINUTE  # the grace of the last one
    assert agenda.choose(at(7), at(7)).start == at(3)
    last = agenda.grain.window(at(3))
    agenda.coverage = agenda.coverage.after_reading(last, agenda.policy, at(7))
    assert agenda.choose(at(7), at(7)) is None and agenda.next_run(at(7)) == at(8)


@pytest.mark.parametrize("now", [4, 4.5, 7.99])
def test_a_start_after_a_tick(now: float) -> None:
    """A start opens the pass of the last tick, up to which a window is missing."""
    agenda = windows(now, Coverage(at(0)), schedule=Cron("0 */4 * * *"))
    assert agenda.horizon == at(4)
    assert at(now) <= agenda.next_run(at(now)) <= at(now) + max(MINUTE, 61 * MINUTE)


def test_a_tick_long_ago_is_the_last_one() -> None:
    """After a long sleep the tick that is taken up is the last one, and the next lies ahead."""
    agenda = windows(0.5, Coverage(at(0)), schedule=Interval(HOUR))
    assert agenda.begin(at(50.5))
    assert (agenda.horizon, agenda.next_tick) == (at(50), at(51))


def test_polls_grow_with_the_lag() -> None:
    """A source is asked again when it may have caught up, 50 ms to a minute later."""
    for lag, poll in [(0.02, 0.05), (7.0, 7.0), (7200.0, 60.0)]:
        agenda = windows(0, Coverage(at(0)))
        now = at(1) + MINUTE
        seen = now - timedelta(seconds=lag)
        assert agenda.choose(seen, now) is None and agenda.wait_for(seen, now)
        assert agenda.next_run(now) == now + timedelta(seconds=poll)


def test_a_spread_is_over_before_the_next_window() -> None:
    """Without a schedule a start is put off by no more than what falls due next."""
    policy = WindowPolicy(grace=timedelta())
    for number in range(50):
        collector = collector_of(name=f"c{number}", grain="10s", window=policy)
        agenda = Windows.starting(collector, None, START + timedelta(seconds=7))
        assert agenda.next_run(START) < START + timedelta(seconds=10)


@given(st.integers(0, 10_000), st.sampled_from(["*/7 * * * *", "5 0 * * *", "0 9-17 * * 1-5"]))
def test_the_last_tick(minutes: int, cron: str) -> None:
    """The last tick by now has none between itself and now."""
    now, since = START + minutes * MINUTE, START - 5 * DAY
    collector = collector_of(schedule=Cron(cron))
    tick = last_tick(collector, since, now)
    assert tick is not None and since <= tick <= now
    assert tick_after(collector, tick) > now
    assert tick_after(collector, tick - timedelta(microseconds=1)) == tick


def test_no_tick_is_none() -> None:
    """Where no tick came since an instant there is no last one."""
    collector = collector_of(schedule=Cron("5 0 * * *"))
    assert last_tick(collector, at(1), at(20)) is None
    assert last_tick(collector, at(1), at(1)) is None


@given(st.text(min_size=1), st.timedeltas(timedelta(seconds=1), DAY))
def test_a_spread_is_within_its_room(name: str, room: timedelta) -> None:
    """A spread is the same each time, less than a minute and less than its room."""
    assert timedelta() <= spread(name, room) < min(room, MINUTE)
    assert spread(name, room) == spread(name, room)


def snapshots(now: float, last: float | None = None, **fields) -> Snapshots:
    """Begin the agenda of a snapshot collector."""
    given = {"schedule": Interval(HOUR), **fields}
    return Snapshots.starting(collector_of(**given), None if last is None else at(last), at(now))


def test_a_failure_before_the_tick_is_not_tried_beyond_it() -> None:
    """A retry that would come at the next tick or later is left to that."""
    agenda = snapshots(0.5, last=0)
    agenda.failed(at(0.99), at(0.99), None)
    assert agenda.next_run(at(0.99)) == at(1)
    agenda = snapshots(0.5, last=0)
    agenda.failed(at(0.6), at(0.6), 10 * MINUTE)
    assert agenda.next_run(at(0.6)) == at(0.6) + 10 * MINUTE


def test_a_clock_set_back_takes_all_along() -> None:
    """After the clock was set back by an hour, what was to come in 5 minutes comes in 5 minutes."""
    agenda = snapshots(10.25, last=10)
    assert agenda.next_run(at(10.25)) == at(11)
    agenda.failed(at(10.25), at(10.25), 5 * MINUTE, asked=True)
    assert agenda.next_run(at(9.25)) == at(9.25) + 5 * MINUTE
    assert (agenda.not_before, agenda.next_tick) == (at(9.25) + 5 * MINUTE, at(10))


def test_a_pass_of_a_clock_that_was_ahead() -> None:
    """A pass opened by a clock that was ahead takes in nothing that ends after the present."""
    agenda = windows(9000, Coverage(at(0)), schedule=Cron("0 */4 * * *"))
    agenda.next_run(at(9000))
    assert agenda.horizon == at(9000)
    assert agenda.next_run(at(1.5)) < at(1.6) and agenda.horizon == at(1.5)
    agenda.coverage = agenda.coverage.after_reading(
        agenda.grain.window(at(0)), agenda.policy, at(1)
    )
    assert agenda.next_run(at(1.5)) == at(4)


def test_a_clock_that_trembles_is_not_set() -> None:
    """A clock that goes back by less than five seconds changes nothing."""
    agenda = snapshots(10.25, last=10)
    agenda.next_run(at(11))
    assert agenda.next_run(at(11) - timedelta(seconds=4)) == at(11)
