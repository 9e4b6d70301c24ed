"""A runner whose collectors change while it runs: what stays as it was notices nothing."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from attrs import evolve

from parts.running import HOUR, MINUTE, Gate, Rig, Taker, at, own_threads
from signals_core import Collector, ConfigError, MetricDefinition, Runner, Unavailable
from signals_core.backfill import Span
from signals_core.builtin.schedules import Interval
from signals_core.reload import Reloaded

SOON = timedelta(seconds=2)


def reload(rig: Rig, *collectors: Collector) -> Reloaded:
    """Have the runner take these collectors up, as a configuration that was read again gives them.

    They are copies, with plugins of their own that are equal where they have not changed.
    """
    assert rig.runner
    reloaded = rig.runner.reload(map(copied, collectors))
    rig.clock.settle()
    return reloaded


def copied(collector: Collector) -> Collector:
    """Return an equal collector."""
    source = evolve(collector.source)
    source.clock, source.answer = collector.source.clock, collector.source.answer
    sinks = {name: evolve(sink) for name, sink in collector.sinks.items()}
    return evolve(collector, source=source, sinks=sinks)


def in_use(rig: Rig, name: str = "core.test") -> Any:
    """Return the source that a collector is read from now."""
    assert rig.runner
    return rig.runner._wired[name].source.plugin


def taker(rig: Rig, name: str = "core.test") -> Any:
    """Return the sink that a collector's metrics go to now."""
    assert rig.runner
    return rig.runner._wired[name].sinks["lake"].plugin


def ask_for_past(rig: Rig) -> int:
    """Have three past hours of a collector read; the number of the request."""
    hours = Span("core.test", at("2026-01-01"), at("2026-01-01T03:00"))
    with rig.store() as store:
        return store.request("backfill", hours.arguments)


def reports(reloaded: Reloaded) -> tuple[Iterable[str], Iterable[str], Iterable[str]]:
    return reloaded.added, reloaded.changed, reloaded.removed


def values(rig: Rig) -> list[Any]:
    """Return what was taken of the windowed collector."""
    return [metric.value for metric in rig.sink.taken if metric.name == "core.test"]


def test_what_has_not_changed_notices_nothing(rig: Rig) -> None:
    """A collector that stays as it was is not opened anew, and misses and doubles no tick."""
    mine, level = rig.windowed(start=at("2026-01-01")), rig.snapshot()
    rig.start(mine, level)
    for _ in range(20):
        rig.exactly(timedelta(seconds=17))
        assert reports(reload(rig, mine, level)) == ([], [], [])
    rig.until("2026-01-01T03:30")
    assert rig.source.opened == [rig.source.opened[0]] and rig.source.closed == 0
    assert values(rig) == [0, 1, 2]
    assert len(level.source.times) == len(set(level.source.times))
    assert level.source.times[2:] == [
        at("2026-01-01T00:02") + minute * MINUTE for minute in range(len(level.source.times) - 2)
    ]


def test_one_that_is_added(rig: Rig) -> None:
    """A new collector begins as at start, and is read and delivered."""
    rig.start(rig.windowed(start=at("2026-01-01")))
    rig.until("2026-01-01T02:30")
    new = rig.windowed("core.new", start=at("2026-01-01"), source=rig.base("new"))
    assert reports(reload(rig, rig.windowed(start=at("2026-01-01")), new)) == (
        ["core.new"],
        [],
        [],
    )
    rig.exactly(2 * MINUTE)
    assert in_use(rig, "core.new").windows == [at("2026-01-01T00:00"), at("2026-01-01T01:00")]
    assert {metric.name for metric in rig.sink.taken} == {"core.test", "core.new"}


def test_one_that_is_removed(rig: Rig) -> None:
    """A collector that is gone is read no more, its source is closed, and the others go on."""
    level = rig.snapshot()
    rig.start(rig.windowed(start=at("2026-01-01")), level)
    rig.until("2026-01-01T02:30")
    assert reports(reload(rig, rig.windowed(start=at("2026-01-01")))) == ([], [], ["core.level"])
    assert level.source.closed == 1
    before = list(level.source.asked)
    rig.until("2026-01-01T04:30")
    assert level.source.asked == before
    assert rig.source.windows[-1] == at("2026-01-01T03:00")
    assert rig.runner is not None and [each.name for each in rig.runner.collectors] == ["core.test"]


