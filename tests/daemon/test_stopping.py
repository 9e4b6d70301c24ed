"""Starting and stopping: threads, deadlines, cycles, and what an application sees of it."""

from __future__ import annotations

import logging
import signal
import threading
import time
from datetime import UTC, datetime, timedelta
from threading import Condition

import pytest

from parts.running import HOUR, MINUTE, Gate, Rig, Taker, at, own_threads, threads_left
from signals_core import Runner


def test_no_thread_but_between_start_and_stop(rig: Rig) -> None:
    """There is no thread before `start()`, and none after `stop()`, in several cycles of one."""
    collectors = [rig.windowed(), rig.snapshot()]
    runner = Runner(collectors, state_dir=rig.folder, clock=rig.clock)
    for _ in range(3):
        assert own_threads() == set()
        runner.start()
        assert "signals timer" in own_threads()
        rig.advance(HOUR)
        runner.stop(0)
        assert threads_left("signals sink") == set()
    runner.close()
    hours = [metric.grain_datetime for metric in rig.sink.taken if metric.grain]
    assert hours == [at("2025-12-31T23:00") + n * HOUR for n in range(3)]


def test_a_runner_is_started_once(rig: Rig) -> None:
    """Starting twice, or stopping what was not started, changes nothing."""
    runner = Runner([rig.snapshot()], state_dir=rig.folder, clock=rig.clock)
    runner.stop()
    with runner:
        runner.start()
        threads = own_threads()
        runner.start()
        assert own_threads() == threads
    assert threads_left("signals sink") == set()


def test_it_leaves_the_process_alone(rig: Rig) -> None:
    """It installs no signal handler and configures no logging."""
    names = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    handlers = [signal.getsignal(each) for each in names]
    loggers = [logging.getLogger(name) for name in ("", "signals")]
    before = [(logger.level, list(logger.handlers), logger.propagate) for logger in loggers]
    rig.start(rig.snapshot())
    rig.advance(MINUTE)
    assert [signal.getsignal(each) for each in names] == handlers
    assert [(each.level, list(each.handlers), each.propagate) for each in loggers] == before


def test_a_running_read_finishes(rig: Rig) -> None:
    """A read that ends before the deadline is kept, and delivered by the next process."""
    gate = Gate(rig.clock)
    rig.source.answer = gate.answer
    collector = rig.windowed()
    runner = rig.start(collector)
    rig.advance(MINUTE)
    assert gate.inside == 1
    stopping = threading.Thread(target=runner.stop, args=(30,), name="signals test stop")
    stopping.start()
    rig.exactly(timedelta(seconds=5))
    assert stopping.is_alive()
    gate.open()
    stopping.join(10)
    assert not stopping.is_alive()
    assert rig.outcomes() == ["read"]


def test_a_read_past_the_deadline_is_cancelled(rig: Rig) -> None:
    """Past the deadline a read is cancelled at its source, and read again at the next start."""
    gate = Gate(rig.clock)
    rig.source.answer = gate.answer
    collector = rig.windowed()
    runner = rig.start(collector)
    rig.advance(MINUTE)
    rig.call(lambda: runner.stop(20), within=timedelta(seconds=25))
    assert rig.now <= at("2026-01-01T00:01:21")
    assert gate.is_told and rig.outcomes() == ["cancelled"]
    assert not rig.coverage(collector).failures
    gate.is_open = True
    rig.start(collector)
    rig.advance(MINUTE)
    assert rig.sink.starts == [at("2025-12-31T23:00")]


def test_a_read_that_obeys_nobody_holds_up_no_stop(rig: Rig) -> None:
    """A read that ignores its cancel is left behind, and can commit nothing any more."""
    gate = Gate(rig.clock, obeys=False)
    rig.source.answer = gate.answer
    collector = rig.windowed()
    runner = rig.start(collector)
    rig.advance(MINUTE)
    rig.call(lambda: (runner.stop(5), runner.close()), within=timedelta(seconds=30))
    gate.open()
    assert threads_left("signals Base") == set()
    assert rig.outcomes() == ["failed"]
    assert not rig.coverage(collector).covered


def test_what_queues_is_let_go_of(rig: Rig) -> None:
    """Stopping begins no further read."""
    gate = Gate(rig.clock)
    source = rig.base("shared", windowed=False)
    source.answer = gate.answer
    runner = rig.start(*(rig.snapshot(f"core.c{n}", source=source) for n in range(5)))
    rig.advance(MINUTE)
    rig.call(lambda: runner.stop(0))
    assert len(source.asked) == 1


class OwnClock:
    """An application's own clock: its time stands still, its waits are real."""

    def now(self) -> datetime:
        return datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def wait(self, condition: Condition, seconds: float | None) -> bool:
        return condition.wait(seconds)


def test_an_application_with_a_clock_of_its_own(tmp_path, rig: Rig) -> None:
    """A runner is of use in a test of an application, with whatever clock that has."""
    taken = threading.Event()

    class Signalling(Taker):
        def write(self, batch):
            super().write(batch)
            taken.set()

    collector = rig.windowed(
        start=at("2026-01-01T11:00"), sinks={"lake": Signalling()}, grace=timedelta(0)
    )
    with Runner([collector], state_dir=tmp_path / "own", clock=OwnClock()) as runner:
        runner.backfill("core.test", at("2026-01-01T11:00"))
        assert taken.wait(10)
    assert threads_left("signals sink") == set()


def test_a_state_directory_is_given_back(rig: Rig) -> None:
    """A start that fails lets the state directory go."""
    rig.folder.mkdir(parents=True)
    (rig.folder / "store.db").write_text("no database at all, and longer than a header " * 9)
    runner = Runner([rig.snapshot()], state_dir=rig.folder, clock=rig.clock)
    with pytest.raises(Exception, match=r"damaged|no store"):
        runner.start()
    (rig.folder / "store.db").unlink()
    runner.start()
    runner.close()


def test_a_write_that_does_not_end_holds_up_no_close(rig: Rig) -> None:
    """A sink that does not come back from a write keeps a runner from neither stopping nor closing.

    What it was to take stays pending.
    """
    gate = Gate(rig.clock)

    class Stuck(Taker):
        def write(self, batch):
            with gate.changed:
                gate.inside += 1
                while not gate.is_open:
                    rig.clock.wait(gate.changed, None)

    runner = rig.start(rig.windowed(sinks={"lake": Stuck()}))
    rig.advance(MINUTE)
    assert gate.inside == 1
    rig.call(lambda: (runner.stop(5), runner.close()), within=timedelta(seconds=30))
    with rig.store() as store:
        assert [line.metrics for line in store.outbox()] == [1]
    gate.open()
    assert threads_left("signals sink") == set()
