"""The commit of a reading, against a bare SQLite commit of the same bytes."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.measure import Figure, Goal, in_turn
from signals_core import Collector, MetricDefinition, Reading, Source, Window
from signals_core.coverage import Coverage, Intervals
from signals_core.distill import distill
from signals_core.store import CoverageKey, Run, Store

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
KEY: CoverageKey = ("bench.store", "1h", "")
SINKS = ["lake", "archive"]
QUERY = "sql:\n  SELECT customer, count(*) AS value FROM orders GROUP BY customer"
METRICS = 200
RUNS = 400


def readings(count: int) -> Iterator[Reading]:
    """Make the readings of one hourly collector, and hand them out one after the other."""
    collector = Collector(
        name="bench.store",
        source=Source(),
        metric=MetricDefinition("bench.store", "COUNT"),
        grain="1h",
        tags={"env": "prod"},
    )

    def reading(hour: int) -> Reading:
        window = Window(START + hour * HOUR, START + (hour + 1) * HOUR)
        rows = [{"customer": f"customer-{i}", "value": hour + i} for i in range(METRICS)]
        return distill(collector, rows, timestamp=window.end, window=window)

    return iter([reading(hour) for hour in range(count)])


def commit_ours(store: Store, reading: Reading) -> None:
    """Commit a reading with its run, its coverage and a pending row for each sink."""
    window = reading.window
    assert window is not None
    before = Coverage(START, Intervals.of([(START, window.start)]))
    run = Run(
        collector=reading.collector,
        name=reading.collector,
        origin="signals bench",
        started=reading.timestamp,
        window=window,
        outcome="read",
        rows=METRICS,
        metrics=METRICS,
        query=QUERY,
    )
    known = before if window.start > START else None
    after = Coverage(START, Intervals.of([(START, window.end)]))
    store.commit(reading, run=run, sinks=SINKS, coverage=(KEY, known, after))


def commit_bare(connection: sqlite3.Connection, reading: Reading) -> None:
    """Commit the same lines as one row."""
    (batch,) = reading.metrics.batches
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO reading (lines) VALUES (?)", (batch.json_lines(),))
    connection.execute("COMMIT")


def commit() -> Figure:
    """A reading of 200 metrics for two sinks, against one row of the same bytes."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Store.open(Path(folder, "state")) as store,
        closing(sqlite3.connect(Path(folder, "bare.db"), isolation_level=None)) as bare,
    ):
        bare.execute("PRAGMA journal_mode=WAL")
        bare.execute("PRAGMA synchronous=FULL")
        bare.execute("CREATE TABLE reading (id INTEGER PRIMARY KEY, lines BLOB)")
        ours, others = readings(RUNS + 1), readings(RUNS + 1)
        pairs = in_turn(
            lambda: commit_ours(store, next(ours)),
            lambda: commit_bare(bare, next(others)),
            RUNS,
        )
    return Figure(
        "commit of a reading, 2 sinks",
        "bare SQLite commit",
        Goal(1.5),
        "s",
        pairs,
        "What it costs that a reading, its coverage and its deliveries are one transaction.",
    )