def test_one_that_is_removed_while_it_is_read(rig: Rig) -> None:
    """The read under way ends, is delivered, and only then the source is closed."""
    gate = Gate(rig.clock)
    rig.source.answer = gate.answer
    level = rig.snapshot()
    rig.start(rig.windowed(start=at("2026-01-01"), timeout=5 * HOUR), level)
    rig.until("2026-01-01T01:30")
    assert gate.inside == 1
    reload(rig, level)
    assert rig.source.closed == 0
    gate.open()
    rig.exactly(MINUTE)
    assert rig.source.closed == 1
    assert [metric.name for metric in rig.sink.taken if metric.name == "core.test"] == ["core.test"]
    rig.until("2026-01-01T04:30")
    assert len(rig.source.asked) == 1


def test_one_that_comes_back_while_it_is_read(rig: Rig) -> None:
    """Removed and added again during one read, it is never read twice at once."""
    gate = Gate(rig.clock)
    rig.source.answer = gate.answer
    mine, level = rig.windowed(start=at("2026-01-01"), timeout=5 * HOUR), rig.snapshot()
    rig.start(mine, level)
    rig.until("2026-01-01T03:30")
    reload(rig, level)
    reload(rig, level, mine)
    rig.exactly(MINUTE)
    assert gate.inside == 1
    assert len(rig.source.asked) == 1
    gate.open()
    rig.exactly(MINUTE)
    assert rig.source.windows + in_use(rig).windows in (
        [at(f"2026-01-01T0{hour}:00") for hour in range(3)],
        2 * [at(f"2026-01-01T0{hour}:00") for hour in range(3)],  # it is one and the same
    )
    assert rig.outcomes(mine).count("read") == 3


def test_one_that_changes(rig: Rig) -> None:
    """A changed collector takes its new form at its next run, and its coverage goes on."""
    rig.start(rig.windowed(start=at("2026-01-01")))
    rig.until("2026-01-01T02:30")
    changed = rig.windowed(start=at("2026-01-01"), tags={"env": "prod"})
    assert reports(reload(rig, changed)) == ([], ["core.test"], [])
    rig.until("2026-01-01T04:30")
    assert rig.sink.starts == [at(f"2026-01-01T0{hour}:00") for hour in range(4)]
    assert [metric.tags for metric in rig.sink.taken] == 2 * [{}] + 2 * [{"env": "prod"}]
    assert len(rig.source.opened) == 1


def test_one_that_is_renamed(rig: Rig) -> None:
    """A collector with an id goes on under another name where it was."""
    rig.start(rig.windowed(start=at("2026-01-01")))
    rig.until("2026-01-01T02:30")
    renamed = rig.windowed("core.other", id="core.test", start=at("2026-01-01"))
    assert reports(reload(rig, renamed)) == ([], ["core.other"], [])
    rig.until("2026-01-01T04:30")
    assert rig.sink.starts == [at(f"2026-01-01T0{hour}:00") for hour in range(4)]


def test_one_that_changes_while_it_is_read(rig: Rig) -> None:
    """The read under way ends as what it began as, and the next one is of the new form."""
    gate = Gate(rig.clock)
    rig.source.answer = gate.answer
    rig.start(rig.windowed(start=at("2026-01-01"), timeout=5 * HOUR))
    rig.until("2026-01-01T02:30")
    reload(rig, rig.windowed(start=at("2026-01-01"), timeout=5 * HOUR, tags={"env": "prod"}))
    gate.open()
    rig.exactly(MINUTE)
    assert [metric.tags for metric in rig.sink.taken] == [{}, {"env": "prod"}]


def test_a_schedule_that_changes(rig: Rig) -> None:
    """A new schedule counts at once, and the present state is not read for the change itself."""
    level = rig.snapshot(every=HOUR)
    rig.start(level)
    rig.exactly(10 * MINUTE)
    before = len(level.source.asked)
    reload(rig, evolve(level, schedule=Interval(MINUTE)))
    rig.exactly(timedelta(seconds=30))
    assert len(level.source.asked) == before
    rig.exactly(2 * MINUTE)
    assert level.source.times[before:] == [at("2026-01-01T00:11"), at("2026-01-01T00:12")]


