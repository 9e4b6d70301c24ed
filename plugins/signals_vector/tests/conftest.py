"""What the tests of the sink share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from parts.receiver import Receiver
from signals_vector import Http


@pytest.fixture
def opened(receiver: Receiver) -> Iterator[Callable[..., Http]]:
    """Open sinks on the receiver, impatient ones, and close them after the test."""
    sinks = []

    def open_one(**fields: Any) -> Http:
        short = timedelta(seconds=0.3)
        fields = {"uri": receiver.uri, "timeout": short, "connect_timeout": short} | fields
        sink = Http(**fields)
        sinks.append(sink)
        sink.open()
        return sink

    yield open_one
    for sink in sinks:
        sink.close()
