"""The tools for authors beside the suites: clock, sink, source, harness."""

from __future__ import annotations

import ast
import gc
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from attrs import define, field

import signals_core
from signals_core import (
    ConfigError,
    DeliveryError,
    MetricDefinition,
    RetryAfter,
    Schedule,
    Sink,
    Source,
    Unavailable,
    WindowPolicy,
    testing,
)
from signals_core.testing import Harness, RecordingSink, RowsSource, SimulatedClock

START = datetime(2026, 1, 1, tzinfo=UTC)
HOURS = [{"at": f"2026-01-01T{hour:02}:00", "value": hour} for hour in range(24)]


@define
class Quarterly(Schedule):
    """At each quarter of an hour."""

    def next_after(self, moment):
        past = timedelta(minutes=moment.minute % 15)
        return moment.replace(second=0, microsecond=0) - past + timedelta(minutes=15)


@define
class Patient(Source):
    """Takes its time."""

    seconds: float = 90.0

    def read(self, request):
        request.wait(self.seconds)
        yield {"value": 1}


@define
class Shelf(Sink):
    """Keeps the texts of what it is given."""

    kept: list[bytes] = field(init=False, factory=list, eq=False)

    def write(self, batch):
        self.kept += batch.encoded


def test_a_snapshot_runs_by_its_schedule():
    """Without a window a collector reads once at the start and then at each tick."""
    with Harness(source=RowsSource([{"value": 7, "of": "a"}]), schedule=Quarterly()) as harness:
        harness.advance(minutes=1)
        assert [(each.value, each.tags) for each in harness.metrics] == [(7, {"of": "a"})]
        harness.advance(timedelta(minutes=59))
        assert len(harness.metrics) == 5
        assert harness.clock.now() == START + timedelta(hours=1)


def test_hurry():
    """In a hurry everything happens at whole minutes, and nothing is left out."""
    with Harness(schedule=Quarterly()) as harness:
        harness.advance(seconds=90)
        harness.hurry(hours=24)
        assert [each.timestamp.second for each in harness.metrics[1:]] == [0] * 96
        assert harness.clock.now() == START + timedelta(hours=24, seconds=90)


def test_each_minute_by_default():
    """A harness of nothing but a sink delivers a metric a minute."""
    sink = Shelf()
    with Harness(sink=sink) as harness:
        harness.advance(minutes=5)
        assert sink.kept == [each.encode() for each in harness.metrics]
    assert len(sink.kept) == 6


def test_windows():
    """A windowed collector reads each window when it is over, and what it missed."""
    start = START + timedelta(hours=3)
    rows = RowsSource(HOURS, time="at")
    window = WindowPolicy(start=START)
    with Harness(source=rows, grain="1h", window=window, start=start) as harness:
        harness.advance(hours=2)
        assert [each.value for each in harness.metrics] == [0, 1, 2, 3]
        harness.advance(minutes=1)
        assert harness.metrics[-1].grain_datetime == START + timedelta(hours=4)


def test_a_sink_that_is_down():
    """A recording sink raises what it is told to, keeps nothing of it, and loses nothing."""
    sink = RecordingSink()
    with Harness(sink=sink) as harness:
        sink.raises = Unavailable("down")
        harness.advance(minutes=3)
        assert harness.metrics == []
        with pytest.raises(DeliveryError, match="sink recorded: down"):
            harness.invoke()
        sink.raises = RetryAfter(60)
        harness.advance(minutes=3)
        sink.raises = None
        harness.advance(minutes=10)
        assert len(harness.metrics) == 17


def test_a_source_that_is_down():
    """A source of rows raises what it is told to, after its last row."""
    source = RowsSource([{"value": 1}])
    source.raises = Unavailable("no route")
    with Harness(source=source) as harness:
        with pytest.raises(Unavailable, match="no route"):
            harness.invoke()
        harness.advance(minutes=3)
        assert harness.metrics == []
        source.raises = None
        harness.advance(minutes=3)
        assert harness.metrics