def test_a_window_that_changes(rig: Rig) -> None:
    """A longer history is read, and another grain has a coverage of its own."""
    rig.start(rig.windowed(start=at("2025-12-31T23:00")))
    rig.until("2026-01-01T02:30")
    reload(rig, rig.windowed(start=at("2025-12-31T20:00")))
    rig.exactly(MINUTE)
    assert rig.source.windows[3:] == [at(f"2025-12-31T{hour}:00") for hour in (20, 21, 22)]
    reload(rig, rig.windowed(grain="2h", start=at("2026-01-01")))
    rig.exactly(MINUTE)
    assert rig.source.windows[6:] == [at("2026-01-01T00:00")]


def test_a_kind_that_changes(rig: Rig) -> None:
    """A windowed collector that becomes one of the present state runs by its schedule."""
    rig.start(rig.windowed(start=at("2026-01-01")))
    rig.until("2026-01-01T01:30")
    source = rig.base("now", windowed=False)
    reload(rig, rig.snapshot("core.test", source=source))
    rig.exactly(2 * MINUTE)
    assert in_use(rig).times == [at(f"2026-01-01T01:3{minute}") for minute in range(3)]


def test_a_source_that_changes(rig: Rig) -> None:
    """Another connection is opened once its first run needs it, and the old one is closed."""
    rig.source.down = RuntimeError("password authentication failed")
    rig.start(rig.windowed(start=at("2026-01-01")))
    rig.until("2026-01-01T02:30")
    assert rig.sink.taken == []
    reload(rig, rig.windowed(start=at("2026-01-01"), source=rig.base("new password")))
    rig.exactly(SOON)
    assert rig.sink.values == [0, 1]  # at once: what kept it from its source is mended


def test_what_was_owed_before_a_change(rig: Rig) -> None:
    """What a collector had still to read when it changed is read in its new form, at once."""
    rig.start(rig.windowed())
    rig.until("2026-01-01T02:30")
    before = list(rig.source.windows)
    rig.source.down = RuntimeError("down")
    rig.source.seen = lambda: (_ for _ in ()).throw(Unavailable("down"))
    rig.until("2026-01-01T06:30")
    assert rig.source.windows == before
    reload(rig, rig.windowed(source=rig.base("mended")))
    rig.exactly(SOON)
    assert in_use(rig).windows == [at(f"2026-01-01T0{hour}:00") for hour in (2, 3, 4, 5)]


def test_a_pass_that_is_open_before_a_change(rig: Rig) -> None:
    """What a tick has asked for before a change is read after it, without another tick."""
    rig.start(rig.windowed(schedule=Interval(6 * HOUR)))
    rig.until("2026-01-01T05:30")
    rig.source.seen = lambda: (_ for _ in ()).throw(Unavailable("down"))
    before = list(rig.source.windows)
    rig.until("2026-01-01T07:30")
    mended = rig.windowed(schedule=Interval(6 * HOUR), source=rig.base("mended"))
    reload(rig, mended)
    rig.exactly(SOON)
    read = [*before, *in_use(rig).windows]
    assert read == [read[0] + hour * HOUR for hour in range(len(read))]
    assert read[-1] == at("2026-01-01T05:00")


def test_a_failed_run_before_a_change(rig: Rig) -> None:
    """A snapshot collector whose last run failed runs at once when it has changed."""
    level = rig.snapshot(every=HOUR)
    level.source.answer = lambda _: 1 / 0
    rig.start(level)
    rig.exactly(MINUTE + SOON)
    before = len(level.source.asked)
    assert before and rig.outcomes() == before * ["failed"]
    mended = rig.base("mended", windowed=False)
    reload(rig, evolve(level, source=mended))
    rig.exactly(SOON)
    assert rig.outcomes()[before:] == ["read"]


def test_a_source_that_changes_under_a_slow_read(rig: Rig) -> None:
    """Runs that wait for a connection of the old source go to the new one."""
    gate = Gate(rig.clock)
    rig.source.answer = gate.answer
    both = [
        rig.windowed(name, start=at("2026-01-01"), timeout=5 * HOUR) for name in ("a.one", "a.two")
    ]
    rig.start(*both)
    rig.until("2026-01-01T01:30")
    assert gate.inside == len(rig.source.asked) == 1
    slow = rig.source.asked[0]
    reload(rig, *(evolve(each, source=rig.base("new")) for each in both))
    rig.exactly(SOON)
    assert gate.inside == 1
    gate.open()
    rig.exactly(MINUTE)
    assert rig.source.asked == [slow]
    assert rig.source.closed == 1
    assert sorted(metric.name for metric in rig.sink.taken) == ["a.one", "a.two"]


