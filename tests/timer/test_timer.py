"""When jobs fire, with which tick, and what keeps them from it."""

from __future__ import annotations

import inspect
import logging
import random
import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from threading import Condition, Event, Thread

import pytest
import schedule

from signals_core.clock import SystemClock
from signals_core.secret import remember
from signals_core.testing import SimulatedClock
from signals_core.timer import Timer, _Job, _Scheduler

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def every(seconds: float, offset: float = 0) -> Callable[[datetime], datetime]:
    """Return what asks for ticks at even distances."""
    period = timedelta(seconds=seconds)

    def next_run(now: datetime) -> datetime:
        return at(offset) + ((now - at(offset)) // period + 1) * period

    return next_run


class Due:
    """A job that is due when told to be, once."""

    def __init__(self, tick: datetime | None = None) -> None:
        self.tick = tick
        self.asked: list[datetime] = []
        self.fired: list[datetime] = []

    def next_run(self, now: datetime) -> datetime | None:
        self.asked.append(now)
        return self.tick

    def fire(self, tick: datetime) -> None:
        self.fired.append(tick)
        self.tick = None

    def add_to(self, timer: Timer, key: str = "due") -> None:
        timer.add(key, self.next_run, self.fire)


class CountingClock(SimulatedClock):
    """Counts how often somebody waits, and for how long at most."""

    waits, longest = 0, 0.0

    def wait(self, condition: Condition, seconds: float | None) -> bool:
        self.waits += 1
        self.longest = max(self.longest, seconds)
        return super().wait(condition, seconds)


def test_ticks_are_exact_and_in_order(clock, timer):
    """Each job fires at each of its ticks, when it has come, the oldest first."""
    fired = []

    def fire_as(key: str) -> Callable[[datetime], None]:
        return lambda tick: fired.append((key, tick, clock.now()))

    timer.add("a", every(60), fire_as("a"))
    timer.add("b", every(45, offset=-0.25), fire_as("b"))
    clock.advance(120)
    ticks = [("b", 44.75), ("a", 60), ("b", 89.75), ("a", 120)]
    assert fired == [(key, at(seconds), at(seconds)) for key, seconds in ticks]


def test_other_zones_are_understood(clock, timer):
    """A tick may be given in any zone, and is handed on in UTC."""
    due = Due(at(10).astimezone(timezone(timedelta(hours=5, minutes=45))))
    due.add_to(timer)
    clock.advance(10)
    assert due.fired == [at(10)]
    assert due.fired[0].tzinfo is UTC


def test_a_late_job_fires_once(clock):
    """After an hour in which nothing ran, a job fires once, with the tick that it was due at."""
    timer, fired = Timer(clock), []
    timer.add("minutes", every(60), fired.append)
    timer.start()
    clock.advance(61)
    timer.stop()
    clock.advance(3600)
    timer.start()
    clock.advance(59)
    assert fired == [at(60), at(120), at(3720)]
    timer.stop()


def test_a_job_that_is_due_now_fires_at_once(clock, timer):
    """What is due since a past instant fires without time passing, with that instant."""
    due = Due(at(-5))
    due.add_to(timer)
    clock.settle()
    assert due.fired == [at(-5)]


def test_a_job_without_next_run_waits_for_a_wake(clock, timer):
    """A job that answers None is left alone until it is woken, and then asked once."""
    due = Due()
    due.add_to(timer)
    clock.advance(3600)
    assert due.asked == [at(0)]
    due.tick = at(3602)
    timer.wake("due")
    clock.advance(3)
    assert (due.asked, due.fired) == ([at(0), at(3600), at(3602)], [at(3602)])


def test_a_wake_may_put_a_job_off(clock, timer):
    """What a woken job answers replaces its earlier next run."""
    due = Due(at(10))
    due.add_to(timer)
    clock.advance(5)
    due.tick = at(20)
    timer.wake("due")
    clock.advance(14)
    assert due.fired == []
    clock.advance(1)
    assert due.fired == [at(20)]


def test_a_wake_at_the_tick_loses_nothing(clock):
    """A tick that has come fires even when the job is woken before the timer gets to it."""
    timer, fired = Timer(clock), []
    timer.add("minutes", every(60), fired.append)
    timer.start()
    clock.advance(59)
    timer.stop()
    clock.advance(2)
    timer.wake("minutes")
    timer.start()
    clock.settle()
    assert fired == [at(60)]
    timer.stop()


def test_a_fire_that_raises_is_only_logged(clock, timer, caplog):
    """A job whose run cannot be queued keeps neither the others nor its own next tick away."""
    due = Due(at(60))

    def fail(tick: datetime) -> None:
        raise ValueError("no room")

    timer.add("failing", every(60), fail)
    due.add_to(timer)
    clock.advance(120)
    assert due.fired == [at(60)]
    assert (
        caplog.record_tuples
        == [("signals", logging.ERROR, "failing: its run could not be queued: no room")] * 2
    )


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (KeyError("lost"), "KeyError: 'lost'"),
        (datetime(2026, 1, 2), "2026-01-02T00:00:00 has no time zone"),
    ],
)
def test_a_job_that_cannot_say_when_is_asked_again(clock, timer, caplog, answer, reason):
    """A `next_run` that raises or returns a naive time is logged, and asked after a minute."""
    asked, fired = [], []

    def next_run(now: datetime) -> datetime | None:
        asked.append(now)
        if len(asked) > 1:
            return at(90) if now < at(90) else None
        if isinstance(answer, Exception):
            raise answer
        return answer

    timer.add("failing", next_run, fired.append)
    clock.advance(3600)
    assert [record.getMessage() for record in caplog.records] == [
        f"failing: its next run is unknown: {reason}"
    ]
    assert (asked, fired) == ([at(0), at(60), at(90)], [at(90)])


