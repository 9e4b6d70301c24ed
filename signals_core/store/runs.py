"""What happened: one row a run, and where a number comes from."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from attrs import evolve

from signals_core.metric import Metric
from signals_core.store import payload
from signals_core.store.collectors import CollectorRow, collector_row, note_run
from signals_core.store.database import Connection, Database
from signals_core.store.records import (
    DAY,
    SUCCEEDED,
    Found,
    Run,
    maybe_bounds,
    maybe_window,
    micros,
    moment,
)
from signals_core.window import Grain

SELECT = """
    SELECT run.id, collector.id, ifnull(run.name, collector.id), origin, started,
           window_start, window_end, rows, metrics, milliseconds, outcome, reason, query.text
    FROM run
    JOIN collector ON collector.number = run.collector
    LEFT JOIN query ON query.number = run.query
"""

_LAST_OF_EACH = "SELECT last_run FROM collector"

_CHAIN = """
    WITH RECURSIVE chain (run, previous) AS (
        SELECT run.id, run.previous
        FROM collector JOIN run ON run.id = last_run
        WHERE collector.id = ?1
        UNION ALL
        SELECT run.id, run.previous FROM chain JOIN run ON run.id = chain.previous
        LIMIT ?2
    )
    SELECT run FROM chain
    UNION ALL
    SELECT last_read FROM collector WHERE id = ?1
"""


class Runs:
    """The part of the store that remembers runs."""

    _database: Database

    def record(self, run: Run) -> int:
        """Store a run that made no reading; return its id."""
        with self._database.transaction() as connection:
            return insert(connection, collector_row(connection, run.collector), run)

    def runs(self, collector_id: str | None = None, limit: int = 100) -> list[Run]:
        """Return the latest runs, of one collector or of all, newest first."""
        which = "" if collector_id is None else f"WHERE run.id IN ({_CHAIN})"
        with self._database.snapshot() as connection:
            rows = connection.execute(
                f"{SELECT} {which} ORDER BY run.id DESC LIMIT ?2", (collector_id, limit)
            ).fetchall()
        return [run_of(row) for row in rows]

    def last_runs(self) -> dict[str, Run]:
        """Return the latest run of each collector by its id."""
        with self._database.snapshot() as connection:
            rows = connection.execute(f"{SELECT} WHERE run.id IN ({_LAST_OF_EACH})").fetchall()
        return {run.collector: run for run in map(run_of, rows)}

    def last_successes(self) -> dict[str, datetime]:
        """Return when the last run of each collector began that succeeded, by its id."""
        with self._database.snapshot() as connection:
            rows = connection.execute(
                "SELECT collector.id, started FROM collector JOIN run ON run.id = last_read"
            ).fetchall()
        return {collector: moment(started) for collector, started in rows}

    def find(self, uuid: UUID) -> list[Found]:
        """Return every retained version of a metric, newest first.

        Looks through all retained readings: about a second for each gigabyte.
        """
        with self._database.snapshot() as connection:
            return [
                _found(connection, reading, index, Metric.decode(line))
                for reading, index, line in payload.holding(
                    connection, f'{{"uuid":"{uuid}"'.encode()
                )
            ]


def insert(
    connection: Connection,
    collector: CollectorRow,
    run: Run,
    *,
    version: int | None = None,
    kept: bool = False,
) -> int:
    """Add a run within a transaction, the last of its collector; return its id.

    `version` is that of what it read, which was `kept`, or not.
    """
    started = micros(run.started)
    cursor = connection.execute(
        """
        INSERT INTO run (collector, previous, name, origin, started, window_start, window_end,
                         rows, metrics, milliseconds, outcome, reason, query, version)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        """,
        (
            *collector,
            None if run.name == run.collector else run.name,
            run.origin,
            started,
            *maybe_bounds(run.window),
            run.rows,
            run.metrics,
            run.milliseconds,
            run.outcome,
            run.reason,
            None if run.query is None else _query_number(connection, run.query, started),
            version if kept else None,
        ),
    )
    assert cursor.lastrowid is not None
    note_run(
        connection,
        collector.number,
        cursor.lastrowid,
        succeeded=run.outcome in SUCCEEDED,
        version=version,
    )
    return cursor.lastrowid


def _query_number(connection: Connection, text: str, used: int) -> int:
    """Keep a query once; when it was last used is noted by the day, to save writes."""
    number = int.from_bytes(sha256(text.encode()).digest()[:8], "big", signed=True)
    connection.execute(
        """
        INSERT INTO query (number, last_used, text) VALUES (?, ?, ?)
        ON CONFLICT (number) DO UPDATE SET last_used = excluded.last_used
        WHERE excluded.last_used > last_used + ?
        """,
        (number, used, text, DAY),
    )
    return number


def run_of(row: tuple[Any, ...]) -> Run:
    """Return the run of a row that `SELECT` has found."""
    number, collector, name, origin, started, window_start, window_end, *rest = row
    rows, metrics, milliseconds, outcome, reason, query = rest
    return Run(
        id=number,
        collector=collector,
        name=name,
        origin=origin,
        started=moment(started),
        window=maybe_window(window_start, window_end),
        rows=rows,
        metrics=metrics,
        milliseconds=milliseconds,
        outcome=outcome,
        reason=reason,
        query=query,
    )


def _as_it_ran(query: str | None, metric: Metric) -> str | None:
    """Return a query with the bounds that it was run with, which are those of the metric."""
    if query is None or metric.grain is None or metric.window_end is None:
        return query
    grain = Grain.parse(metric.grain, metric.timezone or "UTC")
    return f"{query}\n{grain.window(metric.grain_datetime).bounds}"


def _found(connection: Connection, reading: int, index: int, metric: Metric) -> Found:
    run = run_of(connection.execute(f"{SELECT} WHERE run.id = ?", (reading,)).fetchone())
    pending = [
        name
        for (name,) in connection.execute(
            """
            SELECT name FROM sink CROSS JOIN pending ON pending.sink = sink.number
            WHERE reading = ? AND first <= ? AND last > ? ORDER BY name
            """,
            (reading, index, index),
        )
    ]
    dead = dict(
        connection.execute(
            """
            SELECT name, dead.reason FROM sink CROSS JOIN dead ON dead.sink = sink.number
            WHERE reading = ? AND position = ? ORDER BY name
            """,
            (reading, index),
        )
    )
    deliveries = connection.execute(
        """
        SELECT name, at FROM delivery JOIN sink ON sink.number = delivery.sink
        WHERE reading = ? ORDER BY name
        """,
        (reading,),
    )
    dropped = connection.execute(
        """
        SELECT name FROM dropped JOIN sink ON sink.number = dropped.sink
        WHERE run = ? ORDER BY name
        """,
        (reading,),
    )
    return Found(
        metric=metric,
        run=evolve(run, query=_as_it_ran(run.query, metric)),
        deliveries={
            name: moment(at) for name, at in deliveries if name not in dead and name not in pending
        },
        pending=tuple(pending),
        dead=dead,
        dropped=tuple(name for (name,) in dropped),
    )
