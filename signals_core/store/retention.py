"""How long things are kept, and how the file shrinks again."""

from __future__ import annotations

from datetime import datetime, timedelta

from signals_core.store import payload
from signals_core.store.database import Connection, Database
from signals_core.store.records import DAY, micros

_RUNS_AT_ONCE = 100  # in one transaction, so that a commit need not wait long
_NO_ID = 1 << 62
_PAGES_AT_ONCE = 1000
_FREE_SHARE = 10  # the file is cut when more than one page in so many is free

# Ids follow time: behind the first young run there are hardly any old ones. A run from the future,
# made while the clock was wrong, is no mark.
_FIRST_YOUNG = "SELECT id FROM run WHERE started BETWEEN ? AND ? ORDER BY id LIMIT 1"

# Of a run that is kept only the row stays.
_OLD_RUNS = """
    SELECT id, last.run IS NOT NULL
    FROM run LEFT JOIN (
        SELECT last_run AS run FROM collector UNION SELECT last_read FROM collector
    ) AS last ON last.run = run.id
    WHERE id > ? AND id < ? AND started < ?
        AND (last.run IS NULL OR version IS NOT NULL)
        AND NOT EXISTS (
            SELECT 1 FROM sink CROSS JOIN pending
            WHERE pending.sink = sink.number AND pending.reading = run.id)
        AND NOT EXISTS (
            SELECT 1 FROM sink CROSS JOIN dead
            WHERE dead.sink = sink.number AND dead.reading = run.id)
    ORDER BY id LIMIT ?
"""

_OLD_QUERIES = """
    DELETE FROM query
    WHERE last_used < ?1
        AND number NOT IN (SELECT query FROM run WHERE id < ?2 AND query IS NOT NULL)
"""


class Retention:
    """The part of the store that forgets."""

    _database: Database

    def prune(self, now: datetime, days: int = 35) -> int:
        """Delete runs and readings older than so many days; return how many runs.

        Those with metrics pending or among the dead letters stay, and of each collector the last
        run and the last that succeeded, though not what it read. Takes many small transactions,
        between which others come to their turn, and gives free room back to the file system.
        """
        before = micros(now - timedelta(days=days))
        end = self._first_young(before, micros(now))
        deleted, after = 0, 0
        while old := self._prune_some(after, end, before):
            deleted += sum(not is_kept for _, is_kept in old)
            after = old[-1][0]
        with self._database.transaction() as connection:
            # Queries are noted as used by the day: one day more.
            connection.execute(_OLD_QUERIES, (before - DAY, end))
            connection.execute("DELETE FROM request WHERE finished < ?", (before,))
        self._shrink()
        return deleted

    @property
    def size_bytes(self) -> int:
        """The room that the store takes on the disk, its log included."""
        path = self._database.path
        files = (path, path.with_name(path.name + "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def _first_young(self, before: int, now: int) -> int:
        with self._database.snapshot() as connection:
            young = connection.execute(_FIRST_YOUNG, (before, now)).fetchone()
            return int(young[0]) if young else _NO_ID

    def _prune_some(self, after: int, end: int, before: int) -> list[tuple[int, bool]]:
        with self._database.transaction() as connection:
            old = connection.execute(_OLD_RUNS, (after, end, before, _RUNS_AT_ONCE)).fetchall()
            _forget_readings(connection, [run for run, _ in old])
            gone = [(run,) for run, is_kept in old if not is_kept]
            connection.executemany("DELETE FROM run WHERE id = ?", gone)
        return old

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


def _forget_readings(connection: Connection, runs: list[int]) -> None:
    payload.delete(connection, runs)
    for statement in (
        "DELETE FROM delivery WHERE reading = ?",
        "DELETE FROM dropped WHERE run = ?",
        "UPDATE run SET version = NULL WHERE id = ?",
    ):
        connection.executemany(statement, [(run,) for run in runs])
