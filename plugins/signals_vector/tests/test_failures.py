"""A receiver that is not there, or goes away: one clear line each, and nothing is lost."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from parts.metrics import batch_of, metric
from parts.receiver import Receiver
from signals_core import Rejected, Unavailable
from signals_vector import Http


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("silent", "no answer within 0.3 s"),
        ("half", "the answer broke off"),
        ("half_chunk", "the answer broke off"),
        ("drip", "the answer did not end within 0.3 s"),
        ("hang_up", "the connection was closed without an answer"),
        ("reset", "the connection was reset"),
        ("garbage", "the answer is not HTTP"),
    ],
)
@pytest.mark.parametrize("gzip", [False, True])
def test_half_an_answer_is_none(
    receiver: Receiver, opened: Callable[..., Http], how: str, words: str, gzip: bool
) -> None:
    """Whatever is not a whole answer counts as not accepted, is asked once, and is over soon."""
    receiver.fail(how)
    sink = opened(gzip=gzip)
    with pytest.raises(Unavailable) as caught:
        sink.write(batch_of(metric()))
    assert str(caught.value) == f"POST {receiver.uri}: {words}"
    assert len(receiver.requests()) == 1


@pytest.mark.parametrize("how", ["silent", "half", "half_chunk", "drip", "hang_up", "reset"])
def test_the_sink_recovers_without_being_reopened(
    receiver: Receiver, opened: Callable[..., Http], how: str
) -> None:
    """After a failure the next batch goes out on a connection of its own."""
    receiver.fail(how)
    sink = opened()
    with pytest.raises(Unavailable):
        sink.write(batch_of(metric(1)))
    receiver.behave()
    sink.write(batch_of(metric(2)))
    assert [each["value"] for each in receiver.metrics()] == [2]


def test_a_receiver_that_refuses_before_it_has_read_is_heard(
    receiver: Receiver, opened: Callable[..., Http]
) -> None:
    """413 before the body was read means refused, though the connection is reset."""
    receiver.fail("early_413")
    with pytest.raises(Rejected, match="413 Request Entity Too Large"):
        opened().write(batch_of(metric(tags={"text": "x" * 1000})))


def test_a_receiver_that_is_down_is_one_line(
    receiver: Receiver, opened: Callable[..., Http]
) -> None:
    """Nobody listening, and a receiver that ended between two batches, read alike."""
    sink = opened()
    sink.write(batch_of(metric()))
    receiver.stop()
    for _ in range(2):
        with pytest.raises(Unavailable) as caught:
            sink.write(batch_of(metric()))
    assert str(caught.value) == f"POST {receiver.uri}: connection refused"


def test_an_unknown_host_is_one_line(opened: Callable[..., Http]) -> None:
    """A name that nobody knows is said to be unknown."""
    with pytest.raises(Unavailable) as caught:
        opened(uri="http://receiver.invalid/metrics").write(batch_of(metric()))
    assert str(caught.value) == "POST http://receiver.invalid/metrics: the host name is unknown"


@pytest.fixture
def deaf() -> Iterator[int]:
    """The port of a listener whose queue is full, so that nobody can connect any more."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = []
        for _ in range(4):
            waiting.append(socket.socket())
            waiting[-1].setblocking(False)
            waiting[-1].connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
        for each in waiting:
            each.close()


def test_a_host_that_does_not_take_connections_is_given_up(
    opened: Callable[..., Http], deaf: int
) -> None:
    """`connect_timeout` bounds the wait for a connection."""
    sink = opened(uri=f"http://127.0.0.1:{deaf}/x", timeout=timedelta(seconds=20))
    with pytest.raises(Unavailable, match=r"no connection within 0\.3 s$"):
        sink.write(batch_of(metric()))


@pytest.fixture
def stuffed() -> Iterator[int]:
    """The port of a server that takes connections and never reads."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        taken = []
        thread = threading.Thread(target=lambda: taken.append(server.accept()))
        thread.start()
        yield server.getsockname()[1]
        thread.join()
        for connection, _ in taken:
            connection.close()


def test_a_receiver_that_reads_nothing_is_given_up(
    opened: Callable[..., Http], stuffed: int
) -> None:
    """A body that nobody takes does not hold the sink for ever."""
    sink = opened(uri=f"http://127.0.0.1:{stuffed}/x", timeout=timedelta(seconds=20))
    with pytest.raises(Unavailable, match=r"nothing more could be sent for 0\.3 s$"):
        sink.write(batch_of(metric(tags={"text": "x" * 12_000_000})))


def test_a_sink_that_is_not_open_says_so(receiver: Receiver) -> None:
    """`write()` before `open()` is a plain error, not an accident."""
    with pytest.raises(Unavailable, match="the sink is not open"):
        Http(receiver.uri).write(batch_of(metric()))
