"""Dead letters: what a sink refused for good, kept until a person decides."""

from __future__ import annotations

from datetime import UTC, datetime

from signals_core.metric import Metric
from signals_core.store import payload
from signals_core.store.database import Connection, Database
from signals_core.store.outbox import make_pending
from signals_core.store.records import DeadLetter, Position, items_of, micros, moment
from signals_core.store.sinks import change_totals, find_sink


class DeadLetters:
    """The part of the store that keeps dead letters."""

    _database: Database

    def dead_letters(self, sink: str | None = None, limit: int | None = None) -> list[DeadLetter]:
        """Return dead letters, of one sink or of all, oldest first."""
        with self._database.snapshot() as connection:
            rows = connection.execute(
                """
                SELECT sink.name, dead.reading, position, dead.reason, at, collector.id
                FROM sink
                JOIN dead ON dead.sink = sink.number
                JOIN run ON run.id = dead.reading
                JOIN collector ON collector.number = run.collector
                WHERE ?1 IS NULL OR sink.name = ?1
                ORDER BY dead.reading, position, sink.name LIMIT ?2
                """,
                (sink, -1 if limit is None else limit),
            ).fetchall()
            return [
                DeadLetter(
                    sink=name,
                    reading_id=reading,
                    index=index,
                    reason=reason,
                    at=moment(at),
                    collector=collector,
                    metric=_metric(connection, reading, index),
                )
                for name, reading, index, reason, at, collector in rows
            ]

    def retry_dead(self, sink: str) -> tuple[int, int]:
        """Put a sink's dead letters back into its outbox; return how many, and how many not.

        Those of a bucket of which the receiver already got a later reading are outdated: they
        are taken away.
        """
        with self._database.transaction() as connection:
            row = find_sink(connection, sink)
            if row is None:
                return 0, 0
            outdated = _delete_outdated(connection, row.number)
            places = connection.execute(
                "SELECT reading, position FROM dead WHERE sink = ? ORDER BY reading, position",
                (row.number,),
            )
            items = [
                (item, payload.size(connection, *item))
                for item in items_of(Position(*place) for place in places)
            ]
            make_pending(connection, ((row.number, *item) for item in items))
            retried = sum(item.last - item.first for item, _ in items)
            change_totals(connection, (row.number,), retried, sum(size for _, size in items))
            _delete_all(connection, row.number)
        return retried, outdated

    def drop_dead(self, sink: str, *, at: datetime | None = None) -> int:
        """Throw a sink's dead letters away, listing their readings as dropped; return how many."""
        with self._database.transaction() as connection:
            row = find_sink(connection, sink)
            if row is None:
                return 0
            connection.execute(
                """
                INSERT INTO dropped (run, sink, metrics, at)
                SELECT reading, sink, count(*), ? FROM dead WHERE sink = ? GROUP BY reading
                ON CONFLICT (run, sink) DO UPDATE
                SET metrics = metrics + excluded.metrics, at = excluded.at
                """,
                (micros(at or datetime.now(UTC)), row.number),
            )
            return _delete_all(connection, row.number)


def _metric(connection: Connection, reading: int, index: int) -> Metric:
    (piece,) = payload.read(connection, reading, index, index + 1)
    return Metric.decode(piece.lines)


def _delete_outdated(connection: Connection, sink: int) -> int:
    return connection.execute(
        """
        DELETE FROM dead WHERE sink = ?1 AND reading IN (
            SELECT refused.id
            FROM run AS refused
            JOIN run AS later
                ON later.collector = refused.collector
                AND later.window_start = refused.window_start
                AND later.window_end = refused.window_end
                AND later.version IS NOT NULL AND later.window_start IS NOT NULL
                AND later.id > refused.id
            JOIN delivery ON delivery.reading = later.id AND delivery.sink = ?1
            WHERE refused.id IN (SELECT reading FROM dead WHERE sink = ?1)
        )
        """,
        (sink,),
    ).rowcount


def _delete_all(connection: Connection, sink: int) -> int:
    connection.execute("UPDATE sink SET dead_bytes = 0 WHERE number = ?", (sink,))
    return connection.execute("DELETE FROM dead WHERE sink = ?", (sink,)).rowcount
