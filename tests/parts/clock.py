"""A clock for tests: time passes when the test says so, or when somebody waits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from threading import Condition

from attrs import define


@define
class ManualClock:
    """Stands still between calls of `advance`; a wait takes the time that it asks for.

    A wait that another thread may end is a real one of a few milliseconds, so that it is ended.
    """

    moment: datetime = datetime(2026, 1, 1, 12, tzinfo=UTC)
    passed: float = 0.0

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.passed

    def advance(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)
        self.passed += seconds

    def wait(self, condition: Condition, seconds: float | None) -> bool:
        self.advance(seconds or 0.0)
        return False
