"""When snapshot collectors run: at their ticks, once at a time, and again before the next tick."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest

from parts.running import DAY, HOUR, MINUTE, Gate, Rig, at
from signals_core import RetryAfter, Unavailable
from signals_core.builtin.schedules import Cron
from signals_core.findings import _of_snapshot


def minutes(rig_times: list) -> list[str]:
    """Return instants as wall clocks show them."""
    return [str(each)[11:16] for each in rig_times]


def test_ticks_are_exact(rig: Rig) -> None:
    """A snapshot collector runs at each tick, at its very instant."""
    collector = rig.snapshot(every=timedelta(seconds=30))
    rig.start(collector)
    rig.exactly(timedelta(seconds=100))
    first, *ticks = collector.source.times
    assert at("2026-01-01T00:00") <= first < at("2026-01-01T00:00:30")
    assert ticks == [at("2026-01-01") + n * timedelta(seconds=30) for n in (1, 2, 3)]
    assert rig.sink.values == [1, 1, 1, 1]


def test_the_first_runs_are_spread(rig: Rig) -> None:
    """Runs at start are spread over a minute, and none comes past its collector's next tick."""
    daily = [rig.snapshot(f"core.d{n}", DAY) for n in range(40)]
    quick = [rig.snapshot(f"core.q{n}", timedelta(seconds=10)) for n in range(10)]
    rig.exactly(timedelta(seconds=3))
    rig.start(*daily, *quick)
    rig.exactly(timedelta(seconds=61))
    waits = [(each.source.times[0] - at("2026-01-01T00:00:03")).total_seconds() for each in daily]
    assert all(len(each.source.times) == 1 for each in daily)
    assert 0 <= min(waits) < 10 and 50 < max(waits) < 60
    assert all(each.source.times[0] < at("2026-01-01T00:00:10") for each in quick)


def test_the_first_run_of_a_few_comes_soon(rig: Rig) -> None:
    """The fewer collectors there are the less their first runs are spread: 2 s for each."""
    daily = [rig.snapshot(f"core.d{n}", DAY) for n in range(5)]
    rig.exactly(timedelta(seconds=3))
    rig.start(*daily)
    rig.exactly(timedelta(seconds=10))
    assert all(len(each.source.times) == 1 for each in daily)
    assert len({each.source.times[0] for each in daily}) == 5


def test_what_missed_no_tick_waits_for_it(rig: Rig) -> None:
    """At start runs what missed a tick or never ran, and nothing else."""
    collector = rig.snapshot(every=HOUR)
    rig.start(collector)
    rig.until("2026-01-01T01:10")
    rig.stop()
    rig.start(collector)
    rig.until("2026-01-01T01:50")
    assert minutes(collector.source.times) == ["00:01", "01:00"]
    rig.stop()
    rig.until("2026-01-01T02:20")
    rig.start(collector)
    rig.until("2026-01-01T02:50")
    assert minutes(collector.source.times) == ["00:01", "01:00", "02:21"]


def test_what_failed_last_runs_at_start(rig: Rig) -> None:
    """A collector whose last run failed has missed its tick."""
    collector = rig.snapshot(every=DAY)
    collector.source.answer = lambda request: 1 / 0
    rig.start(collector)
    rig.until("2026-01-01T00:02")
    rig.stop()
    collector.source.answer = lambda request: [{"value": 7}]
    rig.start(collector)
    rig.advance(2 * MINUTE)
    assert rig.sink.values == [7]


def test_a_failed_run_is_retried_before_the_next_tick(rig: Rig) -> None:
    """A failed run is retried after 1, 2, 4 … minutes, before its next tick, which begins anew."""
    collector = rig.snapshot(schedule=Cron("0,10 * * * *"))
    rig.start(collector)
    rig.until("2026-01-01T00:59")
    collector.source.answer = lambda request: 1 / 0
    collector.source.asked.clear()
    rig.until("2026-01-01T01:59")
    assert minutes(collector.source.times) == [
        "01:00", "01:01", "01:03", "01:07", "01:10", "01:11", "01:13", "01:17", "01:25", "01:41",
    ]  # fmt: skip
    assert rig.outcomes(collector).count("failed") == 10


