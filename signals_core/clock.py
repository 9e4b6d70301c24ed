"""The clock that the runner and its requests are given."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from threading import Condition
from typing import Protocol


class Clock(Protocol):
    """What a runner asks of time; pass one of your own to embed signals in a test."""

    def now(self) -> datetime:
        """Return the present instant, aware, in UTC."""

    def monotonic(self) -> float:
        """Return seconds that never run backwards."""

    def wait(self, condition: Condition, seconds: float | None) -> bool:
        """Wait on `condition`, which the caller holds; False when `seconds` passed first."""


class SystemClock:
    """The clock of the machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def wait(self, condition: Condition, seconds: float | None) -> bool:
        return condition.wait(seconds)
