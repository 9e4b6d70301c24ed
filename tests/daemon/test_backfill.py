"""Backfill: past windows in order, resumed, after what is due, here or by the daemon."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from parts.running import HOUR, MINUTE, Gate, Rig, at, one
from signals_core import RetryAfter, Runner, Unavailable
from signals_core.backfill import Progress, Span


def hours(*counts: int) -> list:
    """Return instants so many hours into 2026."""
    return [at("2026-01-01") + count * HOUR for count in counts]


@pytest.fixture
def alone(rig: Rig) -> Runner:
    """A runner that was not started, of a collector that never ran."""
    rig.runner = Runner([rig.windowed(), rig.snapshot()], state_dir=rig.folder, clock=rig.clock)
    rig.clock.hurry(24 * 3600)
    return rig.runner


def test_here_and_now(rig: Rig, alone: Runner) -> None:
    """A runner that was not started reads oldest first, and delivers before it returns."""
    told: list[tuple[int, int]] = []
    progress = rig.call(
        lambda: alone.backfill(
            "core.test",
            at("2026-01-01T00:30"),
            at("2026-01-01T05:30"),
            told=lambda each: told.append((each.done, each.total)),
        )
    )
    assert rig.source.windows == hours(1, 2, 3, 4) and rig.sink.starts == hours(1, 2, 3, 4)
    assert told == [(n, 4) for n in (1, 2, 3, 4)]
    assert (progress.outcomes, progress.failed) == (Counter(read=4), 0)
    with rig.store() as store:
        assert store.requests() == []


def test_the_end_is_now(rig: Rig, alone: Runner) -> None:
    """By default the end is now; windows that are not over are none of the past."""
    rig.call(lambda: alone.backfill("core.test", at("2026-01-01T22:00")))
    rig.call(lambda: alone.backfill("core.test", at("2026-01-01T23:00"), at("2027-01-01")))
    assert rig.source.windows == hours(22, 23, 23)


@pytest.mark.parametrize(
    ("name", "start", "message"),
    [
        ("core.level", "2025-12-31", "core.level has no windows"),
        ("core.test", "2026-01-01T23:30", "there is no whole window of 1h"),
        ("core.test", "2027-01-01", "there is no whole window of 1h"),
    ],
)
def test_nothing_to_backfill(alone: Runner, name: str, start: str, message: str) -> None:
    """A snapshot collector has no past, and a span without a whole window is an error."""
    with pytest.raises(ValueError, match=message):
        alone.backfill(name, at(start))


def test_an_unknown_sink(rig: Rig, alone: Runner) -> None:
    """A sink that the collector does not have is an error, and nothing is asked for."""
    with pytest.raises(LookupError, match=r"core\.test has no sink 'lakes'; it has: lake"):
        alone.backfill("core.test", at("2026-01-01"), sinks=["lakes"])
    assert not rig.folder.exists()


def test_it_leaves_other_sinks_alone(rig: Rig, alone: Runner, caplog) -> None:
    """A backfill of one collector makes no orphans of other collectors' sinks."""
    other = rig.windowed("core.other", sinks={"swamp": rig.sink}, shared_sinks=["swamp"])
    rig.start(other)
    rig.advance(MINUTE)
    rig.stop()
    rig.call(lambda: alone.backfill("core.test", at("2026-01-01T22:00")))
    with rig.store() as store:
        assert {line.sink: line.orphaned for line in store.outbox()} == {
            "lake": False,
            "swamp": False,
        }
    assert "no longer configured" not in caplog.text


