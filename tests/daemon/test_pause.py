"""Pauses in a runner: nothing is read, everything is delivered, and windows are made up."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from parts.running import HOUR, MINUTE, Gate, Rig, at
from signals_core import Collector, Unavailable

SOON = timedelta(seconds=2)


def ask(rig: Rig, kind: str, of: str = "collector", *names: str, **given: Any) -> None:
    """Leave a request beside the runner, and let it be seen."""
    until: datetime | None = given.get("until")
    arguments = {
        "of": of,
        "names": names or ["core.test"],
        "until": until and until.isoformat(),
        "reason": given.get("reason"),
    }
    with rig.store() as store:
        store.request(kind, arguments, at=rig.now)
    rig.exactly(SOON)


def past(collector: Collector, hours: int) -> dict[str, Any]:
    """Return a request for the first hours of the year."""
    return {
        "collector": collector.id,
        "start": "2026-01-01T00:00:00Z",
        "end": f"2026-01-01T{hours:02}:00:00Z",
        "sinks": None,
        "failed_only": False,
    }


def test_paused_windows_are_made_up(rig: Rig) -> None:
    """While a collector is paused nothing is read; then every window of it is."""
    rig.start(rig.windowed(start=at("2026-01-01")))
    rig.until("2026-01-01T02:30")
    ask(rig, "pause")
    before = list(rig.source.asked)
    rig.until("2026-01-01T09:30")
    assert rig.source.asked == before
    ask(rig, "resume")
    rig.exactly(MINUTE)
    assert rig.sink.values == list(range(9))


def test_a_pause_outlasts_the_process(rig: Rig) -> None:
    """A pause holds in the next process, and is made up after it there."""
    collector = rig.windowed(start=at("2026-01-01"))
    rig.start(collector)
    rig.until("2026-01-01T02:30")
    ask(rig, "pause")
    rig.stop()
    rig.until("2026-01-01T05:30")
    before = list(rig.source.asked)
    rig.start(collector)
    rig.until("2026-01-01T06:30")
    assert rig.source.asked == before
    ask(rig, "resume")
    rig.exactly(MINUTE)
    assert rig.sink.values == list(range(6))


def test_a_pause_ends_by_the_clock(rig: Rig) -> None:
    """A pause that has an end is over at that moment, and what was missed is read then."""
    rig.start(rig.windowed(start=at("2026-01-01")))
    rig.until("2026-01-01T02:30")
    ask(rig, "pause", until=at("2026-01-01T05:17"))
    before = list(rig.source.asked)
    rig.until("2026-01-01T05:16:59")
    assert rig.source.asked == before
    rig.exactly(SOON)
    assert rig.source.asked[len(before) :] == [
        (at("2026-01-01T05:17"), at(f"2026-01-01T0{hour}:00")) for hour in (2, 3, 4)
    ]
    with rig.store() as store:
        assert store.pauses(rig.now) == []


def test_missed_runs_are_counted(rig: Rig) -> None:
    """A snapshot collector runs once after its pause, and its run says how many it missed."""
    level = rig.snapshot()
    rig.start(level)
    rig.exactly(2 * MINUTE)
    ask(rig, "pause", "collector", "core.level", until=rig.now + 5 * MINUTE + SOON)
    before = len(level.source.asked)
    rig.exactly(5 * MINUTE)
    assert len(level.source.asked) == before + 1
    assert level.source.times[-1] == at("2026-01-01T00:07:02")
    assert rig.runs(level)[-1].reason == "ticks missed while paused: 5"
    rig.exactly(MINUTE)
    assert level.source.times[-1] == at("2026-01-01T00:08")
    assert rig.runs(level)[-1].reason is None


def test_missed_runs_are_counted_over_a_restart(rig: Rig) -> None:
    """Ticks of a pause that came while no process ran were missed too."""
    level = rig.snapshot()
    rig.start(level)
    rig.exactly(2 * MINUTE)
    ask(rig, "pause", "collector", "core.level")
    rig.exactly(2 * MINUTE)
    rig.stop()
    rig.exactly(3 * MINUTE)
    rig.start(level)
    rig.exactly(MINUTE)
    ask(rig, "resume", "collector", "core.level")
    assert rig.runs(level)[-1].reason == "ticks missed while paused: 6"


def test_nothing_missed_is_nothing_run(rig: Rig) -> None:
    """A pause between two ticks of a snapshot collector brings no run of its own."""
    level = rig.snapshot()
    rig.start(level)
    rig.exactly(2 * MINUTE)
    before = level.source.times
    ask(rig, "pause", "collector", "core.level", until=rig.now + 10 * SOON)
    rig.exactly(10 * SOON)
    assert level.source.times == before


def test_pausing_again_changes_the_end(rig: Rig) -> None:
    """A second pause moves the end, and the first one's start stays."""
    rig.start(rig.windowed(start=at("2026-01-01")))
    rig.until("2026-01-01T02:30")
    ask(rig, "pause", until=at("2026-01-01T03:30"))
    ask(rig, "pause", until=at("2026-01-01T06:30"), reason="vacuum")
    before = list(rig.source.asked)
    with rig.store() as store:
        (pause,) = store.pauses(rig.now)
    assert (pause.since, pause.reason) == (at("2026-01-01T02:30:01"), "vacuum")
    rig.until("2026-01-01T06:29")
    assert rig.source.asked == before
    rig.advance(MINUTE)
    assert rig.sink.values == list(range(6))


