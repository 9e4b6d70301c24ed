"""Readings, runs and coverage for the tests of the store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from signals_core import Batch, Metric, Reading, Window
from signals_core.coverage import Coverage, Intervals
from signals_core.metric import Metrics
from signals_core.store import Committed, Run, Store

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
KEY = ("shop.orders", "1h", "")


def window(number: int = 0) -> Window:
    """Return an hour, counted from the start."""
    return Window(START + number * HOUR, START + (number + 1) * HOUR)


def metric(number: int, value: Any, at: datetime, bucket: Window | None) -> Metric:
    """Return a metric whose uuid is its number."""
    return Metric(
        uuid=UUID(int=number),
        name="shop.orders",
        value=value,
        type="COUNT",
        tags={"customer": f"customer-{number}"},
        timestamp=at,
        grain_datetime=bucket.start if bucket else at,
        collector="shop.orders",
        grain="1h" if bucket else None,
        timezone="UTC" if bucket else None,
    )


def reading(
    values: Mapping[int, Any] | Iterable[int],
    at: datetime = START,
    bucket: Window | None = None,
    collector: str = "shop.orders",
) -> Reading:
    """Return a reading of metrics with these values by number."""
    pairs = values.items() if isinstance(values, Mapping) else ((each, each) for each in values)
    metrics = [metric(number, value, at, bucket).encode() for number, value in pairs]
    batches = [Batch(metrics)] if metrics else []
    return Reading(collector, at, bucket, Metrics(batches), rows=len(metrics))


def run_of(read: Reading, **other: Any) -> Run:
    """Return the run that made a reading."""
    fields: dict[str, Any] = {
        "collector": read.collector,
        "name": read.collector,
        "origin": f"signals 1234 {read.collector}",
        "started": read.timestamp,
        "window": read.window,
        "rows": read.rows,
        "metrics": len(read.metrics),
        "milliseconds": 12,
        "outcome": "read",
        "query": "SELECT count(*) AS value",
    }
    return Run(**fields | other)


def commit(
    store: Store, read: Reading, sinks: Iterable[str] = ("lake",), **other: Any
) -> Committed:
    """Commit a reading with a run of its own."""
    return store.commit(read, run=run_of(read), sinks=tuple(sinks), **other)


def drop(store: Store, sink: str) -> int:
    """Take a sink out of the configuration, drop what is pending for it, and put it back."""
    names = [line.sink for line in store.outbox()]
    store.set_sinks(name for name in names if name != sink)
    count = store.drop(sink, at=START + HOUR)
    store.set_sinks(names)
    return count


def covering(*hours: int) -> Coverage:
    """Return the coverage of these hours."""
    spans = ((window(hour).start, window(hour).end) for hour in hours)
    return Coverage(START, Intervals.of(spans))


def told(store: Store, sink: str = "lake") -> list[tuple[int, Any]]:
    """Return the number and value of all that is pending for a sink, in order."""
    packed = store.pending(sink, metrics=10**9, bytes=10**9)
    return [] if packed is None else [(each.uuid.int, each.value) for each in packed.batch]
