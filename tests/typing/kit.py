"""An author's tests on the conformance kit: checked by mypy --strict, never run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path

import pytest
from attrs import define

from signals_core import Batch, Metric, Request, Row, Schedule, Secret, Sink, Source, Window
from signals_core.testing import PROMISES, Promise, ScheduleSuite, SinkSuite, SourceSuite, metric


@define
class Tickets(Source):
    """Tickets of a help desk, page by page."""

    uri: str
    token: Secret

    @define
    class Query:
        """What to count."""

        by: str

    def read(self, request: Request) -> Iterator[Row]:
        """Each page is a snapshot of its own."""
        yield {"value": 1}


@define
class Shelf(Sink):
    """A file."""

    path: Path

    def write(self, batch: Batch) -> None:
        """Forget it."""


class TestTickets(SourceSuite):
    """All of it given: as values, as fixtures, as methods."""

    type = "tickets"
    query = Tickets.Query(by="state")
    window = Window(datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 2, 2, tzinfo=UTC))
    patience = 5
    left_out = {"snapshot": "each page is a snapshot of its own"}

    @pytest.fixture
    def source(self, tmp_path: Path) -> Tickets:
        """The source under test."""
        return Tickets("http://127.0.0.1", Secret("s3cret"))

    @property
    def unreachable(self) -> Tickets:
        """Lead nowhere."""
        return Tickets("http://127.0.0.1:1", Secret("s3cret"))

    def down(self) -> AbstractContextManager[None]:
        """Be down for a while."""
        return nullcontext()


class TestShelf(SinkSuite):
    """A sink."""

    type = "shelf"
    sink = Shelf(Path("shelf"))
    poison = metric(name="poison", value=None)
    numbers = (1, 2.5)

    @pytest.fixture
    def received(self) -> Callable[[], list[Metric]]:
        """What the receiver holds."""
        return list


class TestNever(ScheduleSuite):
    """A schedule."""

    type = "never"
    schedule = Schedule()


PROMISED: tuple[Promise, ...] = PROMISES["source"]
