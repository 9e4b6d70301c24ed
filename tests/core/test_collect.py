"""One run: the read in its thread, cancelled when it is late, its place given back."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from threading import Event, active_count, current_thread

import pytest
from attrs import define

from parts.collectors import Rows, collector_of, source_of
from signals_core import Cancelled, Request, Secret, Unavailable, Window
from signals_core.collect import described, read, request_for, supervised
from signals_core.connections import Connection
from signals_core.errors import RowError

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def connection():
    """A connection to a source that may have two reads at once."""
    return Connection(Rows(), 2)


def run(connection, work, request=None, **times):
    connection.acquire()
    return supervised(work, request or Request("a"), connection, **times)


def test_the_outcome(connection):
    """What the work returns is returned, from a thread of its own."""
    assert run(connection, current_thread).name == "signals read a"


@pytest.mark.parametrize(
    "error", [ValueError("no"), TimeoutError("mine"), KeyError("a"), StopIteration(), SystemExit(3)]
)
def test_what_the_work_raises(connection, error):
    """What the work raises is raised as it is, a timeout of its own too."""

    def work():
        raise error

    with pytest.raises(type(error)) as caught:
        run(connection, work)
    assert caught.value is error


@pytest.mark.parametrize(
    ("error", "reopens"), [(Unavailable("down"), True), (ValueError("no"), False)]
)
def test_the_place_is_given_back_first(connection, error, reopens):
    """Whoever comes next finds a broken connection closed and opened, each time."""

    def work():
        raise error

    for _ in range(50):
        connection.plugin.calls.clear()
        with pytest.raises(type(error)):
            run(connection, work)
        connection.plugin.calls.clear()
        assert run(connection, lambda: 1) == 1
        assert connection.plugin.calls == (["close", "open"] if reopens else [])


def test_a_late_read_is_cancelled(connection):
    """A read that is late is cancelled at the source; what it raises then is raised."""
    request, aborted = Request("a", timeout=0.01), Event()

    def work():
        with request.on_cancel(aborted.set):
            aborted.wait(10)
        request.check()

    with pytest.raises(Cancelled, match="longer than its timeout, and was cancelled"):
        run(connection, work, request, grace=0)


def test_a_read_that_ends_late(connection):
    """A read that ends when it is cancelled, with a result, has that result."""
    request, aborted = Request("a", timeout=0.01), Event()

    def work():
        with request.on_cancel(aborted.set):
            return aborted.wait(10)

    assert run(connection, work, request, grace=0) is True


def test_a_read_that_obeys_nobody(connection):
    """A read that does not end is left behind: it keeps its place, and nobody waits for it."""
    end, ended = Event(), Event()

    def work():
        end.wait(10)
        ended.set()

    with pytest.raises(Cancelled, match="does not obey a cancel"):
        run(connection, work, Request("a", timeout=0), grace=0, obey=0.01)
    assert run(connection, lambda: 1) == 1
    connection.close()
    assert connection.plugin.calls == ["open"] and not ended.is_set()
    end.set()
    assert ended.wait(10)


def test_an_interrupted_caller_cancels_the_read(connection):
    """Ctrl-C in the thread that waits cancels the read at the source."""

    class Interrupted(Request):
        """Stands for a person's Ctrl-C while the caller waits."""

        @property
        def timeout(self):
            raise KeyboardInterrupt

    request, aborted = Interrupted("a"), Event()

    def work():
        with request.on_cancel(aborted.set):
            aborted.wait(10)

    with pytest.raises(KeyboardInterrupt):
        run(connection, work, request)
    assert request._cancelled
    connection.close()
    assert connection.plugin.calls == ["open", "close"]


def test_no_thread_is_left(connection):
    """A read leaves no thread behind."""
    before = active_count()
    for _ in range(20):
        run(connection, lambda: 1)
    connection.close()
    assert active_count() <= before + 1


@pytest.mark.parametrize("rows", [[{"value": 1}], [{"value": "no"}]])
def test_the_rows_are_closed(rows):
    """The source's iterator is closed whatever comes of its rows."""
    closed = []

    def make(request):
        try:
            yield from rows
            yield {"a": 1, "value": 1}
        finally:
            closed.append(request)

    collector, request = collector_of(make), Request("a")
    with suppress(RowError):
        read(collector, collector.source, request, MOMENT, None)
    assert closed == [request]


def test_rows_that_are_no_iterator():
    """A source may return a list of rows just as well."""

    @define
    class Listing(Rows):
        def read(self, request):
            return [{"value": 3}]

    reading = read(collector_of(), Listing(), Request("a"), MOMENT, None)
    assert [metric.value for metric in reading.metrics] == [3]


def test_a_cancelled_read_is_over_with_the_next_run_of_rows():
    """A source that does not look at its request is stopped between its rows."""
    request = Request("a")

    def make(request):
        for number in range(10**6):
            if number == 600:
                request.cancel("enough")
            yield {"a": number, "value": 1}

    collector = collector_of(make, max_rows=10**6)
    with pytest.raises(Cancelled, match="enough"):
        read(collector, collector.source, request, MOMENT, None)


def test_what_a_source_is_asked_for(clock):
    """A request has the collector's name, query and time, and an origin that leads back."""
    window = Window(MOMENT, MOMENT)
    collector = collector_of(query={"a": 1}, timeout=timedelta(seconds=7), name="a.b", id="c")
    request = request_for(collector, window, clock)
    assert (request.collector, request.query, request.window) == ("a.b", {"a": 1}, window)
    assert request.timeout == 7
    signals, run_id, name = request.origin.split()
    assert (signals, name) == ("signals", "a.b") and len(run_id) == 8
    assert request_for(collector, window, clock).origin != request.origin


def test_a_query_as_people_read_it():
    """A query is shown with its bounds, and masked."""

    @define
    class Query:
        sql: str
        token: Secret

    shown = described(
        Query("SELECT 1\n  FROM a", Secret("shown-to-nobody")), Window(MOMENT, MOMENT)
    )
    assert "sql:\n  SELECT 1\n    FROM a" in shown and "shown-to-nobody" not in shown
    assert "window_start = 2026-01-01T00:00:00Z" in shown
    assert "window_end_local = 2026-01-01T00:00:00\n" in f"{shown}\n"
    assert described(None, None) == ""


def test_sources_made_for_tests():
    """The test's own source keeps what it is asked for."""
    source = source_of([{"value": 1}])
    request = Request("a")
    assert list(source.read(request)) == [{"value": 1}] and source.requests == [request]