def test_the_traceback_of_a_failure_is_for_debugging(clock, timer, caplog):
    """Where an exception came from is logged for those who ask for it, without its secrets."""
    remember("known-to-nobody")

    def fail(now: datetime) -> datetime:
        raise ConnectionError("refused known-to-nobody")

    caplog.set_level(logging.DEBUG, "signals")
    timer.add("failing", fail, print)
    clock.settle()
    error, traceback = caplog.records
    assert (error.levelname, traceback.levelname) == ("ERROR", "DEBUG")
    assert "in fail" in traceback.getMessage()
    assert "refused" in traceback.getMessage()
    assert "known-to-nobody" not in caplog.text


def test_a_removed_job_fires_no_more(clock, timer):
    """A job is gone when it was removed, its key is free, and a late wake does no harm."""
    first, second = Due(at(10)), Due(at(10))
    first.add_to(timer)
    clock.advance(5)
    timer.remove("due")
    second.add_to(timer)
    clock.advance(10)
    assert (first.fired, second.fired) == ([], [at(10)])
    timer.remove("due")
    timer.remove("due")
    timer.wake("due")
    clock.advance(60)
    assert len(second.asked) == 2
    assert timer._scheduler.jobs == []


def test_a_job_may_remove_another_that_is_due(clock):
    """A job removed in the pass in which it would have come does not come."""
    timer, first, second = Timer(clock), Due(at(-2)), Due(at(-1))
    timer.add("first", first.next_run, lambda tick: timer.remove("due"))
    second.add_to(timer)
    timer.start()
    clock.settle()
    timer.stop()
    assert (len(first.asked), second.fired) == (2, [])


def test_keys_are_unique(timer):
    """A second job of one key is refused."""
    Due().add_to(timer)
    with pytest.raises(ValueError, match=r"^the timer has a job 'due' already$"):
        Due().add_to(timer)


@pytest.mark.parametrize("step", [-3600, 3600])
def test_a_step_of_the_clock_asks_all_anew(clock, timer, caplog, step):
    """When the wall clock is set, every next run is computed again, which is logged once."""
    due, gone = Due(at(100_000)), Due(at(100_000))
    due.add_to(timer)
    gone.add_to(timer, "gone")
    clock.advance(10)
    timer.remove("gone")
    clock.step_wall(step)
    clock.advance(60)
    assert len(due.asked) == 2
    assert abs(due.asked[1] - at(10 + step)) <= timedelta(seconds=1)
    assert len(gone.asked) == 1
    [record] = caplog.records
    assert record.getMessage() == (
        f"the wall clock stepped by {step:+.1f} s (it was set, or the machine slept):"
        " all next runs are computed anew"
    )


