"""Sources: their connection slots, slow reads, late ones, and those that obey nobody."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from attrs import define

from parts.running import HOUR, MINUTE, Base, Gate, Rig, at, own_threads, threads_left
from signals_core import RetryAfter, Unavailable


def test_a_slow_query_delays_no_other_source(rig: Rig) -> None:
    """While a source reads for half an hour, collectors of another one run at their instants."""
    gate = Gate(rig.clock)
    source, start = rig.base("slow"), at("2025-12-31T22:00")
    slow = rig.windowed("core.slow", source=source, timeout=HOUR, start=start)
    slow.source.answer = gate.answer
    quick = rig.snapshot("core.quick")
    rig.start(slow, quick)
    rig.until("2026-01-01T00:31")
    assert gate.inside == 1
    ticks = [at("2026-01-01") + n * MINUTE for n in range(1, 32)]
    assert quick.source.times == ticks
    gate.open()
    rig.clock.settle()
    assert slow.source.windows == [start, start + HOUR]


@pytest.mark.parametrize("slots", [1, 3])
def test_one_thread_for_each_connection_slot(rig: Rig, slots: int) -> None:
    """However many collectors wait for a source, it has no more reads and threads than slots."""
    gate = Gate(rig.clock)
    source = rig.base("shared", windowed=False, max_connections=slots)
    source.answer = gate.answer
    rig.start(*(rig.snapshot(f"core.c{n}", source=source, timeout=HOUR) for n in range(20)))
    rig.until("2026-01-01T00:05")
    assert (gate.inside, len(source.asked)) == (slots, slots)
    names = [each.name for each in threading.enumerate()]
    assert names.count("signals Base") == slots
    gate.open()
    rig.until("2026-01-01T00:06")
    assert len(source.asked) >= 20 and len(rig.sink.taken) >= 20


def test_a_late_read_is_cancelled(rig: Rig) -> None:
    """A read past its timeout is cancelled at the source; its window failed, the next goes on."""
    gate = Gate(rig.clock)
    collector = rig.windowed(start=at("2025-12-31T22:00"), timeout=timedelta(seconds=30))
    rig.source.answer = gate.answer
    rig.start(collector)
    rig.exactly(timedelta(seconds=95))
    assert gate.is_told
    assert rig.runs()[0].outcome == "failed"
    assert rig.runs()[0].reason == "canceling statement due to user request"
    assert timedelta(seconds=30) <= _took(rig) <= timedelta(seconds=34)
    gate.is_open = True
    rig.exactly(timedelta(seconds=125))
    assert sorted(rig.sink.starts) == [at("2025-12-31T22:00"), at("2025-12-31T23:00")]


def _took(rig: Rig) -> timedelta:
    return timedelta(milliseconds=rig.runs()[0].milliseconds)


def test_a_read_that_obeys_nobody(rig: Rig) -> None:
    """A read that ignores its cancel is given up: its source says so, others go on, and it stops.

    What it returns after all is thrown away, and its source is used again.
    """
    gate = Gate(rig.clock, obeys=False)
    source = rig.base("stuck", windowed=False)
    source.answer = lambda request: gate.answer(request) if not gate.is_open else [{"value": 2}]
    stuck = rig.snapshot("core.stuck", source=source, every=5 * MINUTE)
    other = rig.snapshot("core.other", source=source, every=5 * MINUTE)
    rig.start(stuck, other)
    rig.until("2026-01-01T00:04")
    assert any("does not obey a cancel" in str(run.reason) for run in rig.runs())
    assert any("busy with a call that does not end" in str(run.reason) for run in rig.runs())
    before = rig.runs()
    gate.open()
    rig.clock.settle()
    assert rig.sink.taken == [] and rig.runs() == before
    rig.until("2026-01-01T00:11")
    assert len(rig.sink.taken) >= 2 and set(rig.sink.values) == {2}


def test_a_watermark_that_does_not_come(rig: Rig) -> None:
    """A watermark that does not come is given up like a read."""
    gate = Gate(rig.clock, obeys=False)

    def seen():
        with gate.changed:
            while not gate.is_open:
                rig.clock.wait(gate.changed, None)

    rig.source.seen = seen
    rig.start(rig.windowed())
    rig.until("2026-01-01T00:05")
    assert rig.runs()[0].reason == "the watermark of its source (Base) did not come within 1m"
    gate.open()
    rig.source.seen = lambda: None
    rig.until("2026-01-01T01:05")
    assert rig.sink.starts == [at("2025-12-31T23:00"), at("2026-01-01T00:00")]


def test_a_broken_source_is_opened_anew(rig: Rig) -> None:
    """After `Unavailable` the source is closed and opened; after a failed read it is not."""
    rig.source.answer = lambda request: 1 / 0
    rig.start(rig.windowed())
    rig.until("2026-01-01T00:05")
    assert (len(rig.source.opened), rig.source.closed) == (1, 0)

    def gone(request):
        raise Unavailable("gone")

    rig.source.answer = gone
    rig.until("2026-01-01T00:30")
    assert rig.source.closed and len(rig.source.opened) == rig.source.closed + 1


def test_retry_after_is_not_before(rig: Rig) -> None:
    """A source that asks for a pause is left alone for it, and not closed."""
    asked = []

    def seen():
        asked.append(rig.now)
        if rig.now < at("2026-01-01T03:00"):
            raise RetryAfter(2.5 * 3600)

    rig.source.seen = seen
    rig.start(rig.windowed())
    rig.until("2026-01-01T04:00")
    assert asked[:2] == [at("2026-01-01T00:01"), at("2026-01-01T02:31")]
    assert rig.source.closed == 0


def test_an_absurd_pause_is_bounded(rig: Rig) -> None:
    """A source that asks to wait for ever is asked again the next day."""
    rig.source.seen = lambda: (_ for _ in ()).throw(RetryAfter(float("inf")))
    rig.start(rig.windowed())
    rig.until("2026-01-01T00:10")
    rig.source.seen = lambda: None
    rig.clock._move_to(rig.clock._passed + 86_400_000_000)
    rig.advance(5 * MINUTE)
    assert at("2026-01-01T23:00") in rig.sink.starts


def test_a_windowed_tick_during_a_run(rig: Rig) -> None:
    """Windows that fall due while one is read for hours are read when that ends; none is lost."""
    gate = Gate(rig.clock)
    rig.source.answer = gate.answer
    rig.start(rig.windowed(start=at("2025-12-31T23:00"), timeout=5 * HOUR))
    rig.until("2026-01-01T03:30")
    assert len(rig.source.asked) == 1
    gate.open()
    rig.clock.settle()
    assert [start.hour for start in rig.source.windows] == [23, 0, 1, 2]
    assert len(own_threads()) > 0


def _shut(rig: Rig, gate: Gate) -> Base:
    """Make a source whose `open` returns when the gate opens."""

    @define(eq=False)
    class Shut(Base):
        def open(self):
            super().open()
            with gate.changed:
                while not gate.is_open:
                    self.clock.wait(gate.changed, None)

    source = Shut(windowed=False)
    source.clock = rig.clock
    return source


def test_an_open_that_does_not_end(rig: Rig) -> None:
    """An `open` that does not return is given up after the timeout, and its source says so.

    It is used again when it is open at last.
    """
    gate = Gate(rig.clock)
    source = _shut(rig, gate)
    rig.start(rig.snapshot("core.one", source=source), rig.snapshot("core.two", source=source))
    rig.until("2026-01-01T00:05")
    reasons = {str(run.reason).split("; ")[0] for run in rig.runs()}
    assert reasons == {
        "its source (Shut) did not open within 1m",
        "it is still busy with a call that does not end",
    }
    assert len(source.opened) == 1
    gate.open()
    rig.clock.settle()
    rig.until("2026-01-01T00:08")
    assert len(rig.sink.taken) >= 2 and source.closed == 1


def test_an_open_that_does_not_end_holds_up_no_stop(rig: Rig) -> None:
    """A source that does not open keeps a runner from neither stopping nor closing."""
    gate = Gate(rig.clock)
    runner = rig.start(rig.snapshot(source=_shut(rig, gate)))
    rig.exactly(MINUTE)
    rig.call(lambda: (runner.stop(5), runner.close()), within=timedelta(seconds=30))
    gate.open()
    assert threads_left("signals Shut") == set()
