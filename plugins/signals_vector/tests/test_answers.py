"""What each answer means for the batch that it answers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parts.metrics import batch_of, metric
from parts.receiver import Receiver
from signals_core import Rejected, RetryAfter, Unavailable
from signals_vector import Http
from signals_vector.answers import pause_of, words_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_2xx_accepts(receiver: Receiver, opened: Callable[..., Http], status: int) -> None:
    """Any 2xx, once it was read in full, accepts the batch."""
    receiver.answer(status, "thanks")
    opened().write(batch_of(metric()))
    assert len(receiver.requests()) == 1


@pytest.mark.parametrize(
    ("status", "reason"),
    [(400, "Bad Request"), (413, "Request Entity Too Large"), (422, "Unprocessable Entity")],
)
def test_a_refusal_of_the_content_is_rejected(
    receiver: Receiver, opened: Callable[..., Http], status: int, reason: str
) -> None:
    """400, 413 and 422 say that this content will never be taken, in the receiver's words."""
    receiver.answer(status, "no such\n  field: \x1b[31mcolour")
    with pytest.raises(Rejected) as caught:
        opened().write(batch_of(metric()))
    words = "no such field: [31mcolour"
    assert str(caught.value) == f"POST {receiver.uri}: {status} {reason}: {words}"
    assert caught.value.indices is None


@pytest.mark.parametrize("status", [401, 403, 404, 405, 408, 409, 410, 415, 429, 500, 502, 503])
def test_everything_else_is_tried_again(
    receiver: Receiver, opened: Callable[..., Http], status: int
) -> None:
    """No other status gives up on the data: one request, one clear line, no retry inside."""
    receiver.answer(status, "not now")
    with pytest.raises(Unavailable) as caught:
        opened().write(batch_of(metric()))
    text = str(caught.value)
    assert text.startswith(f"POST {receiver.uri}: {status} ")
    assert text.endswith(": not now")
    assert "\n" not in text
    assert len(receiver.requests()) == 1


@pytest.mark.parametrize("seconds", [0, 17])
@pytest.mark.parametrize("status", [429, 503])
def test_a_pause_that_the_receiver_asks_for_is_passed_on(
    receiver: Receiver, opened: Callable[..., Http], status: int, seconds: int
) -> None:
    """`Retry-After` in seconds reaches the runner."""
    receiver.answer(status, headers={"Retry-After": str(seconds)})
    with pytest.raises(RetryAfter) as caught:
        opened().write(batch_of(metric()))
    assert caught.value.seconds == seconds
    assert caught.value.reason.startswith(f"POST {receiver.uri}: {status} ")


def test_a_pause_may_end_at_a_date(receiver: Receiver, opened: Callable[..., Http]) -> None:
    """`Retry-After` with a date counts from now."""
    until = datetime.now(UTC) + timedelta(seconds=100)
    receiver.answer(503, headers={"Retry-After": format_datetime(until, usegmt=True)})
    with pytest.raises(RetryAfter) as caught:
        opened().write(batch_of(metric()))
    assert 90 < caught.value.seconds <= 100


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        ("Thu, 01 Jan 2026 00:01:00 GMT", 60),
        ("Thu, 01 Jan 2026 00:01:00 -0000", 60),
        ("Wed, 31 Dec 2025 23:00:00 GMT", 0),
        ("Fri, 01 Jan 2038 00:00:00 GMT", 86_400),
        ("9" * 5000, 86_400),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("²", None),
        ("", None),
        ("Thu, 99 Jan 2026 00:01:00 GMT", None),
    ],
)
def test_a_pause_is_never_longer_than_a_day(text: str, seconds: float | None) -> None:
    """A pause is read as seconds or as a date, and no receiver can stop a delivery for good."""
    assert pause_of(text, NOW) == seconds


@given(st.text())
def test_any_header_is_read_without_an_accident(text: str) -> None:
    """Whatever a receiver writes into `Retry-After` is a pause within a day, or none."""
    pause = pause_of(text, NOW)
    assert pause is None or 0 <= pause <= 86_400


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_says_where_to(
    receiver: Receiver, opened: Callable[..., Http], status: int
) -> None:
    """A redirect is not followed, since a POST may become a GET on the way; it is told."""
    receiver.answer(status, headers={"Location": "/v2/metrics?key=abc"}, reason="Moved")
    with pytest.raises(Unavailable) as caught:
        opened().write(batch_of(metric()))
    assert str(caught.value) == (
        f"POST {receiver.uri}: {status} Moved: a redirect to {receiver.origin}/v2/metrics?***, "
        "which is not followed: put the final address into uri"
    )
    assert len(receiver.requests()) == 1