def test_the_newest_of_each_uuid():
    """`newest` holds the latest version of each metric, whatever the order they came in."""
    source = RowsSource([{"value": 1, "of": "a"}, {"value": 2, "of": "b"}])
    with Harness(source=source, grain="1d") as harness:
        first = harness.invoke().metrics
        source.rows = [{"value": 0, "of": "a"}]
        second = harness.invoke().metrics
        newest = harness.sink.newest
        assert [newest[each.uuid].value for each in first] == [0, 2]
        harness.sink.batches.reverse()
        assert harness.sink.newest[second[0].uuid].value == 0


def test_what_waits_is_given_time():
    """What waits through the clock goes on while time passes, in no real time."""
    with Harness(source=Patient(45)) as harness:
        harness.advance(seconds=59)
        assert [each.value for each in harness.metrics] == [1]
    rows, window = RowsSource(HOURS, time="at"), WindowPolicy()
    start = START + timedelta(hours=5, minutes=5)
    with Harness(source=rows, grain="1h", window=window, start=start) as harness:
        harness.advance(minutes=5)
        assert [each.value for each in harness.metrics] == [4]
        harness.call(lambda: harness.runner.backfill("harness", START))
        assert sorted(each.value for each in harness.metrics) == [0, 1, 2, 3, 4]
        with pytest.raises(ValueError, match="no whole window"):
            harness.call(lambda: harness.runner.backfill("harness", start))


def test_patience_with_what_waits():
    """What still waits when its time is over is given up."""
    condition = threading.Condition()
    with Harness() as harness:

        def wait():
            with condition:
                harness.clock.wait(condition, 120)

        with pytest.raises(TimeoutError, match=r"^it still goes on after 0:01:00$"):
            harness.call(wait, within=timedelta(minutes=1))
        harness.advance(minutes=2)


def test_more_goes_to_the_collector():
    """What a collector may have besides can be given, and a mistake is told as ever."""
    metrics = [MetricDefinition("a", "SUM", value="x"), MetricDefinition("b", "SUM", value="y")]
    with Harness(
        source=RowsSource([{"x": 1, "y": 2}]), metrics=metrics, tags={"t": "u"}
    ) as harness:
        assert [(m.name, m.value, m.tags) for m in harness.invoke().metrics] == [
            ("a", 1, {"t": "u"}),
            ("b", 2, {"t": "u"}),
        ]
    with pytest.raises(ConfigError, match="window"):
        Harness(source=RowsSource([{"value": 1}]), grain="1h", window=WindowPolicy())


def test_nothing_is_left(tmp_path, monkeypatch):
    """A harness leaves no thread and no folder, whatever happened inside."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = set(threading.enumerate())
    with suppress(KeyError), Harness() as harness:
        harness.advance(minutes=2)
        raise KeyError
    with pytest.raises(ConfigError):
        Harness(metric=MetricDefinition("", "SUM"))
    gc.collect()
    assert set(threading.enumerate()) <= before
    assert list(tmp_path.iterdir()) == []


def test_sinks_of_other_names_are_others():
    """Two recording sinks in one runner are two when their names differ."""
    assert RecordingSink() == RecordingSink()
    assert RecordingSink() != RecordingSink("other")


def test_a_clock_for_a_request():
    """A request on a simulated clock is late when the clock says so."""
    clock = SimulatedClock()
    request = signals_core.Request("c", timeout=5, clock=clock)
    clock.advance(5)
    with pytest.raises(signals_core.Cancelled):
        request.check()


def test_names():
    """Each name of the kit has one home, and type checkers look there too."""
    homes = {(home, name) for home, names in testing._HOMES.items() for name in names}
    assert sorted(testing.__all__) == sorted(name for _, name in homes) == dir(testing)
    statements = ast.walk(ast.parse(Path(testing.__file__).read_text()))
    seen = {
        (node.module.removeprefix("signals_core.testing."), alias.name)
        for node in statements
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("signals_core.testing.")
        for alias in node.names
    }
    assert seen == homes
    assert all(getattr(testing, name).__doc__ for name in testing.__all__)
