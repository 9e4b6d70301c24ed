"""Plugins and collectors for tests that need no server."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from attrs import define, field

from signals_core import Batch, Collector, MetricDefinition, Request, Row, Sink, Source


@define
class Rows(Source):
    """Yields the rows that `make` returns for a request, and keeps a record of its calls.

    `about` is there to make sources equal or different.
    """

    about: str = ""
    make: Callable[[Request], Iterable[Row]] = field(
        init=False, default=lambda request: [{"value": 1}]
    )
    names: set[str] = field(init=False, factory=set)
    calls: list[str] = field(init=False, factory=list)
    requests: list[Request] = field(init=False, factory=list)

    def open(self):
        self.calls.append("open")

    def close(self):
        self.calls.append("close")

    def parameters(self, query):
        return self.names

    def read(self, request):
        self.calls.append("read")
        self.requests.append(request)
        yield from self.make(request)


@define
class Kept(Sink):
    """Keeps the batches that it is given, after `answer` had a look at each."""

    about: str = ""
    answer: Callable[[Batch], object] = field(init=False, default=lambda batch: None)
    calls: list[str] = field(init=False, factory=list)
    batches: list[Batch] = field(init=False, factory=list)

    def open(self):
        self.calls.append("open")

    def close(self):
        self.calls.append("close")

    def write(self, batch):
        self.calls.append("write")
        self.answer(batch)
        self.batches.append(batch)

    @property
    def lines(self) -> list[bytes]:
        return [line for batch in self.batches for line in batch.encoded]


def source_of(make: Callable[[Request], Iterable[Row]] | list[Row], **fields: Any) -> Rows:
    """Make a source of rows, or of what is called for them."""
    source = Rows(**fields)
    source.make = make if callable(make) else lambda request: make
    return source


def collector_of(rows: Any = (), **fields: Any) -> Collector:
    """Make a collector of rows, or of what is called for them; fields replace what it has."""
    given: dict[str, Any] = {
        "name": "core.test",
        "metric": MetricDefinition("core.count", "COUNT"),
        "source": source_of(rows if callable(rows) else list(rows)),
    }
    return Collector(**given | fields)
