"""Agendas: when a collector runs next, told the time and how its runs ended."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from parts.collectors import collector_of
from signals_core import Schedule, WindowPolicy
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


@define
class Erring(Schedule):
    """Ticks at every full hour, once it answers with something better than `answer`."""

    answer: Callable[[datetime], object] | None = field(init=False, default=None)
    asked: list[datetime] = field(init=False, factory=list)

    def next_after(self, moment: datetime) -> Any:
        self.asked.append(moment)
        return self.answer(moment) if self.answer else Interval(HOUR).next_after(moment)


TROUBLES = [
    (lambda moment: 1 / 0, "failed: ZeroDivisionError: division by zero"),
    (lambda moment: None, "returned no moment, but NoneType"),
    (
        lambda moment: moment.replace(tzinfo=None) + HOUR,
        "returned a moment without a time zone",
    ),
    (
        lambda moment: moment,
        "returned a moment that is not later than the one it was given",
    ),
]


@pytest.mark.parametrize("form", ["snapshot", "windowed"])
@pytest.mark.parametrize(("answer", "reason"), TROUBLES)
def test_a_schedule_that_errs(
    form: str, answer: Any, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What a schedule does wrong is said with its type's name, and it is asked again later."""
    schedule = Erring()
    schedule.answer = answer
    collector = collector_of(
        schedule=schedule, **{} if form == "snapshot" else {"grain": "1h", "window": WindowPolicy()}
    )
    agenda = (
        Snapshots.starting(collector, None, at(0.5))
        if form == "snapshot"
        else Windows.starting(collector, Coverage(at(-3)), at(0.5))
    )
    said = f"core.test: its next tick is unknown: the schedule Erring {reason}"
    assert agenda.next_tick is None and caplog.messages == [said]
    for begins in (agenda.meanwhile, agenda.pass_over, agenda.begin):
        begins(at(0.5))
    assert agenda.next_run(at(0.5)) == at(0.5) + MINUTE
    assert agenda.next_run(at(0.5) + MINUTE) == at(0.5) + 3 * MINUTE
    schedule.answer = None
    assert agenda.next_run(at(0.5) + 2 * MINUTE) == at(0.5) + 3 * MINUTE
    agenda.next_run(at(0.5) + 3 * MINUTE)
    assert agenda.next_tick is not None
    assert agenda.begin(at(1.5)) and agenda.next_tick == at(2)


def test_a_tick_that_came_while_it_was_unknown() -> None:
    """A tick that came while nobody knew of it is taken up once the schedule answers."""
    schedule = Erring()
    agenda = Snapshots.starting(collector_of(schedule=schedule), at(0.3), at(0.5))
    schedule.answer = TROUBLES[0][0]
    assert agenda.begin(at(1)) and agenda.next_tick is None
    for hour in (1.1, 1.3, 1.9):
        agenda.next_run(at(hour))
    schedule.answer = None
    assert agenda.next_run(at(2.9)) == at(2)


def test_a_moment_that_a_schedule_does_not_answer_for() -> None:
    """A schedule that fails for one moment only is not asked about that one for ever."""
    schedule = Erring()
    schedule.answer = lambda moment: 1 / 0 if moment < at(1) else moment + HOUR
    agenda = Snapshots.starting(collector_of(schedule=schedule), at(0.3), at(0.5))
    assert agenda.next_run(at(1)) == at(2)


def test_the_same_trouble_is_said_once_an_hour(caplog: pytest.LogCaptureFixture) -> None:
    """The trouble of a schedule is said when it is new, and once an hour while it lasts."""
    schedule = Erring()
    schedule.answer = TROUBLES[0][0]
    agenda = Snapshots.starting(collector_of(schedule=schedule), None, at(0))
    for minute in range(600):
        agenda.next_run(at(minute / 60))
    assert 8 <= len(caplog.messages) <= 10 and len(schedule.asked) < 40
    caplog.clear()
    schedule.answer = TROUBLES[1][0]
    for minute in range(600, 662):
        agenda.next_run(at(minute / 60))
    assert [each.endswith("NoneType") for each in caplog.messages] == [True]