def test_nothing_changed(rig: Rig, alone: Runner) -> None:
    """What did not change is not sent again, except to the sinks that are asked for."""
    extra = type(rig.sink)("extra")
    alone.close()
    runner = Runner(
        [rig.windowed(sinks={"lake": rig.sink, "own": extra})],
        state_dir=rig.folder,
        clock=rig.clock,
    )

    def backfill(**options):
        span = at("2026-01-01T20:00"), at("2026-01-01T23:00")
        return rig.call(lambda: runner.backfill("core.test", *span, **options))

    backfill()
    assert backfill().outcomes == Counter(unchanged=3)
    assert (len(rig.sink.taken), len(extra.taken)) == (3, 3)
    backfill(sinks=["own"])
    assert (len(rig.sink.taken), len(extra.taken)) == (3, 6)
    backfill(sinks=["lake", "core.test/own"])
    assert (len(rig.sink.taken), len(extra.taken)) == (6, 9)
    assert len(extra.newest) == 3
    runner.close()


def test_before_history_begins(rig: Rig) -> None:
    """A backfill may go before the start of history; schedules do not follow it there."""
    rig.until("2026-01-02T00:30")
    collector = rig.windowed(start=at("2026-01-01T23:00"))
    runner = rig.start(collector)
    rig.advance(MINUTE)
    rig.call(lambda: runner.backfill("core.test", at("2026-01-01"), at("2026-01-01T03:00")))
    rig.advance(2 * HOUR)
    assert rig.source.windows == hours(23, 0, 1, 2, 24, 25)
    assert rig.coverage(collector).start == at("2026-01-01T23:00")


def test_a_failure_before_history_begins(rig: Rig) -> None:
    """A window that failed before the start of history is retried like any other."""
    rig.until("2026-01-02T00:30")
    collector = rig.windowed(start=at("2026-01-01T23:00"))
    runner = rig.start(collector)
    rig.advance(MINUTE)
    rig.source.answer = lambda request: 1 / 0
    rig.call(lambda: runner.backfill("core.test", at("2026-01-01"), at("2026-01-01T02:00")))
    rig.source.answer = one
    rig.advance(3 * MINUTE)
    assert sorted(rig.sink.starts) == hours(0, 1, 23)


def test_only_what_failed(rig: Rig) -> None:
    """`failed_only` reads the windows that failed, also where some were made up meanwhile."""
    rig.source.answer = lambda request: 1 / 0 if request.window.start.hour < 4 else one(request)
    rig.until("2026-01-01T06:30")
    runner = rig.start(rig.windowed(start=at("2026-01-01")))
    rig.advance(MINUTE)
    rig.source.answer = one
    rig.source.asked.clear()
    progress = rig.call(lambda: runner.backfill("core.test", at("2026-01-01"), failed_only=True))
    assert set(rig.source.windows) == set(hours(0, 1, 2, 3))
    assert progress.failed == 0 and progress.done == progress.total
    again = rig.call(lambda: runner.backfill("core.test", at("2026-01-01"), failed_only=True))
    assert again.total == 0


def test_ended_in_the_middle(rig: Rig, alone: Runner) -> None:
    """A backfill that was ended goes on with the window it was at when it is asked for again."""
    span = at("2026-01-01"), at("2026-01-01T10:00")

    def told(progress):
        if progress.done == 4:
            raise KeyError("ended")

    with pytest.raises(KeyError):
        rig.call(lambda: alone.backfill("core.test", *span, told=told))
    progress = rig.call(lambda: alone.backfill("core.test", *span))
    assert rig.source.windows == hours(*range(10))
    assert (progress.done, progress.total) == (10, 10)


def test_stopped_in_the_middle(rig: Rig) -> None:
    """The window at which a daemon was stopped is read by the next one, unasked."""
    rig.until("2026-01-02T00:30")
    gate = Gate(rig.clock)
    stop_at = at("2026-01-01T04:00")
    rig.source.answer = lambda request: (
        gate.answer(request) if request.window.start == stop_at else one(request)
    )
    collector = rig.windowed(start=at("2026-01-01T23:00"))
    runner = rig.start(collector)
    rig.advance(MINUTE)
    with rig.store() as store:
        store.request("backfill", _span(0, 10).arguments)
    rig.advance(MINUTE)
    assert gate.inside == 1
    rig.call(lambda: runner.stop(1))
    assert "cancelled" in rig.outcomes()
    gate.is_open = True
    rig.start(collector)
    rig.advance(MINUTE)
    assert rig.source.windows == hours(23, 0, 1, 2, 3, 4, 4, 5, 6, 7, 8, 9)
    with rig.store() as store:
        (request,) = store.requests(open_only=False)
    assert request.outcome == "done"
    assert Progress.of(request.progress).outcomes == Counter(read=10)