def test_a_sink_that_changes(rig: Rig) -> None:
    """What is pending goes to the sink in its new form, and the old one is closed."""
    rig.sink.down = RuntimeError("403")
    rig.start(rig.windowed(start=at("2026-01-01")))
    rig.until("2026-01-01T02:30")
    new = rig.windowed(start=at("2026-01-01"), sinks={"lake": Taker("new token")})
    reload(rig, new)
    rig.exactly(SOON)
    assert taker(rig).values == [0, 1]
    rig.until("2026-01-01T03:30")
    assert taker(rig).values == [0, 1, 2] and rig.sink.taken == []


def test_a_sink_that_is_taken_out(rig: Rig) -> None:
    """What is pending for a sink that is gone is orphaned, and goes out when it returns."""
    rig.sink.down = RuntimeError("down")
    swamp = Taker("swamp")
    both = {"lake": rig.sink, "swamp": swamp}
    rig.start(rig.windowed(start=at("2026-01-01"), sinks=both, shared_sinks=["lake", "swamp"]))
    rig.until("2026-01-01T02:30")
    assert swamp.values == [0, 1]
    alone = rig.windowed(
        start=at("2026-01-01"), sinks={"swamp": swamp}, shared_sinks=["lake", "swamp"]
    )
    reload(rig, alone)
    with rig.store() as store:
        assert {line.sink: line.orphaned for line in store.outbox()} == {
            "lake": True,
            "swamp": False,
        }
    rig.until("2026-01-01T03:30")
    assert swamp.values == [0, 1, 2]
    reload(rig, rig.windowed(start=at("2026-01-01"), sinks=both, shared_sinks=["lake", "swamp"]))
    rig.exactly(SOON)
    assert taker(rig).values == [0, 1]


def test_mistakes_change_nothing(rig: Rig) -> None:
    """Collectors that cannot be right are refused all together."""
    rig.start(rig.windowed(start=at("2026-01-01")))
    wrong = rig.windowed("core.wrong", metric=MetricDefinition("", "COUNT"))
    with pytest.raises(ConfigError):
        reload(rig, rig.windowed("core.new"), wrong)
    with pytest.raises(ConfigError):
        reload(rig, rig.snapshot(schedule=None))
    rig.until("2026-01-01T02:30")
    assert rig.sink.values == [0, 1]


def test_a_backfill_goes_on(rig: Rig) -> None:
    """A backfill of a collector that changes goes on in its new form."""
    gate = Gate(rig.clock)
    rig.start(rig.windowed(start=at("2026-01-02")), rig.snapshot())
    rig.until("2026-01-02T00:30")
    rig.source.answer = gate.answer
    number = ask_for_past(rig)
    rig.exactly(SOON)
    assert gate.inside == 1
    reload(rig, rig.windowed(start=at("2026-01-02"), tags={"env": "prod"}), rig.snapshot())
    gate.open()
    rig.exactly(MINUTE)
    tags = [metric.tags for metric in rig.sink.taken if metric.name == "core.test"]
    assert tags == [{}, {"env": "prod"}, {"env": "prod"}]
    with rig.store() as store:
        (done,) = store.requests(open_only=False)
    assert (done.id, done.outcome) == (number, "done")


@pytest.mark.parametrize("change", ["removed", "grain"])
def test_a_backfill_that_cannot_go_on(rig: Rig, change: str) -> None:
    """A backfill whose windows are no longer those of a collector ends, and says so."""
    gate = Gate(rig.clock)
    rig.start(rig.windowed(start=at("2026-01-02")), rig.snapshot())
    rig.until("2026-01-02T00:30")
    rig.source.answer = gate.answer
    ask_for_past(rig)
    rig.exactly(SOON)
    left = [rig.windowed(grain="2h", start=at("2026-01-02"))] if change == "grain" else []
    reload(rig, *left, rig.snapshot())
    gate.open()
    rig.exactly(MINUTE)
    with rig.store() as store:
        (done,) = store.requests(open_only=False)
    assert done.outcome == "core.test was taken out, or has another grain now"
    assert len(rig.source.asked) == 1