def test_a_paused_source(rig: Rig) -> None:
    """Of a paused source nothing is read by any collector that shares it; others go on."""
    mine = rig.windowed(start=at("2026-01-01"), shared_source="shop")
    also = rig.windowed("core.also", start=at("2026-01-01"), shared_source="shop")
    other = rig.windowed(
        "core.other", start=at("2026-01-01"), source=rig.base("other"), shared_source="bar"
    )
    rig.start(mine, also, other)
    rig.until("2026-01-01T02:30")
    ask(rig, "pause", "source", "shop")
    ask(rig, "pause", until=rig.now + MINUTE)  # the longer of two pauses counts
    before = list(rig.source.asked)
    rig.until("2026-01-01T05:30")
    assert rig.source.asked == before
    assert len(other.source.asked) == 5
    ask(rig, "resume", "source", "shop")
    rig.exactly(MINUTE)
    assert len(rig.source.asked) == 10


def test_a_running_read_is_not_cut(rig: Rig) -> None:
    """A read that is under way ends in spite of a pause, and is delivered; the next waits."""
    gate = Gate(rig.clock)
    rig.source.answer = gate.answer
    collector = rig.windowed(start=at("2026-01-01"), timeout=10 * HOUR)
    rig.start(collector)
    rig.until("2026-01-01T03:30")
    assert gate.inside == 1
    ask(rig, "pause")
    gate.open()
    rig.exactly(MINUTE)
    assert len(rig.sink.taken) == len(rig.source.asked) == 1


def test_a_run_that_has_queued_is_put_off(rig: Rig) -> None:
    """A run that waits for a connection as the pause comes is not made, and counted as missed."""
    gate = Gate(rig.clock)
    source = rig.base("both", windowed=False)
    source.answer = gate.answer
    first = rig.snapshot("core.first", source=source, timeout=HOUR)
    second = rig.snapshot("core.second", source=source, timeout=HOUR)
    rig.start(first, second)
    rig.advance(3 * MINUTE)
    assert gate.inside == len(source.asked) == 1
    ask(rig, "pause", "collector", "core.first", "core.second")
    gate.open()
    rig.exactly(10 * MINUTE)
    assert len(source.asked) == 1
    ask(rig, "resume", "collector", "core.first", "core.second")
    assert len(source.asked) == 3


def test_delivery_goes_on(rig: Rig) -> None:
    """What was read before a pause is delivered during it."""
    rig.sink.down = RuntimeError("down")
    rig.start(rig.windowed(start=at("2026-01-01")))
    rig.until("2026-01-01T02:30")
    ask(rig, "pause")
    rig.sink.down = None
    rig.advance(5 * MINUTE)
    assert rig.sink.values == [0, 1]


def test_a_backfill_waits(rig: Rig) -> None:
    """A backfill of what is paused waits, goes on after it, and holds up no other."""
    collector = rig.windowed(start=at("2026-01-02"))
    other = rig.windowed("core.other", start=at("2026-01-02"), source=rig.base("other"))
    rig.start(collector, other)
    rig.until("2026-01-02T01:30")
    ask(rig, "pause")
    with rig.store() as store:
        for each in (collector, other):
            store.request("backfill", past(each, 2))
    rig.exactly(MINUTE)
    assert len(other.source.asked) == 3
    assert len(rig.source.asked) == 1
    ask(rig, "resume")
    rig.exactly(MINUTE)
    assert len(rig.source.asked) == 3


def test_a_backfill_that_is_paused_in_the_middle(rig: Rig) -> None:
    """A backfill stops between two windows of a pause, and goes on with the next one after it."""
    collector = rig.windowed(start=at("2026-01-02"))
    rig.start(collector)
    rig.until("2026-01-02T01:30")
    gate = Gate(rig.clock)
    rig.source.answer = gate.answer
    rig.exactly(SOON)
    with rig.store() as store:
        store.request("backfill", past(collector, 3))
    rig.exactly(SOON)
    assert gate.inside == 1
    ask(rig, "pause")
    gate.open()
    rig.exactly(MINUTE)
    assert len(rig.source.asked) == 2
    ask(rig, "resume")
    rig.exactly(MINUTE)
    assert rig.source.windows[2:] == [at("2026-01-01T01:00"), at("2026-01-01T02:00")]


def test_a_backfill_without_a_daemon(rig: Rig) -> None:
    """Without a daemon a backfill of what is paused is refused, and told how it ends."""
    collector = rig.windowed(start=at("2026-01-01"))
    runner = rig.start(collector)
    rig.exactly(MINUTE)
    ask(rig, "pause", reason="vacuum")
    rig.stop()
    rig.until("2026-01-01T05:30")
    before = list(rig.source.asked)
    runner.start(on_schedule=False)
    rig.runner = runner
    with pytest.raises(Unavailable) as caught:
        rig.call(lambda: runner.backfill("core.test", at("2026-01-01"), at("2026-01-01T02:00")))
    assert str(caught.value) == (
        "the collector core.test is paused until it is resumed (vacuum): `signals resume` ends that"
    )
    assert rig.source.asked == before


def test_a_pause_by_id(rig: Rig) -> None:
    """A pause is of a collector's identity: it holds when its name changes."""
    rig.start(rig.windowed(start=at("2026-01-01")))
    rig.exactly(MINUTE)
    ask(rig, "pause")
    rig.stop()
    rig.start(rig.windowed("core.other", id="core.test", start=at("2026-01-01")))
    rig.until("2026-01-01T05:30")
    assert rig.source.asked == []
