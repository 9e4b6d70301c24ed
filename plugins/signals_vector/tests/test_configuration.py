"""What `signals config validate` says about the fields of `http`, without a network."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from signals_core import Secret
from signals_vector import Http

URI = "http://127.0.0.1:9999/metrics"


def test_an_address_is_all_it_needs() -> None:
    """Everything but `uri` has a default, and batches go out by POST as arrays."""
    sink = Http(URI)
    assert (sink.method, sink.format, sink.gzip) == ("POST", "json_array", False)
    assert (sink.batch_metrics, sink.batch_bytes) == (1000, 1_000_000)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("127.0.0.1:9999/metrics", "uri must begin with http:// or https://"),
        ("ftp://host/", "uri must begin with http:// or https://"),
        ("http:/host", "uri names no host (percent-encode / # ? and @ in a password)"),
        ("http://", "uri names no host (percent-encode / # ? and @ in a password)"),
        ("http://u:p/w@host/x", "uri names no host (percent-encode / # ? and @ in a password)"),
        ("http://host:99999/", "uri names no host (percent-encode / # ? and @ in a password)"),
        ("http://[::1/", "uri names no host (percent-encode / # ? and @ in a password)"),
        ("http://host/a b", "uri holds a space or a line break (write it as %20)"),
        ("http://host/\nx", "uri holds a space or a line break (write it as %20)"),
        ("", "uri must begin with http:// or https://"),
    ],
)
def test_what_is_no_address_is_refused(uri: str, message: str) -> None:
    """An address that no request could be sent to is a mistake, and is not repeated."""
    with pytest.raises(ValueError) as caught:
        Http(uri)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"token": Secret("t"), "username": "u"},
            "token and username contradict each other (keep one)",
        ),
        (
            {"uri": "http://u:p@host/", "token": Secret("t")},
            "token and a user in uri contradict each other (keep one)",
        ),
        (
            {"headers": {"AUTHORIZATION": Secret("x")}, "username": "u"},
            "username and an Authorization header contradict each other (keep one)",
        ),
        ({"password": Secret("p")}, "password needs username beside it"),
        (
            {"username": "a:b"},
            "username holds a colon, which ends a user's name in basic credentials",
        ),
        ({"client_key": Path("/k")}, "client_key needs client_cert beside it"),
        ({"headers": {"X": Secret("a\nb")}}, "headers: X holds a line break"),
        (
            {"headers": {"X": Secret("é")}},
            "headers: X holds a character that cannot stand in a header",
        ),
        ({"headers": {"X Y": Secret("a")}}, "headers: 'X Y' is no name of a header"),
        ({"headers": {"X\r\nY": Secret("a")}}, r"headers: 'X\r\nY' is no name of a header"),
        (
            {"headers": {"content-LENGTH": Secret("1")}},
            "headers: content-LENGTH is set by the sink itself",
        ),
        ({"token": Secret("a\n")}, "token holds a line break"),
        ({"timeout": timedelta()}, "timeout must be longer than zero"),
        ({"connect_timeout": timedelta(seconds=-1)}, "connect_timeout must be longer than zero"),
    ],
)
def test_a_contradiction_is_refused(fields: dict[str, Any], message: str) -> None:
    """Fields that cannot be right together, or alone, are one clear line before anything runs."""
    with pytest.raises(ValueError) as caught:
        Http(**{"uri": URI} | fields)
    assert str(caught.value) == message


def test_a_secret_that_is_not_there_is_no_contradiction() -> None:
    """A variable that is only set where the sink runs does not stop it from being validated."""
    assert Http(URI, token=Secret("${SIGNALS_TEST_NOT_SET}"))


def test_importing_the_plugin_imports_no_http_library() -> None:
    """Discovery and validation stay quick: urllib3 and ssl come with the first `open()`."""
    program = (
        "import sys; import signals_vector; signals_vector.Http('http://127.0.0.1:1/'); "
        "print([name for name in ('urllib3', 'ssl') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.decode().strip() == "[]"