def _span(first: int, end: int, **fields) -> Span:
    return Span("core.test", *hours(first, end), **fields)


def test_what_falls_due_comes_first(rig: Rig) -> None:
    """A year beside a live runner: today's windows are read as they fall due, all else goes on."""
    rig.until("2026-01-02T00:30")

    def answer(request):
        request.wait(30)
        return one(request)

    rig.source.answer = answer
    rig.start(rig.windowed(start=at("2026-01-01T23:00"), timeout=HOUR))
    rig.advance(2 * MINUTE)
    with rig.store() as store:
        store.request("backfill", _span(-365 * 24, 0).arguments)
    rig.until("2026-01-02T06:30")
    today = [(moment, start) for moment, start in rig.source.asked if start > hours(23)[0]]
    assert [start for _, start in today] == hours(24, 25, 26, 27, 28, 29)
    assert all(moment - start - HOUR <= 3 * MINUTE for moment, start in today)
    past = [start for start in rig.source.windows if start < hours(0)[0]]
    assert past == hours(*range(-365 * 24, -365 * 24 + len(past))) and len(past) > 100
    with rig.store() as store:
        (request,) = store.requests()
    assert abs(Progress.of(request.progress).done - len(past)) <= 1


def test_it_is_done_once(rig: Rig) -> None:
    """A backfill that a call of a started runner waits for is not done twice."""
    rig.until("2026-01-02T00:30")
    runner = rig.start(rig.windowed(start=at("2026-01-01T23:00")))
    rig.advance(2 * MINUTE)
    told: list[int] = []
    progress = rig.call(
        lambda: runner.backfill(
            "core.test", *hours(0, 9), told=lambda progress: told.append(progress.done)
        )
    )
    assert rig.source.windows == hours(23, *range(9))
    assert told == sorted(set(told)) and told[-1] == 9 == progress.done


def test_the_source_is_down_meanwhile(rig: Rig) -> None:
    """A daemon goes on with the same window when the source is back."""
    rig.until("2026-01-02T00:30")
    rig.start(rig.windowed(start=at("2026-01-01T23:00")))
    rig.advance(2 * MINUTE)

    def gone(request):
        raise Unavailable("gone")

    rig.source.answer = gone
    with rig.store() as store:
        store.request("backfill", _span(0, 5).arguments)
    rig.advance(10 * MINUTE)
    assert set(rig.source.windows[1:]) == {at("2026-01-01")}
    assert 3 <= len(rig.source.windows) <= 6
    rig.source.answer = one
    rig.advance(15 * MINUTE)
    assert rig.sink.starts == hours(23, 0, 1, 2, 3, 4)


def test_the_source_is_down_here(rig: Rig, alone: Runner) -> None:
    """Without a daemon an outage ends it, with its reason; asked again, it goes on."""
    rig.source.down = Unavailable("no route")
    with pytest.raises(Unavailable, match="no route"):
        rig.call(lambda: alone.backfill("core.test", *hours(0, 3)))
    rig.source.down = None
    assert rig.call(lambda: alone.backfill("core.test", *hours(0, 3))).done == 3