def test_a_failed_run_is_retried_within_its_bucket(rig: Rig) -> None:
    """A run that failed is not retried in another bucket than its own."""
    collector = rig.snapshot(schedule=Cron("58 23 * * *"), grain="1d")
    rig.start(collector)
    rig.until("2026-01-01T23:57")
    collector.source.answer = lambda request: 1 / 0
    collector.source.asked.clear()
    rig.until("2026-01-02T12:00")
    assert minutes(collector.source.times) == ["23:58", "23:59"]


def test_readings_of_a_bucket_are_versions(rig: Rig) -> None:
    """With a grain readings are versions of the bucket in which they began; the last wins."""
    values = iter(range(100))
    collector = rig.snapshot(schedule=Cron("20 * * * *"), grain="1d", timezone="Europe/Paris")
    collector.source.answer = lambda request: [{"value": next(values)}]
    rig.start(collector)
    rig.until("2026-01-02T00:30")
    starts = rig.sink.starts
    assert set(starts) == {at("2025-12-31T23:00"), at("2026-01-01T23:00")}
    assert sorted(rig.sink.newest.values()) == [23, 25]
    versions = [metric.timestamp for metric in rig.sink.taken]
    assert versions == sorted(set(versions))


def test_a_group_that_vanished_from_a_bucket(rig: Rig) -> None:
    """In a snapshot's bucket too, what vanished is retracted, and no change sends nothing."""
    rows = [{"value": 1, "group": "a"}, {"value": 2, "group": "b"}]
    collector = rig.snapshot(every=HOUR, grain="1d")
    collector.source.answer = lambda request: rows
    rig.start(collector)
    rig.until("2026-01-01T02:30")
    rows.pop()
    rig.until("2026-01-01T04:30")
    assert [(each.tags["group"], each.value) for each in rig.sink.taken] == [
        ("a", 1), ("b", 2), ("a", 1), ("b", None),
    ]  # fmt: skip
    assert rig.outcomes() == ["read", "unchanged", "unchanged", "read", "unchanged"]