def test_a_reload_in_a_catch_up(rig: Rig) -> None:
    """Reloads between the windows of a catch-up leave none out and read none twice."""
    rig.until("2026-01-03T00:30")
    mine = rig.windowed(start=at("2026-01-01"))
    rig.start(mine)
    rig.exactly(SOON)
    for count in range(20):
        reload(rig, evolve(mine, tags={"count": str(count)}), rig.snapshot())
        rig.exactly(timedelta(seconds=0.1))
    rig.exactly(2 * MINUTE)
    assert rig.sink.starts == sorted({*rig.sink.starts})
    windows = [metric.grain_datetime for metric in rig.sink.taken if metric.name == "core.test"]
    assert windows == [at("2026-01-01") + hour * HOUR for hour in range(48)]


def test_a_pause_holds(rig: Rig) -> None:
    """What is paused stays so in its new form, and one that joins a paused source is paused."""
    rig.start(rig.windowed(start=at("2026-01-01"), shared_source="shop"), rig.snapshot())
    rig.exactly(MINUTE)
    arguments = {"of": "source", "names": ["shop"], "until": None, "reason": None}
    with rig.store() as store:
        store.request("pause", arguments)
    rig.exactly(SOON)
    changed = rig.windowed(start=at("2026-01-01"), shared_source="shop", tags={"env": "prod"})
    level = rig.snapshot(shared_source="shop")
    reload(rig, changed, level)
    before = list(level.source.asked)
    rig.until("2026-01-01T02:30")
    assert rig.source.asked == [] and level.source.asked == before
    reload(rig, evolve(changed, shared_source=None), level)
    rig.exactly(MINUTE)
    assert values(rig) == [0, 1]


def test_a_runner_that_was_not_started(rig: Rig) -> None:
    """Before it is started a runner takes other collectors up too."""
    with Runner([rig.windowed(start=at("2026-01-01"))], clock=rig.clock) as runner:
        assert reports(runner.reload([rig.snapshot()])) == (["core.level"], [], ["core.test"])
        assert runner.invoke("core.level").rows == 1


class Sluggish(Taker):
    """A receiver whose writes take until a gate opens, and which are counted together."""

    gate: Gate
    inside: ClassVar[list[int]] = [0]
    most: ClassVar[list[int]] = [0]

    def write(self, batch):
        self.inside[0] += 1
        self.most[0] = max(self.most[0], self.inside[0])
        with self.gate.changed:
            while not self.gate.is_open:
                self.gate.clock.wait(self.gate.changed, None)
        super().write(batch)
        self.inside[0] -= 1


def test_a_sink_that_changes_under_a_slow_write(rig: Rig) -> None:
    """The new form of a sink begins when the write under way has ended, and nothing is lost."""
    gate = Gate(rig.clock)
    old, new = Sluggish("old"), Sluggish("new")
    old.gate = new.gate = gate
    rig.start(rig.windowed(start=at("2026-01-01"), sinks={"lake": old}))
    rig.until("2026-01-01T02:30")
    assert Sluggish.inside == [1]
    assert rig.runner
    rig.runner.reload([rig.windowed(start=at("2026-01-01"), sinks={"lake": new})])
    rig.until("2026-01-01T03:30")
    assert Sluggish.most == [1]
    gate.open()
    rig.exactly(MINUTE)
    assert Sluggish.most == [1]
    assert [*old.values, *new.values] == [0, 1, 2]
    with rig.store() as store:
        (line,) = store.outbox()
    assert line.metrics == 0


def test_stopping_after_a_reload(rig: Rig) -> None:
    """A runner that is stopped while old runs and writes end waits for them too."""
    gate = Gate(rig.clock)
    rig.source.answer = gate.answer
    rig.start(rig.windowed(start=at("2026-01-01"), timeout=5 * HOUR), rig.snapshot())
    rig.until("2026-01-01T01:30")
    reload(rig, rig.snapshot())
    assert gate.inside == 1
    rig.stop()
    assert gate.inside == 0
    assert not [name for name in own_threads() if "timer" in name or "Base" in name]
