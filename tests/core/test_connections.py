"""Plugins in use: opened once, shared, never too many calls, reopened when broken."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event, Lock, Thread
from typing import Any

import pytest
from attrs import define, field

from parts.collectors import Kept, Rows
from signals_core import Rejected, RetryAfter, Secret, Source, Unavailable
from signals_core.connections import Connection, Connections, breaks_source

TABLE = [
    # failure of `open`, `watermark` or `write`, and of `read` or `check`: does each reopen?
    (Unavailable("down"), True, True),
    (ValueError("wrong"), True, False),
    (TimeoutError(), True, False),
    (KeyboardInterrupt(), True, False),
    (RetryAfter(1), False, False),
    (Rejected("no"), False, False),
]


def use(connection, error=None, breaks=None):
    with connection.use(breaks) as plugin:
        plugin.calls.append("use")
        if error:
            raise error


def test_opened_before_its_first_use():
    """A plugin is opened by its first use, not before, and stays open."""
    connection = Connection(Rows(), 1)
    assert connection.plugin.calls == []
    use(connection)
    use(connection)
    assert connection.plugin.calls == ["open", "use", "use"]


@pytest.mark.parametrize(
    ("error", "reopens", "reopens_after_read"), TABLE, ids=lambda it: type(it).__name__
)
def test_after_a_failure(error, reopens, reopens_after_read):
    """After a failure that breaks the connection it is closed and opened, else left alone."""
    for breaks, wanted in ((None, reopens), (breaks_source, reopens_after_read)):
        connection = Connection(Rows(), 1)
        with pytest.raises(type(error)):
            use(connection, error, breaks)
        use(connection)
        again = ["close", "open"] if wanted else []
        assert connection.plugin.calls == ["open", "use", *again, "use"]


@define
class Fails(Source):
    """Fails to open, or to close, as often as it has errors."""

    opening: list[Any] = field(init=False, factory=list)
    closing: list[Any] = field(init=False, factory=list)
    calls: list[str] = field(init=False, factory=list)

    def open(self):
        self.calls.append("open")
        if self.opening:
            raise self.opening.pop()

    def close(self):
        self.calls.append("close")
        if self.closing:
            raise self.closing.pop()


@pytest.mark.parametrize(("error", "closes", "_"), TABLE, ids=lambda it: type(it).__name__)
def test_after_a_failed_open(error, closes, _):
    """What did not open is closed, unless it only asked to wait, and opened by the next use."""
    connection = Connection(Fails(), 1)
    connection.plugin.opening.append(error)
    connection.plugin.closing.append(RuntimeError("of no interest"))
    with pytest.raises(type(error)):
        connection.acquire()
    connection.plugin.closing.clear()
    use(connection)
    assert connection.plugin.calls == ["open", *(["close"] if closes else []), "open", "use"]


def test_what_is_broken_may_be_closed_no_better():
    """A close that fails on a broken connection does not keep it from being opened."""
    connection = Connection(Fails(), 1)
    with pytest.raises(Unavailable):
        use(connection, Unavailable("down"))
    connection.plugin.closing.append(OSError("already gone"))
    use(connection)
    assert connection.plugin.calls == ["open", "use", "close", "open", "use"]


def test_closed_and_opened_again():
    """A closed connection is opened by its next use; closing twice, or before, is fine."""
    connection = Connection(Rows(), 1)
    connection.close()
    use(connection)
    connection.close()
    connection.close()
    use(connection)
    assert connection.plugin.calls == ["close", "open", "use", "close", "close", "open", "use"]


@define
class Counting(Source):
    """Counts how many calls there are at once, and tells when it is closed meanwhile."""

    busy: int = field(init=False, default=0)
    most: int = field(init=False, default=0)
    opened: int = field(init=False, default=0)
    lock: Any = field(init=False, factory=Lock)

    def open(self):
        assert not self.busy
        self.opened += 1

    def close(self):
        assert not self.busy

    def __enter__(self):
        with self.lock:
            self.busy += 1
            self.most = max(self.most, self.busy)

    def __exit__(self, *error):
        with self.lock:
            self.busy -= 1


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_never_more_calls_than_the_limit(limit):
    """From however many threads, there are never more calls than may be, and none at a close."""
    connection = Connection(Counting(), limit)
    full = Event()

    def call(number):
        try:
            with connection.use() as plugin, plugin:
                if plugin.busy == limit:
                    full.set()
                full.wait(10)
                if number % 10 == 0:
                    raise Unavailable("now and then")
        except Unavailable:
            pass
        if number % 25 == 0:
            connection.close()

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(call, range(300)))
    assert connection.plugin.most == limit and connection.plugin.opened > 10
    connection.close()


def test_reopening_waits_for_calls():
    """A broken connection is closed and opened only when no call is in flight."""
    connection = Connection(Rows(), 2)
    connection.acquire()
    connection.acquire()
    connection.release(broken=True)
    with ThreadPoolExecutor() as pool:
        reopening = pool.submit(connection.acquire)
        with pytest.raises(TimeoutError):
            reopening.result(0.05)
        assert connection.plugin.calls == ["open"]
        connection.release()
        reopening.result(10)
    assert connection.plugin.calls == ["open", "close", "open"]


def test_a_close_waits_for_calls():
    """A close waits until no call is in flight."""
    connection = Connection(Rows(), 1)
    connection.acquire()
    with ThreadPoolExecutor() as pool:
        closing = pool.submit(connection.close)
        with pytest.raises(TimeoutError):
            closing.result(0.05)
        assert connection.plugin.calls == ["open"]
        connection.release()
        closing.result(10)
    assert connection.plugin.calls == ["open", "close"]


def test_an_abandoned_call():
    """For a call that does not end nobody waits: neither a close nor who comes next."""
    connection = Connection(Rows(), 1)
    connection.acquire()
    ended = Event()
    thread = Thread(target=ended.wait)
    thread.start()
    connection.abandon(thread)
    connection.close()
    assert connection.plugin.calls == ["open"]
    with pytest.raises(Unavailable, match="still busy with a call that does not end"):
        connection.acquire()
    ended.set()
    thread.join()
    connection.release()
    use(connection)
    connection.close()
    assert connection.plugin.calls == ["open", "use", "close"]


def test_equal_plugins_share_a_connection():
    """Plugins of one class with equal fields share one instance, the first of them."""
    connections = Connections()
    first = connections.add(Rows("a"), 1)
    assert connections.add(Rows("a"), 1) is first
    assert connections.add(Rows("b"), 1) is not first
    assert connections.add(Rows("a", max_connections=2), 2) is not first
    assert connections.add(Kept("a"), 1) is not first
    assert len(list(connections)) == 4


@define
class Inner:
    names: list[str]


@define
class Nested(Source):
    a: Any = None


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        ({"a": 1, "b": [1, {"c": 2}]}, {"b": [1, {"c": 2}], "a": 1}, True),
        ({"a": 1}, {"a": 2}, False),
        ([1, 2], [2, 1], False),
        (1, True, False),
        (1, 1.0, False),
        ("1", 1, False),
        (Secret("${A}"), Secret("${A}"), True),
        (Secret("${A}"), Secret("${B}"), False),
        (Inner(["a"]), Inner(["a"]), True),
        (Inner(["a"]), Inner(["b"]), False),
        ({1}, {1}, False),
        (None, None, True),
    ],
)
def test_equal_fields(one, other, shared):
    """Fields are equal when their values and their types are, however deep."""
    connections = Connections()
    assert (connections.add(Nested(one), 1) is connections.add(Nested(other), 1)) == shared


class Undecorated(Source):
    """Holds what its fields do not say."""

    def __init__(self, rows):
        super().__init__()
        self.rows = rows


def test_undecorated_plugins_are_not_shared():
    """Of a class that is not decorated nobody knows whether two are equal."""
    connections = Connections()
    assert connections.add(Undecorated([1]), 1) is not connections.add(Undecorated([2]), 1)


def test_all_are_closed():
    """One plugin that fails to close does not keep the others open."""
    connections = Connections()
    plugins = [Rows("a"), Fails(), Rows("b")]
    for plugin in plugins:
        use(connections.add(plugin, 1))
    plugins[1].closing.append(OSError("no"))
    with pytest.raises(OSError, match="no"):
        connections.close()
    assert all(plugin.calls == ["open", "use", "close"] for plugin in plugins)


class Slow(Rows):
    """Opens when it may."""

    def open(self):
        super().open()
        self.calls.append("inside")
        assert self.may_open.wait(10)
        self.calls.append("opened")


def test_an_open_that_does_not_end():
    """An `open` that was abandoned is waited for by nobody; its end gives the place back."""
    plugin = Slow()
    plugin.may_open = Event()
    connection = Connection(plugin, 2)
    opening = Thread(target=use, args=(connection,))
    opening.start()
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(connection.acquire)
        with pytest.raises(TimeoutError):
            waiting.result(0.05)
        connection.abandon(opening)
        with pytest.raises(Unavailable, match="still busy with a call that does not end"):
            waiting.result(10)
    connection.close()
    assert plugin.calls == ["open", "inside"]
    plugin.may_open.set()
    opening.join(10)
    connection.close()
    assert plugin.calls == ["open", "inside", "opened", "use", "close"]


def test_opened_within_a_watch():
    """What comes of an open that was given up is closed before it is opened anew."""

    @contextmanager
    def given_up():
        yield
        raise KeyError

    connection = Connection(Rows(), 1)
    with pytest.raises(KeyError):
        connection.acquire(given_up)
    use(connection)
    assert connection.plugin.calls == ["open", "close", "open", "use"]


@define
class Guarded(Rows):
    """Needs a password."""

    password: Secret = field(kw_only=True)


def test_a_secret_that_has_changed(tmp_path):
    """A connection is opened anew where a secret is no longer what it was opened with."""
    file = tmp_path / "password"
    file.write_text("old")
    plugin = Guarded(password=Secret(f"${{file:{file}}}"))
    connection = Connection(plugin, 1)
    assert not connection.refresh()
    use(connection)
    assert not connection.refresh()
    file.write_text("new")
    assert connection.refresh()
    use(connection)
    assert not connection.refresh()
    file.unlink()
    assert connection.refresh()
    assert plugin.calls == ["open", "use", "close", "open", "use"]


def test_what_is_not_retained_is_closed():
    """A connection that nobody needs is closed after its calls, unless it is taken back."""
    connections = Connections()
    idle, busy, kept = (connections.add(Rows(name), 1) for name in ("idle", "busy", "kept"))
    for each in (idle, kept):
        use(each)
    plugin = busy.acquire()
    connections.retain([kept])
    assert (idle.plugin.calls[-1], kept.plugin.calls[-1]) == ("close", "use")
    assert plugin.calls == ["open"]
    assert connections.add(Rows("busy"), 1) is busy
    busy.release()
    assert plugin.calls == ["open"]
    assert connections.add(Rows("idle"), 1) is not idle
    plugin = busy.acquire()
    connections.retain([kept])
    busy.release()
    assert plugin.calls == ["open", "close"]
    use(busy)  # a call that comes late still finds it, and it is closed behind it
    assert plugin.calls == ["open", "close", "open", "use", "close"]
