"""The plugin API: what a class starts with, and how a read learns that it is to stop."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest
from attrs import define

from signals_core import Cancelled, Plugin, Request, Schedule, Sink, Source, Window
from signals_core.plugin import Hooks


@define
class Uri(Source):
    uri: str


def test_what_a_source_starts_with():
    """A source has no query, no window, no watermark, one connection, and opens by itself."""
    source = Uri("x")
    assert source.Query is None and source.max_connections == 1
    assert source.parameters(None) == set() and source.check(None) is None
    assert source.watermark() is None
    assert source.open() is None and source.close() is None


def test_fields_of_the_base_are_keyword_only():
    """A plugin may have mandatory fields in spite of the defaults of its base."""
    assert Uri("x", max_connections=3).max_connections == 3
    with pytest.raises(TypeError):
        Uri("x", 3)


def test_what_a_sink_starts_with():
    """A sink has bounds for its batches, and checks by itself."""
    assert (Sink().batch_metrics, Sink().batch_bytes) == (1000, 1_000_000)
    assert Sink().check() is None


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: Source().read(Request("a")), "Source does not define read"),
        (lambda: Sink().write(()), "Sink does not define write"),
        (lambda: Schedule().next_after(datetime.min), "Schedule does not define next_after"),
    ],
)
def test_what_a_plugin_must_define(call, name):
    """What a class has to define itself says so when it did not."""
    with pytest.raises(NotImplementedError, match=name):
        call()


def test_hooks_take_register():
    """The hooks are those of the contract."""
    assert [name for name in vars(Hooks) if name.startswith("signals")] == [
        "signals_register_sources",
        "signals_register_sinks",
        "signals_register_schedules",
    ]
    assert issubclass(Source, Plugin)


def test_what_a_request_holds(clock):
    """A request says for whom, what, which window, how long, and by whom."""
    window = Window(datetime(2026, 1, 1), datetime(2026, 1, 2))
    request = Request("a.b", {"sql": "x"}, window, timeout=5, origin="signals 1 a.b", clock=clock)
    assert (request.collector, request.query, request.window) == ("a.b", {"sql": "x"}, window)
    assert (request.timeout, request.origin) == (5, "signals 1 a.b")
    assert Request("a.b").timeout > 59 and Request("a.b").window is None


def test_the_time_that_is_left(clock):
    """The timeout is what is left, and never less than nothing."""
    request = Request("a", timeout=5, clock=clock)
    clock.advance(2)
    assert request.timeout == 3
    clock.advance(9)
    assert request.timeout == 0


def test_check(clock):
    """A check passes until the time is over, and says how much there was."""
    request = Request("a", timeout=5, clock=clock)
    clock.advance(4.999)
    request.check()
    clock.advance(0.001)
    with pytest.raises(Cancelled, match="longer than its timeout of 5 s"):
        request.check()


def test_cancel(clock):
    """A cancelled request says why at every check; the first reason stays."""
    request = Request("a", clock=clock)
    request.cancel("a reason")
    request.cancel("another")
    for _ in range(2):
        with pytest.raises(Cancelled, match=r"^a reason$"):
            request.check()
    stopped = Request("b", clock=clock)
    stopped.cancel()
    with pytest.raises(Cancelled, match="told to stop"):
        stopped.check()


def test_wait(clock):
    """A wait takes its time and no more."""
    request = Request("a", timeout=60, clock=clock)
    request.wait(7)
    assert clock.passed == 7
    request.wait(0)
    request.wait(-1)
    assert clock.passed == 7


def test_wait_beyond_the_timeout(clock):
    """A wait that is longer than what is left ends with it."""
    request = Request("a", timeout=5, clock=clock)
    with pytest.raises(Cancelled, match="timeout of 5 s"):
        request.wait(3600)
    assert clock.passed == 5


def test_wait_after_a_cancel(clock):
    """A request that was cancelled waits for nothing."""
    request = Request("a", clock=clock)
    request.cancel()
    for seconds in (0, 10):
        with pytest.raises(Cancelled):
            request.wait(seconds)
    assert clock.passed == 0


@pytest.fixture
def pool():
    """Threads besides that of the test."""
    with ThreadPoolExecutor() as pool:
        yield pool


def test_a_wait_is_woken_by_a_cancel(pool):
    """Another thread's cancel ends a wait at once."""
    request = Request("a", timeout=60)
    waiting = pool.submit(request.wait, 60)
    request.cancel("enough")
    assert str(waiting.exception(10)) == "enough"


def test_on_cancel_aborts_from_another_thread(pool):
    """While a read is inside, a cancel in another thread calls what aborts it."""
    request, inside, aborted = Request("a"), threading.Event(), threading.Event()
    callers = []

    def abort():
        callers.append(threading.current_thread())
        aborted.set()

    def read():
        with request.on_cancel(abort):
            inside.set()
            aborted.wait(10)
        request.check()

    reading = pool.submit(read)
    assert inside.wait(10)
    request.cancel("enough")
    assert str(reading.exception(10)) == "enough"
    assert callers == [threading.current_thread()]


def test_on_cancel_is_over_when_it_is_left():
    """What aborts a read is not called once the read has left."""
    request, calls = Request("a"), []
    with request.on_cancel(lambda: calls.append(1)):
        pass
    with pytest.raises(ZeroDivisionError), request.on_cancel(lambda: calls.append(2)):
        _ = 1 / 0
    request.cancel()
    assert not calls


def test_leaving_waits_for_an_abort(pool):
    """A read leaves only when its abort is over, so that it never meets the next one."""
    request, inside, aborting, left = Request("a"), *(threading.Event() for _ in range(3))
    early = []

    def abort():
        aborting.set()
        early.append(left.wait(0.1))

    def read():
        with request.on_cancel(abort):
            inside.set()
            aborting.wait(10)
        left.set()

    reading = pool.submit(read)
    assert inside.wait(10)
    request.cancel()
    reading.result(10)
    assert early == [False]


def test_on_cancel_nests():
    """Everything that is inside is aborted, even when one abort fails."""
    request, calls = Request("a"), []
    with (
        request.on_cancel(lambda: calls.append(1)),
        request.on_cancel(lambda: 1 / 0),
        request.on_cancel(lambda: calls.append(3)),
    ):
        request.cancel()
    assert calls == [1, 3]


def test_on_cancel_after_a_cancel(clock):
    """A read that was cancelled, or is late, does not begin what would have to be aborted."""
    cancelled, late = Request("a", clock=clock), Request("b", timeout=1, clock=clock)
    cancelled.cancel()
    clock.advance(1)
    for request in (cancelled, late):
        with pytest.raises(Cancelled), request.on_cancel(lambda: None):
            pytest.fail("it began")


def test_an_abort_may_cancel():
    """What aborts may look at the request, and cancel it again."""
    request = Request("a")
    with request.on_cancel(lambda: request._cancelled and request.timeout):
        request.cancel()
    with pytest.raises(Cancelled):
        request.check()
