"""Batches on their way to a real receiver, and what of them arrives."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parts.metrics import batch_of, metric
from parts.metrics import metrics as any_metrics
from parts.receiver import Receiver
from signals_core import Metric, Secret
from signals_vector import Http, __version__

FORMATS = ("json_array", "json_lines", "json_object")


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("gzip", [False, True])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(metrics=st.lists(any_metrics, min_size=1, max_size=5))
def test_what_is_sent_arrives(
    receiver: Receiver, opened: Callable[..., Http], fmt: str, gzip: bool, metrics: list[Metric]
) -> None:
    """Every metric arrives as it is, in order, in every format, compressed or not."""
    receiver.forget()
    opened(format=fmt, gzip=gzip).write(batch_of(*metrics))
    got = receiver.metrics()
    assert [(each["name"], each["value"], each["tags"], each["collector"]) for each in got] == [
        (each.name, each.value, each.tags, each.collector) for each in metrics
    ]


@pytest.mark.parametrize("fmt", FORMATS)
def test_numbers_arrive_digit_by_digit(
    receiver: Receiver, opened: Callable[..., Http], fmt: str
) -> None:
    """The receiver reads the very digits that the database returned."""
    exact = Decimal("0.10000000000000000000000000000000000000000001")
    opened(format=fmt).write(batch_of(metric(exact)))
    assert receiver.metrics()[0]["value"] == exact


@pytest.mark.parametrize(
    ("fmt", "bodies", "content_type"),
    [
        ("json_array", [b"[%b,%b]"], "application/json"),
        ("json_lines", [b"%b\n%b\n"], "application/x-ndjson"),
        ("json_object", [b"%b", b"%b"], "application/json"),
    ],
)
def test_each_format_is_what_its_name_says(
    receiver: Receiver,
    opened: Callable[..., Http],
    fmt: str,
    bodies: list[bytes],
    content_type: str,
) -> None:
    """A batch is one array on one line, lines, or an object a request, and says so."""
    batch = batch_of(metric(1), metric(2))
    opened(format=fmt).write(batch)
    got = receiver.requests()
    template = b"|".join(bodies)
    assert b"|".join(each.body for each in got) == template % tuple(batch.encoded)
    assert {each.header("Content-Type") for each in got} == {content_type}


def test_a_request_says_who_sends_it(receiver: Receiver, opened: Callable[..., Http]) -> None:
    """The receiver's log leads back to this sink and its version."""
    opened().write(batch_of(metric()))
    request = receiver.requests()[0]
    assert request.header("User-Agent") == f"signals-vector/{__version__}"
    assert (request.method, request.path) == ("POST", "/metrics")


def test_gzip_says_so_and_is_the_same_each_time(
    receiver: Receiver, opened: Callable[..., Http]
) -> None:
    """A batch sent again is the same bytes, so that a receiver may compare bodies."""
    sink = opened(gzip=True)
    sink.write(batch_of(metric()))
    sink.write(batch_of(metric()))
    first, again = receiver.requests()
    assert first.header("Content-Encoding") == "gzip"
    assert first.body == again.body
    assert first.body[4:8] == bytes(4), "the time of compression is in the body"


def test_the_method_is_a_choice(receiver: Receiver, opened: Callable[..., Http]) -> None:
    """`method: PUT` is for receivers that want it."""
    receiver.take("PUT")
    opened(method="PUT").write(batch_of(metric()))
    assert [request.method for request in receiver.requests() if request.accepted] == ["PUT"]


def test_headers_are_sent_and_win(receiver: Receiver, opened: Callable[..., Http]) -> None:
    """A configured header is sent, in place of our own where the name is the same."""
    headers = {"X-Scope": Secret("shop"), "content-type": Secret("application/json; charset=utf-8")}
    opened(headers=headers).write(batch_of(metric()))
    sent = receiver.requests()[0].headers
    assert sent["X-Scope"] == "shop"
    assert [sent[name] for name in sent if name.lower() == "content-type"] == [
        "application/json; charset=utf-8"
    ]


def test_the_query_of_the_address_is_sent(receiver: Receiver, opened: Callable[..., Http]) -> None:
    """Receivers that take options in the address get them; what follows `#` stays here."""
    opened(uri=f"{receiver.uri}?source=shop#here").write(batch_of(metric()))
    assert receiver.requests()[0].path == "/metrics?source=shop"


@pytest.mark.parametrize("status", [200, 204])
@pytest.mark.parametrize("fmt", FORMATS)
def test_one_connection_serves_many_batches(
    receiver: Receiver, opened: Callable[..., Http], fmt: str, status: int
) -> None:
    """The connection is kept from batch to batch, whatever the answers look like."""
    receiver.answer(status)
    sink = opened(format=fmt)
    for value in range(5):
        sink.write(batch_of(metric(value), metric(value + 10)))
    assert {request.connection for request in receiver.requests()} == {1}


def test_a_refused_batch_keeps_the_connection(
    receiver: Receiver, opened: Callable[..., Http]
) -> None:
    """A receiver that is busy or refuses is not burdened with a new connection as well."""
    sink = opened()
    for status in (400, 429, 500, 302):
        receiver.answer(status, "words", times=1)
        with pytest.raises(Exception, match=str(status)):
            sink.write(batch_of(metric()))
    sink.write(batch_of(metric()))
    assert [request.connection for request in receiver.requests()] == [1] * 5


def test_a_connection_that_the_receiver_dropped_is_made_anew(
    receiver: Receiver, opened: Callable[..., Http]
) -> None:
    """A receiver that closes idle connections costs no failure."""
    receiver.fail("drop_idle")
    sink = opened()
    for value in range(3):
        sink.write(batch_of(metric(value)))
        time.sleep(0.05)  # the receiver's FIN follows its answer
    assert [request.connection for request in receiver.requests()] == [1, 2, 3]


def test_a_slow_line_that_moves_is_not_a_dead_one(
    receiver: Receiver, opened: Callable[..., Http]
) -> None:
    """A body that takes longer than `connect_timeout` goes through while its pieces are taken."""
    receiver.fail("slow")
    large = metric(tags={"text": "x" * 8_000_000})
    opened(timeout=timedelta(seconds=20)).write(batch_of(large))
    assert len(receiver.metrics()[0]["tags"]["text"]) == 8_000_000


def test_a_closed_sink_can_be_opened_again(receiver: Receiver, opened: Callable[..., Http]) -> None:
    """`close()` may come twice, and `open()` after it makes a new connection."""
    sink = opened()
    sink.write(batch_of(metric(1)))
    sink.close()
    sink.close()
    sink.open()
    sink.write(batch_of(metric(2)))
    assert [request.connection for request in receiver.requests()] == [1, 2]