def test_a_sink_that_takes_nothing(rig: Rig, alone: Runner) -> None:
    """Without a daemon a sink that is down is an error; what was read stays pending."""
    rig.sink.down = Unavailable("shut")
    with pytest.raises(Unavailable, match="it stays pending"):
        rig.call(lambda: alone.backfill("core.test", *hours(0, 3)))
    with rig.store() as store:
        assert [line.metrics for line in store.outbox()] == [3]
    rig.sink.down = None
    rig.call(lambda: alone.backfill("core.test", *hours(3, 4)))
    assert rig.sink.starts == hours(0, 1, 2, 3)


def test_a_sink_that_is_down_is_soon_known(rig: Rig, alone: Runner) -> None:
    """A sink that fails three times is not waited for; one that fails once is."""
    rig.sink.down = Unavailable("shut")
    before = rig.now
    with pytest.raises(Unavailable, match="it stays pending"):
        rig.call(lambda: alone.backfill("core.test", *hours(0, 3)))
    assert rig.now - before <= timedelta(seconds=5)

    def up(progress):
        rig.sink.down = None

    rig.sink.down = Unavailable("shut")
    rig.call(lambda: alone.backfill("core.test", *hours(3, 4), told=up))
    assert rig.sink.starts == hours(0, 1, 2, 3)


def test_a_sink_that_asks_for_an_hour(rig: Rig, alone: Runner) -> None:
    """A sink that is tried again much later is waited for ten seconds."""
    rig.sink.down = RetryAfter(3600)
    before = rig.now
    with pytest.raises(Unavailable, match="it stays pending"):
        rig.call(lambda: alone.backfill("core.test", *hours(0, 3)), within=20 * MINUTE)
    assert timedelta(seconds=10) <= rig.now - before <= timedelta(seconds=12)


def test_what_others_have_pending_is_not_waited_for(rig: Rig, alone: Runner) -> None:
    """A backfill that has nothing to deliver does not wait for what others have pending."""
    rig.call(lambda: alone.backfill("core.test", *hours(0, 3)))
    rig.sink.down = Unavailable("shut")
    rig.start(rig.windowed("core.other"))
    rig.advance(MINUTE)
    rig.stop()
    before = rig.now
    progress = rig.call(lambda: alone.backfill("core.test", *hours(0, 3)))
    assert progress.outcomes == Counter(unchanged=3)
    assert rig.now - before <= timedelta(seconds=1)


def test_the_total_of_what_failed(rig: Rig) -> None:
    """Resumed, `failed_only` counts what it has done: of the rest some was made up meanwhile."""
    rig.source.answer = lambda request: 1 / 0
    rig.until("2026-01-01T06:30")
    rig.start(rig.windowed(start=at("2026-01-01")))
    rig.exactly(MINUTE)
    rig.stop()
    rig.source.answer = one
    runner = Runner([rig.windowed()], state_dir=rig.folder, clock=rig.clock)
    span = at("2026-01-01"), at("2026-01-01T06:00")
    told: list[tuple[int, int]] = []

    def end(progress):
        told.append((progress.done, progress.total))
        if progress.done == 2:
            raise KeyError("ended")

    with pytest.raises(KeyError):
        rig.call(lambda: runner.backfill("core.test", *span, failed_only=True, told=end))
    rig.call(lambda: runner.backfill("core.test", *hours(3, 5)))
    progress = rig.call(lambda: runner.backfill("core.test", *span, failed_only=True, told=end))
    assert told == [(1, 6), (2, 6), (3, 6), (4, 6)]
    assert (progress.done, progress.total) == (4, 4)
    with rig.store() as store:
        kept = [Progress.of(each.progress) for each in store.requests(open_only=False)]
    assert [(each.done, each.total) for each in kept] == [(4, 4), (2, 2)]
    runner.close()