def test_a_clock_set_back_brings_the_ticks_again(clock, timer):
    """After a step back jobs fire by the new time, and do not wait for the old one."""
    fired = []
    timer.add("minutes", every(60), fired.append)
    clock.advance(90)
    clock.step_wall(-3600)
    clock.advance(90)
    assert fired == [at(60), at(60 - 3540), at(120 - 3540)]


def test_a_sleeping_machine_makes_a_job_late(clock, timer):
    """When the wall clock alone went on, a job that was due meanwhile fires once, then goes on."""
    fired = []
    timer.add("minutes", every(60), fired.append)
    clock.advance(30)
    clock.step_wall(3600)
    clock.advance(60)
    assert fired == [at(60), at(3660)]


def test_a_small_step_back_repeats_no_tick(clock, timer, caplog):
    """A correction of a few seconds neither asks anew nor lets a tick come twice."""
    fired = []
    timer.add("minutes", every(60), fired.append)
    clock.advance(61)
    clock.step_wall(-4)
    timer.wake("minutes")
    clock.advance(10)
    assert fired == [at(60)]
    clock.advance(60)
    assert fired == [at(60), at(120)]
    assert caplog.records == []


def test_after_a_small_step_back_nothing_is_early(clock, timer):
    """An instant that the clock has shown, and was then set back from, is waited for again."""
    clock.advance(61)
    clock.step_wall(-4)
    due = Due(at(60))
    due.add_to(timer)
    clock.advance(2.5)
    assert due.fired == []
    clock.advance(0.5)
    assert due.fired == [at(60)]


def test_a_job_that_is_always_due_is_slowed_down(clock, timer):
    """A job that is due again as soon as it has fired comes once a second, unless it is woken."""
    came = []
    timer.add("eager", lambda now: now, lambda tick: came.append(clock.monotonic()))
    clock.advance(10)
    assert came == list(range(11))
    timer.wake("eager")
    clock.settle()
    assert came == [*range(11), 10]


def test_wakes_from_within_are_served_at_once(clock, timer):
    """A job that is woken by what it fired goes on without time passing: a backlog is made up."""
    backlog = list(range(100))

    def fire(tick: datetime) -> None:
        backlog.pop()
        timer.wake("backlog")

    timer.add("backlog", lambda now: now if backlog else None, fire)
    clock.settle()
    assert backlog == []


def test_the_timer_looks_up_once_a_second():
    """The timer waits for a second at most and a tick at least, so it neither spins nor sleeps."""
    clock = CountingClock()
    timer, fired = Timer(clock), []
    timer.add("far", lambda now: at(10**6), fired.append)
    timer.add("near", every(7.5), fired.append)
    timer.start()
    seen = []
    for _ in range(60):
        clock.advance(1)
        seen.append(clock.monotonic() - timer.passed_at)
    timer.stop()
    assert len(fired) == 8
    assert clock.waits <= 61 + 8
    assert clock.longest == 1.0
    assert max(seen) < 1


def test_forgotten_looks_do_not_pile_up(clock, timer):
    """A job that changes its mind ten thousand times does not fill the memory."""
    answers = iter(range(10**6, 10**6 + 10**4))
    asked = Event()

    def next_run(now: datetime) -> datetime:
        timer.wake("fickle")
        answer = next(answers, None)
        if answer is None:
            asked.set()
            timer.remove("fickle")
            return at(10**7)
        return at(answer)

    timer.add("fickle", next_run, print)
    clock.settle()
    assert asked.is_set()
    assert len(timer._scheduler._heap) <= 110


def test_no_thread_before_start_and_none_after_stop(clock):
    """A timer owns one thread between `start` and `stop`, which may be called twice."""
    before = threading.active_count()
    timer, due = Timer(clock), Due(at(0))
    due.add_to(timer)
    timer.stop()
    assert (threading.active_count(), due.asked) == (before, [])
    timer.start()
    timer.start()
    assert threading.active_count() == before + 1
    clock.settle()
    assert due.fired == [at(0)]
    timer.stop()
    timer.stop()
    assert threading.active_count() == before


