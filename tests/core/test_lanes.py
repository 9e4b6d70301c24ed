"""Lanes: threads for slots, order, and what is let go of."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from threading import Condition

import pytest

from signals_core.lanes import Lane
from signals_core.testing import SimulatedClock

LaneOf = Callable[[int], Lane]


class Blocked:
    """A job that runs until it is let go."""

    def __init__(self, clock: SimulatedClock) -> None:
        self.clock = clock
        self.changed = Condition()
        self.running: list[threading.Thread] = []
        self.is_open = False

    def __call__(self) -> None:
        with self.changed:
            self.running.append(threading.current_thread())
            while not self.is_open:
                self.clock.wait(self.changed, None)

    def open(self) -> None:
        with self.changed:
            self.is_open = True
            self.changed.notify_all()


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock()


@pytest.fixture
def lane_of(clock: SimulatedClock) -> Iterator[LaneOf]:
    """Yield what makes lanes, which are closed after the test."""
    made: list[Lane] = []

    def make(slots: int) -> Lane:
        made.append(Lane("test lane", slots, clock))
        return made[-1]

    yield make
    for lane in made:
        lane.close()
        assert lane.join(1)


def threads() -> int:
    return sum(each.name == "signals test lane" for each in threading.enumerate())


@pytest.mark.parametrize("slots", [1, 2, 5])
def test_no_more_threads_than_slots(lane_of: LaneOf, clock: SimulatedClock, slots: int) -> None:
    """As many jobs run as there are slots, each of which is used; threads end after a while."""
    lane, job = lane_of(slots), Blocked(clock)
    assert threads() == 0
    for _ in range(9):
        lane.submit(job)
    clock.settle()
    assert len(job.running) == threads() == slots
    job.open()
    clock.settle()
    assert len(job.running) == 9 and len(set(job.running)) == slots
    clock.advance(6)
    assert threads() == 0


def test_a_thread_that_lingers_is_used(lane_of: LaneOf, clock: SimulatedClock) -> None:
    """Work that comes again soon is done by the same thread; two at a time still take two."""
    lane, used = lane_of(2), []
    for _ in range(3):
        lane.submit(lambda: used.append(threading.current_thread()))
        clock.advance(1)
    assert len(set(used)) == 1
    job = Blocked(clock)
    lane.submit(job)
    lane.submit(job)
    clock.settle()
    assert len(set(job.running)) == 2
    job.open()
    lane.close()
    assert lane.join(1)


def test_the_urgent_come_first(lane_of: LaneOf, clock: SimulatedClock) -> None:
    """Jobs run in the order in which they came, those that are not urgent after all that are."""
    lane, job, order = lane_of(1), Blocked(clock), []
    lane.submit(job)
    clock.settle()
    for number in (1, 2):
        lane.submit(lambda number=number: order.append(-number), urgent=False)
        lane.submit(lambda number=number: order.append(number))
    job.open()
    clock.settle()
    assert order == [1, 2, -1, -2]


def test_a_job_that_raises(
    lane_of: LaneOf, clock: SimulatedClock, caplog: pytest.LogCaptureFixture
) -> None:
    """What a job raises is logged, and the queue goes on."""
    lane, done = lane_of(1), []
    lane.submit(lambda: 1 / 0)
    lane.submit(lambda: done.append(1))
    clock.settle()
    assert done == [1] and "a run of test lane ended unexpectedly" in caplog.text


def test_if_idle(lane_of: LaneOf, clock: SimulatedClock) -> None:
    """A job that is wanted only while nothing runs does not pile up."""
    lane, job = lane_of(1), Blocked(clock)
    for _ in range(5):
        lane.submit_if_idle(job)
        clock.settle()
    job.open()
    clock.settle()
    assert len(job.running) == 1
    lane.submit_if_idle(job)
    clock.settle()
    assert len(job.running) == 2


def test_closing(lane_of: LaneOf, clock: SimulatedClock) -> None:
    """Closing lets go of what queues; joining waits for what runs, as long as it is told to."""
    lane, job, done = lane_of(1), Blocked(clock), []
    lane.submit(job)
    clock.settle()
    lane.submit(lambda: done.append(1))
    lane.close()
    lane.submit(lambda: done.append(2))
    assert not lane.join(0)
    job.open()
    assert lane.join(5) and done == [] and threads() == 0


def test_a_thread_that_does_not_come_back(lane_of: LaneOf, clock: SimulatedClock) -> None:
    """A thread that is given up leaves its place to another one, and does no more when it ends."""
    lane, job, done = lane_of(1), Blocked(clock), []
    lane.submit(job)
    clock.settle()
    lane.submit(lambda: done.append(threading.current_thread()))
    (stuck,) = job.running
    lane.give_up(stuck)
    clock.settle()
    assert len(done) == 1 and done[0] is not stuck
    job.open()
    stuck.join(5)
    assert not stuck.is_alive()
    lane.close()
    assert lane.join(1)
