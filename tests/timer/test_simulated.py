"""The simulated clock that other tests rely on: what has happened when `advance` returns."""

from __future__ import annotations

import sys
from datetime import timedelta
from threading import Condition, Event, Thread

import pytest

from signals_core.testing import NotSettled, SimulatedClock


class Sleeper(Thread):
    """Waits through the clock for each of some spans, and notes when it woke."""

    def __init__(self, clock: SimulatedClock, *spans: float) -> None:
        super().__init__(name="signals sleeper", daemon=True)
        self.clock, self.spans = clock, spans
        self.condition = Condition()
        self.woke: list[float] = []
        self.start()

    def run(self) -> None:
        for span in self.spans:
            with self.condition:
                until = self.clock.monotonic() + span
                while (left := until - self.clock.monotonic()) > 0:
                    self.clock.wait(self.condition, left)
            self.woke.append(self.clock.monotonic())


@pytest.fixture(autouse=True)
def _switching_often():
    """Let threads overtake each other wherever they can."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


def test_time_stands_still(clock):
    """Without `advance` no time passes, neither of the wall nor monotonic."""
    before = clock.now(), clock.monotonic()
    Sleeper(clock, 0).join()
    assert (clock.now(), clock.monotonic()) == before


def test_both_clocks_move(clock):
    """`advance` moves wall and monotonic time alike; `step_wall` the wall only."""
    start = clock.now()
    clock.advance(1.5)
    assert (clock.now() - start, clock.monotonic()) == (timedelta(seconds=1.5), 1.5)
    clock.step_wall(-3600)
    assert (clock.now() - start, clock.monotonic()) == (timedelta(seconds=1.5 - 3600), 1.5)


def test_each_waiter_wakes_at_its_instant(clock):
    """A thread that waits again and again sees its own instants, and not when `advance` ends."""
    sleepers = [Sleeper(clock, 0.5, 0.25, 5), Sleeper(clock, 0.75, 7), Sleeper(clock, 1e-7)]
    clock.advance(6)
    assert [sleeper.woke for sleeper in sleepers] == [[0.5, 0.75, 5.75], [0.75], [1e-6]]
    clock.advance(1.75)
    assert sleepers[1].woke == [0.75, 7.75]


def test_what_a_wait_returns(clock):
    """As a condition's own `wait`: False when time passed, True when notified."""
    condition, answers = Condition(), []

    def wait() -> None:
        with condition:
            answers.extend(clock.wait(condition, seconds) for seconds in (0, -1, 5, 5, None))

    Thread(target=wait, name="signals waiter", daemon=True).start()
    clock.advance(5)
    assert answers == [False, False, False]
    for _ in range(2):
        clock.settle()
        with condition:
            condition.notify()
    clock.settle()
    assert answers == [False, False, False, True, True]


def test_a_chain_of_notifications_has_ended(clock):
    """What a released thread sets off in other threads, one after the other, is done too."""
    conditions = [Condition() for _ in range(5)]
    baton = [0] * 6
    rounds = 50

    def pass_on(place: int) -> None:
        for turn in range(1, rounds + 1):
            with conditions[place]:
                while baton[place] < turn:
                    clock.wait(conditions[place], None)
            baton[place + 1] = turn
            if place + 1 < len(conditions):
                with conditions[place + 1]:
                    conditions[place + 1].notify_all()

    for place in range(5):
        Thread(target=pass_on, args=(place,), name=f"signals {place}", daemon=True).start()
    for turn in range(1, rounds + 1):
        with conditions[0]:
            baton[0] = turn
            conditions[0].notify_all()
        clock.advance(0)
        assert baton == [turn] * 6


def test_threads_started_on_the_way_have_finished(clock):
    """A thread of the product that another one starts takes part before its first wait."""
    done: list[int] = []

    def start_another() -> None:
        condition = Condition()
        for number in range(50):
            with condition:
                clock.wait(condition, 1)
            Thread(target=done.append, args=(number,), name="signals read").start()

    Thread(target=start_another, name="signals starter", daemon=True).start()
    for count in range(1, 51):
        clock.advance(1)
        assert done == list(range(count))


def test_a_thread_of_any_name_takes_part_once_it_has_waited(clock):
    """Whoever has waited through the clock is waited for from then on."""
    woke: list[float] = []
    condition, holds = Condition(), Event()

    def wait() -> None:
        with condition:
            holds.set()
            for _ in range(100):
                clock.wait(condition, 1)
                woke.append(clock.monotonic())

    Thread(target=wait, name="application", daemon=True).start()
    holds.wait()
    with condition:  # which the thread lets go of in its first wait
        pass
    clock.advance(100)
    assert woke == [float(second) for second in range(1, 101)]


def test_a_thread_that_waits_elsewhere_is_named():
    """`advance` gives up on a thread that waits without the clock, and shows where it is."""
    clock, never = SimulatedClock(patience=0.05), Event()
    thread = Thread(target=never.wait, name="signals stuck", daemon=True)
    thread.start()
    with pytest.raises(NotSettled, match=r"signals stuck:\n(.*\n)*.*in wait"):
        clock.advance(1)
    never.set()
    thread.join()
    clock.advance(1)


def test_threads_from_before_are_none_of_its_business():
    """What an earlier test left behind does not take part."""
    never = Event()
    thread = Thread(target=never.wait, name="signals left behind", daemon=True)
    thread.start()
    clock = SimulatedClock(patience=0.05)
    clock.advance(1)
    assert clock.monotonic() == 1
    assert thread.is_alive()
    never.set()
    thread.join()