def test_a_redirect_to_nowhere_is_one_line_too(
    receiver: Receiver, opened: Callable[..., Http]
) -> None:
    """A redirect without an address says so."""
    receiver.answer(300)
    with pytest.raises(Unavailable, match="300 Multiple Choices: a redirect that does not say"):
        opened().write(batch_of(metric()))


def test_a_refused_metric_alone_is_named(receiver: Receiver, opened: Callable[..., Http]) -> None:
    """With an object a request the guilty metrics are named and the rest is sent all the same."""
    receiver.reject("bad")
    batch = batch_of(metric(0), metric(1, name="bad"), metric(2), metric(3, name="bad"), metric(4))
    with pytest.raises(Rejected, match=r"no bad here.*\(and 1 more\)") as caught:
        opened(format="json_object").write(batch)
    assert caught.value.indices == {1, 3}
    assert [each["value"] for each in receiver.metrics()] == [0, 2, 4]


def test_a_receiver_that_refuses_every_metric_names_none(
    receiver: Receiver, opened: Callable[..., Http]
) -> None:
    """Where nothing at all is taken it may be the address, so no metric is called guilty."""
    receiver.answer(400, "wrong door")
    with pytest.raises(Rejected, match="wrong door") as caught:
        opened(format="json_object").write(batch_of(metric(0), metric(1)))
    assert caught.value.indices is None


def test_an_outage_within_a_batch_of_objects_ends_it(
    receiver: Receiver, opened: Callable[..., Http]
) -> None:
    """After a failure nothing more of the batch is sent: all of it comes again."""
    receiver.answer(500, times=1)
    with pytest.raises(Unavailable):
        opened(format="json_object").write(batch_of(metric(0), metric(1)))
    assert len(receiver.requests()) == 1


def test_the_page_of_a_proxy_is_told_in_words() -> None:
    """Markup is left out of what a receiver says, and a long answer is cut."""
    page = b"<html><head><style>p {}</style></head>\r\n<body><h1>413 Too Large</h1></body></html>"
    assert words_of(page) == "413 Too Large"
    assert words_of(b"x" * 300) == "x" * 199 + "…"
    assert words_of(b"a \xff b") == "a \ufffd b"


@given(st.binary(max_size=400))
def test_any_answer_is_one_printable_line(body: bytes) -> None:
    """What a receiver says is never more than one line of 200 characters."""
    words = words_of(body)
    assert words.isprintable()
    assert len(words) <= 200


def test_the_check_sends_no_metric(receiver: Receiver, opened: Callable[..., Http]) -> None:
    """`check()` takes the way of a batch, with the credentials, and holds no metric."""
    receiver.require(basic=("u", "pw"))
    for fmt in ("json_array", "json_lines", "json_object"):
        opened(uri=receiver.uri.replace("//", "//u:pw@"), format=fmt).check()
    requests = receiver.requests()
    assert [(each.method, each.path, each.body) for each in requests] == [
        ("POST", "/metrics", b"[]"),
        ("POST", "/metrics", b""),
        ("POST", "/metrics", b""),
    ]
    assert receiver.metrics() == []
    assert all(each.accepted for each in requests)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_the_check_passes_where_only_emptiness_is_refused(
    receiver: Receiver, opened: Callable[..., Http], status: int
) -> None:
    """A receiver that wants metrics in a request has let the check in."""
    receiver.answer(status)
    opened().check()
    assert len(receiver.requests()) == 1


@pytest.mark.parametrize("status", [301, 401, 403, 404, 405, 500])
def test_the_check_fails_where_a_batch_would(
    receiver: Receiver, opened: Callable[..., Http], status: int
) -> None:
    """`check()` raises what `write()` would."""
    receiver.answer(status, headers={"Location": "/there"})
    with pytest.raises(Unavailable, match=str(status)):
        opened().check()