def test_ticks_during_a_run_are_dropped(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """Ticks that come while a run is under way are counted, dropped and told, and none overlaps."""
    gate = Gate(rig.clock)
    collector = rig.snapshot(timeout=HOUR)
    collector.source.answer = gate.answer
    rig.start(collector)
    rig.until("2026-01-01T00:04:30")
    assert (gate.inside, len(collector.source.asked)) == (1, 1)
    gate.open()
    rig.until("2026-01-01T00:06:30")
    assert minutes(collector.source.times) == ["00:01", "00:05", "00:06"]
    assert "core.level: dropped ticks that came while a run was under way: 3" in caplog.messages
    assert rig.runs()[0].reason == "dropped ticks that came meanwhile: 3"
    told = _of_snapshot(collector, rig.runs()[0], at("2026-01-01T00:01:30"))
    assert told["remarks"] == ["core.level: dropped ticks that came meanwhile: 3"]
    assert [run.reason for run in rig.runs()[1:]] == [None, None]


def test_dropped_ticks_are_told_once(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """That a collector runs longer than its interval is said once, and again after it did not."""
    collector, slow = rig.snapshot(timeout=HOUR), [True]

    def answer(request):
        if slow[0]:
            request.wait(90)
        return [{"value": 1}]

    collector.source.answer = answer
    rig.start(collector)

    def said() -> int:
        return sum("dropped ticks" in line for line in caplog.messages)

    rig.until("2026-01-01T00:20")
    assert said() == 1
    slow[0] = False
    rig.until("2026-01-01T00:25")
    slow[0] = True
    rig.until("2026-01-01T00:40")
    assert said() == 2


def test_retry_after_is_not_before(rig: Rig) -> None:
    """When the source asks for a pause no tick comes before it is over, and one run right then."""
    collector = rig.snapshot()

    def answer(request):
        if rig.now < at("2026-01-01T00:03"):
            raise RetryAfter(270)
        return [{"value": 1}]

    collector.source.answer = answer
    rig.exactly(timedelta(seconds=1))
    rig.start(collector)
    rig.until("2026-01-01T00:08:30")
    begun = collector.source.times[0]
    assert begun == at("2026-01-01T00:01")
    assert minutes(collector.source.times) == ["00:01", "00:06", "00:07", "00:08"]


def test_a_clock_set_back(rig: Rig) -> None:
    """After the clock was set back ticks come by the clock that is, with later versions still."""
    collector = rig.snapshot(every=10 * MINUTE)
    rig.start(collector)
    rig.until("2026-01-01T05:05")
    rig.clock.step_wall(-4 * HOUR.total_seconds())
    rig.sink.taken.clear()
    collector.source.asked.clear()
    rig.until("2026-01-01T01:35")
    assert minutes(collector.source.times) == ["01:10", "01:20", "01:30"]
    versions = [metric.timestamp for metric in rig.sink.taken]
    assert versions == sorted(set(versions)) and versions[0] > at("2026-01-01T05:00")


def test_versions_go_on_after_a_restart(rig: Rig) -> None:
    """Versions are later than those of any process before, also where its clock was ahead."""
    collector = rig.snapshot(every=HOUR, grain="1d")
    values = iter(range(100))
    collector.source.answer = lambda request: [{"value": next(values)}]
    rig.start(collector)
    rig.until("2026-01-01T05:30")
    rig.stop()
    rig.clock.step_wall(-3 * HOUR.total_seconds())
    rig.start(collector)
    rig.until("2026-01-01T04:30")
    versions = [metric.timestamp for metric in rig.sink.taken]
    assert versions == sorted(set(versions))
    assert rig.sink.values == list(range(8)) and list(rig.sink.newest.values()) == [7]


def test_invoke_beside_a_started_runner(rig: Rig) -> None:
    """An invocation's version is later than the daemon's, and the daemon's next one later still."""
    values = iter(range(100))
    collector = rig.snapshot(every=HOUR, grain="1d")
    collector.source.answer = lambda request: [{"value": next(values)}]
    runner = rig.start(collector)
    rig.until("2026-01-01T02:30")
    rig.clock.step_wall(-HOUR.total_seconds())
    rig.call(lambda: runner.invoke("core.level"))
    rig.until("2026-01-01T02:30")
    versions = [metric.timestamp for metric in rig.sink.taken]
    assert versions == sorted(set(versions))
    assert rig.sink.values == sorted(rig.sink.values)


def test_invoke_knows_what_the_state_directory_does(rig: Rig) -> None:
    """An invocation's version is later than those that an earlier process has stored."""
    collector = rig.snapshot(every=HOUR)
    rig.start(collector)
    rig.until("2026-01-01T02:30")
    rig.stop()
    rig.clock.step_wall(-HOUR.total_seconds())
    from signals_core import Runner

    with Runner([collector], state_dir=rig.folder, clock=rig.clock) as runner:
        reading = rig.call(lambda: runner.invoke("core.level"))
    assert reading.timestamp > at("2026-01-01T02:00")


def test_an_outage_is_said_once(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """A source that is down for many collectors is said once, and once that it is back."""
    caplog.set_level(logging.INFO)
    source = rig.base("shared", windowed=False)
    collectors = [rig.snapshot(f"core.c{n}", source=source) for n in range(30)]
    rig.start(*collectors)
    rig.until("2026-01-01T00:05")
    source.down = Unavailable("no route to db")
    source.answer = lambda request: (_ for _ in ()).throw(Unavailable("gone"))
    rig.until("2026-01-01T00:15")
    assert len(caplog.messages) == 1 and caplog.messages[0].endswith(": gone")
    source.down, source.answer = None, lambda request: [{"value": 1}]
    rig.until("2026-01-01T00:20")
    assert len(caplog.messages) == 2
    assert caplog.messages[1].endswith("its source can be reached again")
