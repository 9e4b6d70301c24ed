"""The engine in code: readings, versions, shared plugins, deliveries, and their failures."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from itertools import pairwise
from threading import Event

import pytest
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from parts.clock import ManualClock
from parts.collectors import Kept, Rows, collector_of, source_of
from signals_core import (
    Cancelled,
    ConfigError,
    DeliveryError,
    Metric,
    MetricDefinition,
    Rejected,
    RetryAfter,
    Runner,
    Unavailable,
    WindowPolicy,
)
from signals_core.errors import RowError
from signals_core.metric import Identity

BOUNDS = {"window_start", "window_end"}


def at(text):
    return datetime.fromisoformat(text)


def windowed(rows=({"value": 1},), **fields):
    source = fields.pop("source", None) or source_of(list(rows))
    source.names = set(BOUNDS)
    given = {"grain": "1d", "timezone": "Europe/Paris", "window": WindowPolicy(), "source": source}
    return collector_of(**given | fields)


def test_invoke(clock):
    """One invocation reads once, and each sink gets all metrics."""
    sinks = {"one": Kept("1"), "two": Kept("2")}
    collector = collector_of([{"a": "x", "value": 1}, {"a": "y", "value": 2}], sinks=sinks)
    with Runner([collector], clock=clock) as runner:
        reading = runner.invoke("core.test")
    assert [metric.value for metric in reading.metrics] == [1, 2]
    assert reading.timestamp == clock.now() and reading.window is None and reading.rows == 2
    for sink in sinks.values():
        assert [Metric.decode(line) for line in sink.lines] == list(reading.metrics)
        assert sink.calls == ["open", "write", "close"]
    assert collector.source.calls == ["open", "read", "close"]


def test_a_runner_does_nothing_by_itself():
    """Making, entering and leaving a runner opens nothing and starts no thread."""
    threads = threading.active_count()
    collector = collector_of(sinks={"kept": Kept()})
    with Runner([collector]):
        assert threading.active_count() == threads
        assert collector.source.calls == [] and collector.sinks["kept"].calls == []


def test_read_delivers_nothing():
    """A reading alone reaches no sink."""
    collector = collector_of([{"value": 1}], sinks={"kept": Kept()})
    with Runner([collector]) as runner:
        assert len(runner.read("core.test").metrics) == 1
    assert collector.sinks["kept"].lines == []


def test_no_metrics_are_no_failure():
    """A reading without metrics is delivered without a call."""
    collector = collector_of([], sinks={"kept": Kept()})
    with Runner([collector]) as runner:
        assert runner.invoke("core.test").warnings
    assert "write" not in collector.sinks["kept"].calls


def test_an_unknown_name():
    """A name that no collector has is a `LookupError` that says so."""
    with (
        Runner([collector_of()]) as runner,
        pytest.raises(LookupError, match="no collector 'nope'"),
    ):
        runner.invoke("nope")


def test_a_closed_runner_opens_again():
    """After a close the next invocation opens what it needs."""
    collector = collector_of([{"value": 1}])
    runner = Runner([collector])
    for _ in range(2):
        runner.invoke("core.test")
        runner.close()
    runner.close()
    assert collector.source.calls == ["open", "read", "close"] * 2 + ["close"]


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=8))
def test_versions_increase(steps):
    """Each version is later than any before it, even when the clock stands or is set back."""
    clock = ManualClock()
    with Runner([collector_of([{"value": 1}])], clock=clock) as runner:
        versions = []
        for step in steps:
            clock.advance(step)
            versions.append(runner.read("core.test").timestamp)
            assert versions[-1] >= clock.now()
    assert all(one < other for one, other in pairwise(versions))


def test_versions_increase_among_threads(clock):
    """Readings at the same instant have versions of their own, from however many threads."""
    collector = collector_of([{"value": 1}], source=source_of([{"value": 1}], max_connections=8))
    with Runner([collector], clock=clock) as runner, ThreadPoolExecutor(8) as pool:
        versions = {reading.timestamp for reading in pool.map(runner.read, ["core.test"] * 100)}
    assert len(versions) == 100
    assert max(versions) == clock.now() + timedelta(microseconds=99)


def test_each_collector_has_versions_of_its_own(clock):
    """What one collector reads does not move the versions of another."""
    pair = [collector_of([{"value": 1}], name=name) for name in "ab"]
    with Runner(pair, clock=clock) as runner:
        assert runner.read("a").timestamp == runner.read("b").timestamp == clock.now()


def test_identity_without_a_grain(clock):
    """Without a grain the bucket is the version, so that every reading is a metric of its own."""
    with Runner([collector_of([{"value": 1}])], clock=clock) as runner:
        for _ in range(2):
            reading = runner.read("core.test")
            (metric,) = reading.metrics
            assert metric.grain_datetime == metric.timestamp == reading.timestamp
            bounds = (reading.timestamp, reading.timestamp)
            assert metric.uuid == Identity("core.test", "core.count", *bounds).of({})


def test_the_bucket_of_a_snapshot(clock):
    """A snapshot belongs to the bucket in which it began by the clock, before its version rose."""
    clock.moment = at("2026-01-01T22:59:59.999999Z")
    collector = collector_of([{"value": 1}], grain="1d", timezone="Europe/Paris")
    with Runner([collector], clock=clock) as runner:
        first, second = runner.read("core.test"), runner.read("core.test")
    assert second.timestamp == at("2026-01-01T23:00:00Z")
    assert first.window == second.window and second.window.end == at("2026-01-01T23:00:00Z")
    (metric,) = second.metrics
    assert metric.window_end is None and metric.grain_datetime == at("2025-12-31T23:00:00Z")
    assert metric.uuid == first.metrics[0].uuid


def test_at_of_a_snapshot(clock):
    """For a snapshot collector a moment picks the bucket, and nothing is delivered."""
    collector = collector_of([{"value": 1}], grain="1h", sinks={"kept": Kept()})
    with Runner([collector], clock=clock) as runner:
        reading = runner.invoke("core.test", at("2025-05-05T05:30Z"))
        assert reading.window.start == at("2025-05-05T05:00Z")
        assert reading.timestamp == clock.now()
        with pytest.raises(ValueError, match="has no time zone"):
            runner.invoke("core.test", datetime(2025, 5, 5))
        assert len(runner.read("core.test").metrics) == 1
    assert collector.sinks["kept"].lines == []
    assert collector.source.requests[0].window is None


def test_at_without_a_grain():
    """Without a grain there is no bucket to pick, and nothing is opened to find out."""
    collector = collector_of([{"value": 1}])
    with Runner([collector]) as runner, pytest.raises(ValueError, match=r"core\.test has no grain"):
        runner.invoke("core.test", at("2026-01-01T00:00Z"))
    assert "open" not in collector.source.calls


@pytest.mark.parametrize(
    ("now", "grace", "end"),
    [
        ("2026-01-02T12:00Z", 60, "2026-01-01T23:00Z"),
        ("2026-01-01T23:01Z", 60, "2026-01-01T23:00Z"),
        ("2026-01-01T23:00:59.999999Z", 60, "2025-12-31T23:00Z"),
        ("2026-01-01T23:00Z", 0, "2026-01-01T23:00Z"),
        ("2026-03-29T22:01Z", 60, "2026-03-29T22:00Z"),
        ("2026-01-03T00:00Z", 86_400, "2026-01-01T23:00Z"),
    ],
)
def test_the_latest_due_window(clock, now, grace, end):
    """A windowed collector reads the last window whose end, and grace, have passed."""
    clock.moment = at(now)
    collector = windowed(
        window=WindowPolicy(grace=timedelta(seconds=grace)), sinks={"kept": Kept()}
    )
    with Runner([collector], clock=clock) as runner:
        reading = runner.invoke("core.test")
    assert reading.window.end == at(end) and collector.source.requests[0].window == reading.window
    (metric,) = map(Metric.decode, collector.sinks["kept"].lines)
    assert (metric.grain_datetime, metric.window_end) == (reading.window.start, reading.window.end)
    assert (metric.grain, metric.timezone) == ("1d", "Europe/Paris")


@define
class Watched(Rows):
    """A source that shows its data up to `seen` only, or fails to say so."""

    seen: object = field(init=False, default=None)

    def watermark(self):
        self.calls.append("watermark")
        if isinstance(self.seen, BaseException):
            raise self.seen
        return self.seen


def test_a_watermark_holds_back(clock):
    """A window is due when both the clock and the source have passed it."""
    source = Watched()
    source.seen = at("2025-12-31T23:00:59Z")
    with Runner([windowed(source=source)], clock=clock) as runner:
        assert runner.read("core.test").window.end == at("2025-12-30T23:00Z")
        source.seen = at("2026-02-01T00:00Z")
        assert runner.read("core.test").window.end == at("2025-12-31T23:00Z")


def test_a_snapshot_asks_for_no_watermark(clock):
    """A snapshot collector reads the present, whatever the watermark."""
    source = Watched()
    with Runner([collector_of(source=source)], clock=clock) as runner:
        runner.read("core.test")
    assert "watermark" not in source.calls


def test_at_of_a_window(clock):
    """A moment picks the window that holds it, if that is due, and it is delivered."""
    collector = windowed(sinks={"kept": Kept()})
    with Runner([collector], clock=clock) as runner:
        reading = runner.invoke("core.test", at("2025-12-24T12:00Z"))
        assert reading.window.start == at("2025-12-23T23:00Z")
        latest = runner.read("core.test")
        assert runner.read("core.test", latest.window.start).window == latest.window
        with pytest.raises(ValueError, match=r"not due before 2026-01-01T23:01:00Z"):
            runner.invoke("core.test", at("2026-01-01T12:00Z"))
    assert len(collector.sinks["kept"].lines) == 1


READ_FAILURES = [
    (Unavailable("down"), True),
    (RetryAfter(5), False),
    (ValueError("bad sql"), False),
    (TimeoutError("slow"), False),
    (Cancelled("stop"), False),
]


@pytest.mark.parametrize(("error", "reopens"), READ_FAILURES, ids=lambda it: type(it).__name__)
def test_after_a_failed_read(error, reopens):
    """After a failed read the source is reopened only if it could not be reached."""
    source = Rows()

    def fails(request):
        raise error

    source.make = fails
    with Runner([collector_of(source=source)]) as runner:
        with pytest.raises(type(error)):
            runner.invoke("core.test")
        source.make = lambda request: [{"value": 1}]
        runner.invoke("core.test")
        assert source.calls == ["open", "read", *(["close", "open"] if reopens else []), "read"]


def test_rows_that_make_no_metrics_break_nothing():
    """Rows that make no metrics are an error of the query, not of the connection."""
    collector = collector_of([{"a": 1}], sinks={"kept": Kept()})
    with Runner([collector]) as runner:
        for _ in range(2):
            with pytest.raises(RowError, match="has no column 'value'"):
                runner.invoke("core.test")
        assert collector.source.calls == ["open", "read", "read"]
    assert "write" not in collector.sinks["kept"].calls


@pytest.mark.parametrize(
    ("error", "reopens"),
    [
        (Unavailable("down"), True),
        (ValueError("odd"), True),
        (KeyError("odd"), True),
        (RetryAfter(5), False),
    ],
    ids=lambda it: type(it).__name__,
)
def test_after_a_failed_watermark(clock, error, reopens):
    """After a failed watermark the source is reopened, unless it only asked to wait."""
    source = Watched()
    source.seen = error
    with Runner([windowed(source=source)], clock=clock) as runner:
        with pytest.raises(type(error)):
            runner.invoke("core.test")
        source.seen = None
        runner.invoke("core.test")
        again = ["close", "open"] if reopens else []
        assert source.calls == ["open", "watermark", *again, "watermark", "read"]


@pytest.mark.parametrize(
    ("error", "reopens"),
    [
        (Unavailable("down"), True),
        (OSError("full"), True),
        (RetryAfter(5), False),
        (Rejected("never"), False),
    ],
    ids=lambda it: type(it).__name__,
)
def test_after_a_failed_write(error, reopens):
    """After a failed write the sink is reopened, unless it answered that it would not take it."""
    sink = Kept()

    def fails(batch):
        raise error

    sink.answer = fails
    with Runner([collector_of([{"value": 1}], sinks={"kept": sink})]) as runner:
        with pytest.raises(DeliveryError):
            runner.invoke("core.test")
        sink.answer = lambda batch: None
        runner.invoke("core.test")
        assert sink.calls == ["open", "write", *(["close", "open"] if reopens else []), "write"]


def test_a_sink_that_fails():
    """When a sink fails the others still get the reading, and the error has all of it."""
    sinks = {name: Kept(name) for name in ("first", "second", "third")}

    def down(batch):
        raise Unavailable("cannot reach a://me:Tr0ub@h")

    def full(batch):
        raise KeyError("full")

    sinks["first"].answer, sinks["third"].answer = down, full
    runner = Runner([collector_of([{"value": 1}], sinks=sinks)])
    with runner, pytest.raises(DeliveryError) as caught:
        runner.invoke("core.test")
    error = caught.value
    assert [metric.value for metric in error.reading.metrics] == [1]
    assert error.delivered == ("second",) and len(sinks["second"].lines) == 1
    assert error.failed == {"first": "cannot reach a://me:***@h", "third": "KeyError: 'full'"}
    assert str(error) == (
        "sink first: cannot reach a://me:***@h; sink third: KeyError: 'full' (delivered to: second)"
    )
    assert isinstance(error.__cause__, Unavailable)


def test_a_sink_that_does_not_open():
    """A sink that cannot be opened is a failed delivery like any other."""

    @define
    class Shut(Kept):
        def open(self):
            raise OSError("no such host")

    runner = Runner([collector_of([{"value": 1}], sinks={"shut": Shut()})])
    with runner, pytest.raises(DeliveryError, match="sink shut: no such host"):
        runner.invoke("core.test")


def test_equal_sources_are_one():
    """Collectors whose connection fields are equal share one source, opened once."""
    sources = [source_of([{"value": 1}], about=about) for about in ("same", "same", "other")]
    collectors = [collector_of(name=f"c{n}", source=source) for n, source in enumerate(sources)]
    with Runner(collectors) as runner:
        for collector in collectors:
            runner.invoke(collector.name)
    assert [source.calls.count("open") for source in sources] == [1, 0, 1]
    assert [source.calls.count("read") for source in sources] == [2, 0, 1]


@pytest.mark.parametrize("limit", [1, 3])
def test_max_connections(limit):
    """From many threads and collectors there are never more reads than `max_connections`."""
    busy, most, full, lock = [], [], Event(), threading.Lock()

    def rows(request):
        with lock:
            busy.append(1)
            most.append(len(busy))
            if len(busy) == limit:
                full.set()
        full.wait(10)
        with lock:
            busy.pop()
        yield {"value": 1}

    collectors = [
        collector_of(name=f"c{n}", source=source_of(rows, max_connections=limit)) for n in range(40)
    ]
    with Runner(collectors) as runner, ThreadPoolExecutor(20) as pool:
        list(pool.map(runner.invoke, [collector.name for collector in collectors]))
    assert max(most) == limit and len(most) == 40


def test_a_sink_is_written_by_one_at_a_time():
    """From many threads a shared sink is never written twice at a time."""
    sink, inside = Kept(), []

    def answer(batch):
        inside.append(1)
        assert len(inside) == 1
        inside.pop()

    sink.answer = answer
    collectors = [
        collector_of(
            [{"value": 1}],
            name=f"c{n}",
            source=source_of([{"value": n}], about=str(n)),
            sinks={"kept": sink},
        )
        for n in range(30)
    ]
    with Runner(collectors) as runner, ThreadPoolExecutor(10) as pool:
        list(pool.map(runner.invoke, [collector.name for collector in collectors]))
    assert sorted(Metric.decode(line).value for line in sink.lines) == list(range(30))


def test_mistakes_are_all_told_at_once():
    """A runner of collectors that cannot be right is not made, and says all that is wrong."""
    collectors = [
        collector_of(name="a", metric=None),
        collector_of(name="a", id="b", max_rows=0),
        collector_of(name="c", id="b"),
        collector_of(name="d", id="a"),
    ]
    with pytest.raises(ConfigError) as caught:
        Runner(collectors)
    assert [str(problem) for problem in caught.value.problems] == [
        "collector 'a': metric: exactly one of metric and metrics is needed",
        "collector 'a': max_rows: must be more than zero",
        "collector 'a': name: there is one of that name already",
        "collector 'c': id: 'b' is the id of another collector",
        "collector 'd': id: 'a' is the id of another collector",
    ]


def test_a_name_that_is_another_ones_id():
    """Names are unique, and so are ids: a name that was given up may be used again."""
    renamed, new = collector_of(name="a.new", id="a"), collector_of(name="a", id="a.v2")
    with Runner([renamed, new]) as runner:
        assert runner["a"] is new


def test_an_invocation_that_is_late(clock):
    """A read that looks at its request ends when its time is over."""

    def rows(request):
        clock.advance(61)
        request.check()
        yield {"value": 1}

    runner = Runner([collector_of(rows)], clock=clock)
    with runner, pytest.raises(Cancelled, match="longer than its timeout of 60 s"):
        runner.invoke("core.test")


def test_several_metrics_reach_the_sinks(clock):
    """A collector with several metrics delivers all of them, row by row."""
    sink = Kept()
    collector = collector_of(
        [{"a": 1, "n": 2, "m": 3}, {"a": 2, "n": None, "m": 4}],
        metric=None,
        metrics=[MetricDefinition("n", "COUNT", "n"), MetricDefinition("m", "SUM", "m")],
        sinks={"kept": sink},
    )
    with Runner([collector], clock=clock) as runner:
        reading = runner.invoke("core.test")
    assert [(m.name, m.value) for m in map(Metric.decode, sink.lines)] == [
        ("n", 2),
        ("m", 3),
        ("m", 4),
    ]
    assert reading.nulls == 1 and "COALESCE" in reading.warnings[0]


def test_check(clock):
    """A check asks each source about its query and each sink once, and collects what is wrong."""

    @define
    class Checked(Rows):
        columns: list[str] | None = None

        def check(self, query):
            self.calls.append("check")
            if query == "bad":
                raise ValueError("bad query")
            return self.columns

    sink = Kept()
    fields = {"sinks": {"kept": sink}, "tags": {"env": "prod"}}
    good = collector_of(name="good", source=Checked(columns=["a", "value"]), **fields)
    wrong = collector_of(name="wrong", source=Checked(columns=["env", "n"]), **fields)
    bad = collector_of(name="bad", source=Checked(columns=["a", "value"]), query="bad", **fields)
    with Runner([good, wrong, bad], clock=clock) as runner:
        found = {check.subject: list(check.mistakes) for check in runner.check()}
    assert found == {
        "collector good": [],
        "collector wrong": [
            "the result has no column 'value' for the metric 'core.count' (it has: env, n)",
            "the column 'env' meets a configured tag of the same name",
        ],
        "collector bad": ["bad query"],
        "sink kept": [],
    }
    assert good.source.calls == ["open", "check", "check", "close"]
    assert "write" not in sink.calls
