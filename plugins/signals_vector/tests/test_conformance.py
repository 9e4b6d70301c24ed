"""The sink keeps the promises of the plugin API, on a receiver in a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from parts.receiver import Receiver
from signals_core import Metric, Secret
from signals_core.testing import SinkSuite, metric
from signals_vector import Http

SOON = timedelta(seconds=5)


class TestHttp(SinkSuite):
    """The sink `http`, with a batch as one JSON array."""

    type = "http"
    format = "json_array"
    poison = metric(name="kit.poison")

    @pytest.fixture
    def sink(self, receiver: Receiver) -> Http:
        """A sink on the receiver."""
        receiver.reject("kit.poison")
        return self.made(receiver.uri)

    def made(self, uri: str) -> Http:
        return Http(
            uri,
            format=self.format,
            token=Secret("never-shown"),
            timeout=SOON,
            connect_timeout=SOON,
        )

    @pytest.fixture
    def received(self, receiver: Receiver) -> Callable[[], list[Metric]]:
        """What the receiver has accepted."""
        return lambda: [
            Metric.decode(line)
            for request in receiver.requests()
            if request.accepted
            for line in lines_of(request.body)
        ]

    @pytest.fixture
    def busy(self, receiver: Receiver) -> Callable[[], Any]:
        """Have the receiver ask for a pause."""

        @contextmanager
        def busy():
            receiver.answer(429, headers={"Retry-After": "7"})
            yield
            receiver.behave()

        return busy

    @pytest.fixture
    def down(self, receiver: Receiver) -> Callable[[], Any]:
        """Have the receiver hang up for a while."""

        @contextmanager
        def down():
            receiver.fail("hang_up")
            yield
            receiver.behave()

        return down

    @pytest.fixture
    def unreachable(self) -> Http:
        """A sink on a port where nobody listens."""
        return self.made("http://127.0.0.1:1/metrics")


class TestHttpObjects(TestHttp):
    """The sink `http`, with a metric a request."""

    format = "json_object"


def lines_of(body: bytes) -> list[bytes]:
    """Take a body apart as it was put together, so that numbers keep their digits."""
    if body.startswith(b"["):
        body = body[1:-1].replace(b'},{"uuid"', b'}\n{"uuid"')
    return [line for line in body.split(b"\n") if line]
