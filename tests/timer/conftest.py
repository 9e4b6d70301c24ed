"""A timer on a clock that a test moves, and a log of what it fired."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from signals_core.testing import SimulatedClock
from signals_core.timer import Timer


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock()


@pytest.fixture
def timer(clock: SimulatedClock) -> Iterator[Timer]:
    """Return a timer that runs."""
    timer = Timer(clock)
    timer.start()
    yield timer
    timer.stop()