def test_stopped_jobs_are_kept(clock):
    """A timer that is started again has its jobs, and fires what came due meanwhile."""
    timer, due = Timer(clock), Due(at(30))
    due.add_to(timer)
    timer.start()
    clock.advance(10)
    timer.stop()
    clock.advance(30)
    assert due.fired == []
    timer.start()
    clock.settle()
    timer.stop()
    assert due.fired == [at(30)]


def test_a_job_may_stop_the_timer(clock, timer, caplog):
    """`stop` called by what fires does not wait for itself; what is due later stays."""
    later = Due(at(20))
    timer.add("last", Due(at(10)).next_run, lambda tick: timer.stop())
    later.add_to(timer)
    clock.advance(30)
    assert (later.fired, caplog.records) == ([], [])


def test_wakes_from_many_threads_lose_nothing(clock, timer):
    """Work announced by a wake is picked up, however many threads announce it at a time."""
    announced: Counter[str] = Counter()
    taken: Counter[str] = Counter()
    lock = threading.Lock()
    keys = [f"job {number}" for number in range(20)]

    def job(key: str) -> None:
        def next_run(now: datetime) -> datetime | None:
            with lock:
                return now if announced[key] > taken[key] else None

        def fire(tick: datetime) -> None:
            with lock:
                taken[key] = announced[key]

        timer.add(key, next_run, fire)

    def announce(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(500):
            key = chance.choice(keys)
            with lock:
                announced[key] += 1
            timer.wake(key)

    for key in keys:
        job(key)
    threads = [Thread(target=announce, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    clock.settle()
    assert taken == announced
    assert taken.total() == 8 * 500


def test_jobs_come_and_go_from_many_threads(clock, timer):
    """Adding and removing at the same time leaves exactly the jobs that were not removed."""

    def come_and_go(number: int) -> None:
        for turn in range(200):
            timer.add(f"{number} {turn}", every(60), print)
            if turn % 10:
                timer.remove(f"{number} {turn}")

    threads = [Thread(target=come_and_go, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    clock.settle()
    assert sorted(job.key for job in timer._scheduler.jobs) == sorted(
        f"{number} {turn}" for number in range(8) for turn in range(0, 200, 10)
    )


def test_by_the_clock_of_the_machine():
    """On real time a tick comes when it is due, by the second at the latest, and not before."""
    clock, came = SystemClock(), Event()
    seen = []
    due = clock.now() + timedelta(milliseconds=30)

    def fire(tick: datetime) -> None:
        seen.append((tick, clock.now()))
        came.set()

    timer = Timer(clock)
    timer.add("soon", lambda now: due if now < due else None, fire)
    timer.start()
    assert came.wait(10)
    timer.stop()
    [(tick, moment)] = seen
    assert tick == due <= moment


def test_the_library_has_the_names_that_are_overridden():
    """`schedule` still defines the two names of `Job`, as a property and as a method."""
    assert isinstance(inspect.getattr_static(schedule.Job, "should_run"), property)
    assert inspect.isfunction(inspect.getattr_static(schedule.Job, "_schedule_next_run"))
    assert {"should_run", "_schedule_next_run"} <= vars(_Job).keys()
    assert {"run_pending", "idle_seconds"} <= vars(schedule.Scheduler).keys()


def test_the_library_calls_the_names_that_are_overridden(clock):
    """`schedule`'s own pass over all jobs, and its `do` and `run`, go by our clock and ticks."""
    scheduler, due, fired = _Scheduler(clock), Due(), []
    ticks = {at(0): at(60), at(60): at(120)}
    job = _Job("job", lambda now: ticks[now], fired.append, scheduler)
    idle = _Job("idle", due.next_run, due.fire, scheduler)
    for each in (job, idle):
        each.do(each.fire)
    assert scheduler.jobs == [job, idle]
    assert (job.next_run, idle.next_run) == (at(60), None)
    for seconds, expected in [(59, []), (1, [at(60)]), (0, [at(60)])]:
        clock.advance(seconds)
        scheduler._read_clock()
        schedule.Scheduler.run_pending(scheduler)
        assert fired == expected
    assert (job.next_run, due.fired) == (at(120), [])
