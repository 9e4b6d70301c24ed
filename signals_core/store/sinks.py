"""The sinks by number, and how each is."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from signals_core.store.database import Connection, Database
from signals_core.store.records import (
    Dropped,
    OutboxLine,
    maybe_micros,
    maybe_moment,
    maybe_window,
    moment,
)

_SINK = "SELECT number, name, bytes + dead_bytes FROM sink WHERE name"


class SinkRow(NamedTuple):
    """A sink: its number and the bytes of what is kept for it, dead letters included."""

    number: int
    name: str
    bytes: int


class Sinks:
    """The part of the store that knows the sinks."""

    _database: Database
    _limit_bytes: int

    def set_sinks(self, names: Iterable[str]) -> None:
        """Say which sinks are configured now; what is pending for others is orphaned."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE sink SET configured = 0 WHERE configured")
            for sink in sink_rows(connection, names):
                connection.execute(
                    "UPDATE sink SET configured = 1 WHERE number = ?", (sink.number,)
                )

    def set_sink_state(
        self,
        sink: str,
        suspended_since: datetime | None,
        reason: str | None,
        failing_since: datetime | None,
    ) -> None:
        """Say how a sink is: since when it fails or is suspended, and why."""
        with self._database.transaction() as connection:
            (row,) = sink_rows(connection, (sink,))
            connection.execute(
                "UPDATE sink SET suspended_since = ?, reason = ?, failing_since = ?"
                " WHERE number = ?",
                (maybe_micros(suspended_since), reason, maybe_micros(failing_since), row.number),
            )

    def is_full(self, sink: str) -> bool:
        """Whether what is kept for a sink, dead letters included, has reached its bound."""
        rows = self._database.select(f"{_SINK} = ?", sink)
        return any(SinkRow(*row).bytes >= self._limit_bytes for row in rows)

    def outbox(self) -> list[OutboxLine]:
        """Return what waits for each sink that is configured or has something left here."""
        with self._database.snapshot() as connection:
            rows = connection.execute(
                """
                SELECT name, metrics, bytes, configured, suspended_since, failing_since, reason,
                       (SELECT version
                        FROM pending JOIN run ON run.id = pending.reading
                        WHERE pending.sink = sink.number ORDER BY reading LIMIT 1),
                       (SELECT count(*) FROM dead WHERE dead.sink = sink.number) AS letters,
                       dead_bytes, ifnull(copies, 0)
                FROM sink
                LEFT JOIN (SELECT sink, count(*) AS copies FROM dropped GROUP BY sink) AS dropped
                    ON dropped.sink = sink.number
                WHERE configured OR metrics OR letters OR copies
                ORDER BY name
                """
            ).fetchall()
        return [
            OutboxLine(
                sink=name,
                metrics=metrics,
                bytes=size,
                oldest=maybe_moment(oldest),
                orphaned=not configured and metrics > 0,
                dead_letters=letters,
                dead_bytes=dead_bytes,
                dropped=copies,
                # Nobody tries one that is no longer configured.
                suspended_since=maybe_moment(suspended_since) if configured else None,
                failing_since=maybe_moment(failing_since) if configured else None,
                reason=reason if configured else None,
            )
            for (
                name,
                metrics,
                size,
                configured,
                suspended_since,
                failing_since,
                reason,
                oldest,
                letters,
                dead_bytes,
                copies,
            ) in rows
        ]

    def dropped(self, sink: str | None = None, limit: int = 100) -> list[Dropped]:
        """Return the latest readings that were not kept for a sink, newest first."""
        with self._database.snapshot() as connection:
            rows = connection.execute(
                """
                SELECT sink.name, collector.id, window_start, window_end, started,
                       dropped.metrics, at
                FROM dropped
                JOIN sink ON sink.number = dropped.sink
                JOIN run ON run.id = dropped.run
                JOIN collector ON collector.number = run.collector
                WHERE ?1 IS NULL OR sink.name = ?1
                ORDER BY dropped.run DESC, sink.name LIMIT ?2
                """,
                (sink, limit),
            ).fetchall()
        return [
            Dropped(
                sink=name,
                collector=collector,
                window=maybe_window(window_start, window_end),
                started=moment(started),
                metrics=metrics,
                at=moment(at),
            )
            for name, collector, window_start, window_end, started, metrics, at in rows
        ]


def find_sink(connection: Connection, name: str) -> SinkRow | None:
    """Return a sink; None for a name that was never heard."""
    row = connection.execute(f"{_SINK} = ?", (name,)).fetchone()
    return None if row is None else SinkRow(*row)


def sink_rows(connection: Connection, names: Iterable[str]) -> list[SinkRow]:
    """Return sinks by their names, adding those that are new, within a transaction."""
    wanted = list(dict.fromkeys(names))
    marks = ", ".join("?" * len(wanted))
    rows = connection.execute(f"{_SINK} IN ({marks})", wanted).fetchall()
    known = {row.name: row for row in map(SinkRow._make, rows)}
    return [known.get(name) or _add(connection, name) for name in wanted]


def _add(connection: Connection, name: str) -> SinkRow:
    cursor = connection.execute("INSERT INTO sink (name) VALUES (?)", (name,))
    assert cursor.lastrowid is not None
    return SinkRow(cursor.lastrowid, name, 0)


def change_totals(
    connection: Connection, sinks: Iterable[int], metrics: int, size: int, dead: int = 0
) -> None:
    """Add to what is pending for each of the sinks, and to the bytes of its dead letters."""
    connection.executemany(
        "UPDATE sink SET metrics = metrics + ?, bytes = bytes + ?, dead_bytes = dead_bytes + ?"
        " WHERE number = ?",
        [(metrics, size, dead, sink) for sink in sinks],
    )
