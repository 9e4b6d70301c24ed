"""Credentials are presented to the receiver and shown to nobody else."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from parts.metrics import batch_of, metric
from parts.receiver import Receiver
from signals_core import Secret
from signals_vector import Http


def test_basic_credentials_are_presented(receiver: Receiver, opened: Callable[..., Http]) -> None:
    """A user and a password, whatever their letters, are what the receiver sees."""
    receiver.require(basic=("sïgnals", "p:ä ß/"))
    opened(username="sïgnals", password=Secret("p:ä ß/")).write(batch_of(metric()))
    assert len(receiver.metrics()) == 1


def test_a_user_in_the_address_becomes_credentials(
    receiver: Receiver, opened: Callable[..., Http]
) -> None:
    """What stands before `@` is presented as it was meant and is not part of the request."""
    receiver.require(basic=("user", "p/w@"))
    opened(uri=receiver.uri.replace("//", "//user:p%2Fw%40@")).write(batch_of(metric()))
    request = receiver.requests()[0]
    assert request.path == "/metrics"
    assert request.header("Host") == f"127.0.0.1:{receiver.port}"


def test_a_user_without_password_is_presented(
    receiver: Receiver, opened: Callable[..., Http]
) -> None:
    """A key given as the user's name needs no password."""
    receiver.require(basic=("key", ""))
    opened(username="key").write(batch_of(metric()))
    opened(uri=receiver.uri.replace("//", "//key@")).write(batch_of(metric()))
    assert len(receiver.metrics()) == 2


def test_a_token_is_presented(receiver: Receiver, opened: Callable[..., Http]) -> None:
    """A bearer token is what the receiver sees."""
    receiver.require(bearer="t0ken")
    opened(token=Secret("t0ken")).write(batch_of(metric()))
    assert len(receiver.metrics()) == 1


def test_a_rotated_token_is_taken_up(
    receiver: Receiver, opened: Callable[..., Http], tmp_path: Path
) -> None:
    """A token file that changes counts from the next request on, without reopening the sink."""
    file = tmp_path / "token"
    file.write_text("first\n")
    sink = opened(token=Secret(f"${{file:{file}}}"))
    for token in ("first", "second"):
        file.write_text(f"{token}\n")
        receiver.require(bearer=token)
        sink.write(batch_of(metric()))
    assert {request.connection for request in receiver.requests() if request.accepted} == {1}


def test_a_secret_that_is_gone_is_one_line(
    receiver: Receiver, opened: Callable[..., Http], tmp_path: Path
) -> None:
    """A token file that is missing, or turns out to be no token, is named and nothing is sent."""
    file = tmp_path / "token"
    sink = opened(token=Secret(f"${{file:{file}}}"))
    with pytest.raises(Exception, match=f"POST {receiver.uri}: the file {file} cannot be read"):
        sink.write(batch_of(metric()))
    file.write_text("line\nbreak")
    with pytest.raises(Exception, match=f"POST {receiver.uri}: token holds a line break$"):
        sink.write(batch_of(metric()))
    assert receiver.requests() == []


SECRET = "s3cr3t-öf-mine"
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "password": {"username": "u", "password": Secret(SECRET)},
    "token": {"token": Secret("s3cr3t-of-mine")},
    "header": {"headers": {"X-Key": Secret("s3cr3t-of-mine")}},
    "uri": {"uri": "http://u:s3cr3t-of-mine@127.0.0.1:{port}/metrics"},
    "query": {"uri": "http://127.0.0.1:{port}/metrics?key=s3cr3t-of-mine"},
}


@pytest.mark.parametrize("kind", CONFIGURATIONS)
@pytest.mark.parametrize("status", [302, 400, 401, 503])
def test_no_message_shows_a_secret(
    receiver: Receiver, opened: Callable[..., Http], kind: str, status: int
) -> None:
    """Not even a receiver that repeats our own credentials gets them into a message."""
    fields = dict(CONFIGURATIONS[kind])
    if "uri" in fields:
        fields["uri"] = fields["uri"].format(port=receiver.port)
    sink = opened(**fields)
    receiver.answer(200, times=1)
    sink.write(batch_of(metric()))
    presented = receiver.requests()[0].header("Authorization") or "none"
    said = f"who is s3cr3t-of-mine or {SECRET} or {presented}?" if kind != "query" else "no"
    receiver.answer(status, said, {"Location": f"{sink.uri}", "Retry-After": "3"})
    with pytest.raises(Exception, match=str(status)) as caught:
        sink.write(batch_of(metric()))
    shown = "".join(traceback.format_exception(caught.value))
    presented_secret = presented.split()[-1]
    own = SECRET if kind == "password" else "s3cr3t-of-mine"
    assert own not in str(caught.value)
    assert own not in shown
    assert presented_secret == "none" or presented_secret not in shown


@pytest.mark.parametrize("kind", CONFIGURATIONS)
@pytest.mark.parametrize("how", ["half", "hang_up", "silent"])
def test_no_failure_shows_a_secret(
    receiver: Receiver, opened: Callable[..., Http], kind: str, how: str
) -> None:
    """The traceback of a failed request, the driver's part included, holds no secret."""
    fields = dict(CONFIGURATIONS[kind])
    if "uri" in fields:
        fields["uri"] = fields["uri"].format(port=receiver.port)
    receiver.fail(how)
    with pytest.raises(Exception) as caught:
        opened(**fields).write(batch_of(metric()))
    assert "s3cr3t" not in str(caught.value)
    assert "s3cr3t" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("kind", CONFIGURATIONS)
def test_no_representation_shows_a_secret(kind: str) -> None:
    """A sink can be printed."""
    fields = {"uri": "http://127.0.0.1:{port}/metrics"} | CONFIGURATIONS[kind]
    fields["uri"] = fields["uri"].format(port=9)
    shown = repr(Http(**fields))
    assert "s3cr3t" not in shown
    assert "127.0.0.1:9/metrics" in shown