def test_requests_that_cannot_be(rig: Rig) -> None:
    """A request that nobody can carry out is finished with the reason."""
    rig.start(rig.windowed(), rig.snapshot())
    with rig.store() as store:
        for kind, arguments in [
            ("backfill", _span(0, 3).arguments | {"collector": "core.gone"}),
            ("backfill", _span(0, 3).arguments | {"collector": "core.level"}),
            ("backfill", _span(0, 3, sinks=["lakes"]).arguments),
            ("backfill", {}),
            ("dance", {"sink": "lake"}),
            ("retry", {}),
        ]:
            store.request(kind, arguments)
    rig.advance(MINUTE)
    with rig.store() as store:
        assert store.requests() == []
        reasons = [each.outcome for each in store.requests(open_only=False)]
    assert reasons[0].endswith("there is no windowed collector with the id 'core.gone'")
    assert reasons[1].endswith("there is no windowed collector with the id 'core.level'")
    assert reasons[2].endswith("core.test has no sink 'lakes'")
    assert "done" not in reasons


def test_a_window_that_the_source_does_not_show(rig: Rig) -> None:
    """A window that is over here and not at the source is skipped by a backfill, and said."""
    rig.until("2026-01-02T00:30")
    rig.source.seen = lambda: at("2026-01-01T22:30")
    runner = rig.start(rig.windowed(start=at("2026-01-01T21:00")))
    rig.advance(2 * MINUTE)
    progress = rig.call(lambda: runner.backfill("core.test", *hours(21, 24)))
    assert progress.outcomes == Counter(unchanged=1, skipped=2) and progress.failed == 2
    assert rig.runs()[-1].reason == "it is not over: its source shows up to 2026-01-01T22:30:00Z"
    rig.source.seen = lambda: None
    rig.advance(3 * MINUTE)
    assert rig.sink.starts == hours(21, 22, 23)


def test_one_that_waits_keeps_no_turn(rig: Rig) -> None:
    """While a backfill queues behind other collectors its own collector's windows are read."""
    gate = Gate(rig.clock)
    source = rig.base("shared")
    slow = rig.windowed("core.slow", source=source, timeout=2 * HOUR)
    fast = rig.windowed("core.fast", source=source)
    source.answer = lambda request: (
        gate.answer(request) if request.collector == "core.slow" else one(request)
    )
    rig.start(slow, fast)
    rig.advance(2 * MINUTE)
    assert gate.inside == 1
    with rig.store() as store:
        store.request("backfill", {**_span(-50, -40).arguments, "collector": "core.fast"})
    rig.until("2026-01-01T01:30")
    gate.open()
    rig.clock.settle()
    order = [start for start in source.windows if start not in hours(-1)]
    assert order.index(hours(0)[0]) < order.index(hours(-50)[0])
    rig.advance(MINUTE)
    assert hours(-41)[0] in source.windows


def test_outbox_requests(rig: Rig) -> None:
    """`retry` and `drop` are carried out beside a live runner, within a second or so.

    What is dropped is what an orphan has pending; a configured sink keeps it.
    """
    given = {"start": at("2025-12-31T20:00")}
    swamp = {"sinks": {"swamp": rig.sink}, "shared_sinks": ["swamp"]}
    rig.sink.down = Unavailable("shut")
    rig.start(rig.windowed(**given), rig.windowed("core.other", **given, **swamp))
    rig.advance(MINUTE)
    rig.stop()
    rig.start(rig.windowed(**given))
    rig.advance(MINUTE)
    for kind, sink in [("drop", "swamp"), ("drop", "lake"), ("retry", "lake")]:
        with rig.store() as store:
            store.request(kind, {"sink": sink})
        rig.exactly(timedelta(seconds=2))
    with rig.store() as store:
        requests = store.requests(open_only=False)
        pending = {line.sink: line.metrics for line in store.outbox()}
    assert [request.outcome for request in requests] == ["done"] * 3
    assert [request.progress for request in requests] == [
        {"dropped": 4},
        {"dropped": 0},
        {"retried": 0, "outdated": 0},
    ]
    assert pending == {"lake": 4, "swamp": 0}
    rig.sink.down = None
    rig.advance(HOUR)
    assert rig.sink.starts[:5] == hours(-4, -3, -2, -1, 0)
