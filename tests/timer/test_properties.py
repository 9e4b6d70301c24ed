"""Random jobs under random time, against models that know no heap and no threads."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from signals_core.testing import SimulatedClock
from signals_core.timer import Timer

START = datetime(2026, 1, 1, tzinfo=UTC)
BEGIN, END = START - timedelta(hours=2), START + timedelta(hours=3)
SECOND = timedelta(seconds=1)
MICROSECOND = timedelta(microseconds=1)


def periodic(period: timedelta, phase: timedelta) -> list[datetime]:
    count = (END - BEGIN) // period
    return [BEGIN + phase + number * period for number in range(count)]


def irregular(offsets: Sequence[timedelta]) -> list[datetime]:
    return sorted({START + offset for offset in offsets})


@define
class Job:
    """What fires at given ticks while it is open, and answers None while it is not."""

    ticks: list[datetime]
    is_open: bool = True
    fired: list[tuple[datetime, datetime]] = field(init=False, factory=list)
    expected: list[datetime] = field(init=False, factory=list)

    def next_run(self, now: datetime) -> datetime | None:
        later = self.ticks[bisect_right(self.ticks, now) :] if self.is_open else []
        return later[0] if later else None

    def between(self, start: datetime, end: datetime) -> list[datetime]:
        return [tick for tick in self.ticks if start < tick <= end]


spans = st.integers(1, 90 * 10**6) | st.integers(1, 90).map(lambda seconds: seconds * 10**6)
durations = spans.map(lambda span: span * MICROSECOND)
jobs = st.builds(
    Job,
    st.builds(periodic, st.integers(3, 100).map(lambda n: n * SECOND), durations)
    | st.lists(durations, max_size=10).map(irregular),
    st.booleans(),
)
advances = st.tuples(st.just("advance"), st.floats(0, 40) | st.integers(0, 40))
steps = st.tuples(st.just("step"), st.floats(-4.9, 4.9) | st.floats(-3000, 3000))
places = st.integers(0, 5)
changes = st.tuples(st.sampled_from(["wake", "toggle", "remove", "add"]), places)


@contextmanager
def running(jobs: list[Job]) -> Iterator[tuple[SimulatedClock, Timer]]:
    clock = SimulatedClock(START)
    timer = Timer(clock)
    for place, job in enumerate(jobs):
        add(timer, clock, place, job)
    timer.start()
    clock.settle()
    try:
        yield clock, timer
    finally:
        timer.stop()


def add(timer: Timer, clock: SimulatedClock, place: int, job: Job) -> None:
    timer.add(str(place), job.next_run, lambda tick: job.fired.append((tick, clock.now())))


@given(st.lists(jobs, min_size=1, max_size=6), st.lists(advances | changes, max_size=12))
def test_every_tick_once(jobs, actions):
    """Whatever is added, removed, woken or toggled, each tick fires once, at its instant."""
    present = dict(enumerate(jobs))
    with running(jobs) as (clock, timer):
        for action, argument in actions:
            before, place = clock.now(), argument
            if action == "advance":
                clock.advance(argument)
                for job in present.values():
                    if job.is_open:
                        job.expected += job.between(before, clock.now())
            elif action == "add" and place < len(jobs) and place not in present:
                present[place] = jobs[place]
                add(timer, clock, place, jobs[place])
            elif action == "remove":
                timer.remove(str(place))
                present.pop(place, None)
            elif place in present:
                present[place].is_open ^= action == "toggle"
                timer.wake(str(place))
            clock.settle()
    for job in jobs:
        assert job.fired == [(tick, tick) for tick in job.expected]


@given(st.lists(jobs, min_size=1, max_size=6), st.lists(advances | steps | changes, max_size=12))
def test_ticks_under_a_clock_that_is_set(jobs, actions):
    """However the clock is set, nothing is early, one tick at most is late, then all is well."""
    with running(jobs) as (clock, timer):
        for action, argument in actions:
            if action == "advance":
                clock.advance(argument)
            elif action == "step":
                _step(clock, jobs, argument)
            elif action == "wake":
                timer.wake(str(argument))
        _step(clock, jobs, 0)
        calm = clock.now()
        before = [len(job.fired) for job in jobs]
        clock.advance(60)
    for job, count in zip(jobs, before, strict=True):
        assert all(tick <= moment for tick, moment in job.fired)
        due = job.between(calm, calm + 60 * SECOND) if job.is_open else []
        assert job.fired[count:] == [(tick, tick) for tick in due]


def _step(clock: SimulatedClock, jobs: list[Job], seconds: float) -> None:
    before = [len(job.fired) for job in jobs]
    clock.step_wall(seconds)
    clock.advance(6)  # until a small step back is made good, too
    for job, count in zip(jobs, before, strict=True):
        late = [tick for tick, moment in job.fired[count:] if tick < moment]
        assert len(late) <= 1


@given(st.lists(jobs, min_size=1, max_size=4), st.lists(st.floats(-4.9, 4.9), max_size=8))
def test_small_corrections_repeat_no_tick(jobs, corrections):
    """While the clock is set by a few seconds only, no tick comes twice, or after a later one."""
    end = _correct(jobs, corrections)
    for job in jobs:
        fired = [tick for tick, _ in job.fired]
        assert fired == sorted(set(fired))
        assert set(fired) <= set(job.between(START, end))


@given(st.lists(jobs, min_size=1, max_size=4), st.lists(st.floats(-4.9, 0), max_size=8))
def test_small_corrections_back_lose_no_tick(jobs, corrections):
    """While the clock is only set back, and by a few seconds, each tick fires once."""
    end = _correct(jobs, corrections)
    for job in jobs:
        due = job.between(START, end) if job.is_open else []
        assert [tick for tick, _ in job.fired] == due


def _correct(jobs: list[Job], corrections: list[float]) -> datetime:
    with running(jobs) as (clock, _):
        for correction in corrections:
            clock.step_wall(correction)
            clock.advance(7)
    return clock.now()
