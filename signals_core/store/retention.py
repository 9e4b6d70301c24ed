"""How long things are kept, and how the file shrinks again."""

from __future__ import annotations

from datetime import datetime, timedelta

from signals_core.store import payload
from signals_core.store.database import Connection, Database
from signals_core.store.records import DAY, micros

_RUNS_AT_ONCE = 500  # in one transaction, so that a commit need not wait long
_PAGES_AT_ONCE = 1000
_FREE_SHARE = 10  # the file is cut when more than one page in so many is free

# Nothing else goes while a sink still needs the reading.
_OLD_RUNS = """
    SELECT id FROM run
    WHERE started < ?
        AND NOT EXISTS (
            SELECT 1 FROM sink CROSS JOIN pending
            WHERE pending.sink = sink.number AND pending.reading = run.id)
        AND NOT EXISTS (
            SELECT 1 FROM sink CROSS JOIN dead
            WHERE dead.sink = sink.number AND dead.reading = run.id)
    ORDER BY started LIMIT ?
"""

_OLD_QUERIES = """
    DELETE FROM query
    WHERE last_used < ?1
        AND number NOT IN (SELECT query FROM run WHERE started < ?1 AND query IS NOT NULL)
"""


class Retention:
    """The part of the store that forgets."""

    _database: Database

    def prune(self, now: datetime, days: int = 35) -> int:
        """Delete runs and readings older than so many days; return how many runs.

        Those with metrics pending or among the dead letters stay. Takes many small transactions,
        between which others come to their turn, and gives free room back to the file system.
        """
        before = micros(now - timedelta(days=days))
        deleted = 0
        while batch := self._prune_some(before):
            deleted += batch
        # Queries are noted as used by the day: one day more.
        with self._database.transaction() as connection:
            connection.execute(_OLD_QUERIES, (before - DAY,))
            connection.execute("DELETE FROM request WHERE finished < ?", (before,))
        self._shrink()
        return deleted

    @property
    def size_bytes(self) -> int:
        """The room that the store takes on the disk, its log included."""
        path = self._database.path
        files = (path, path.with_name(path.name + "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def _prune_some(self, before: int) -> int:
        with self._database.transaction() as connection:
            runs = [run for (run,) in connection.execute(_OLD_RUNS, (before, _RUNS_AT_ONCE))]
            _delete(connection, runs)
        return len(runs)

    def _shrink(self) -> None:
        pages, free = self._database.pages()
        if free * _FREE_SHARE <= pages:
            return
        while free:
            left = self._database.vacuum(_PAGES_AT_ONCE)
            if left >= free:
                break
            free = left
        self._database.fold_log()


def _delete(connection: Connection, runs: list[int]) -> None:
    payload.delete(connection, runs)
    for statement in (
        "DELETE FROM reading WHERE run = ?",
        "DELETE FROM delivery WHERE reading = ?",
        "DELETE FROM dropped WHERE run = ?",
        "DELETE FROM run WHERE id = ?",
    ):
        connection.executemany(statement, [(run,) for run in runs])
