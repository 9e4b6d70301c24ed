"""Collectors by number, and the high-water mark of their versions."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from signals_core.store.database import Connection, Database
from signals_core.store.records import maybe_moment


class Versions:
    """The part of the store that keeps versions in order."""

    _database: Database

    def last_version(self, collector_id: str) -> datetime | None:
        """Return the timestamp of the latest reading of a collector, by version."""
        with self._database.snapshot() as connection:
            row = connection.execute(
                "SELECT version FROM collector WHERE id = ?", (collector_id,)
            ).fetchone()
        return None if row is None else maybe_moment(row[0])


class CollectorRow(NamedTuple):
    """A collector by number, and its last run."""

    number: int
    last_run: int | None


def collector_row(connection: Connection, collector_id: str) -> CollectorRow:
    """Return a collector, adding it at first sight, within a transaction."""
    row = connection.execute(
        "SELECT number, last_run FROM collector WHERE id = ?", (collector_id,)
    ).fetchone()
    if row is not None:
        return CollectorRow(*row)
    cursor = connection.execute("INSERT INTO collector (id) VALUES (?)", (collector_id,))
    assert cursor.lastrowid is not None
    return CollectorRow(cursor.lastrowid, None)


def note_run(
    connection: Connection, number: int, run: int, *, succeeded: bool, version: int | None
) -> None:
    """Note the last run of a collector; its high-water mark is then at least `version`."""
    connection.execute(
        """
        UPDATE collector
        SET last_run = ?2,
            last_read = iif(?3, ?2, last_read),
            version = max(ifnull(version, ?4), ifnull(?4, version))
        WHERE number = ?1
        """,
        (number, run, succeeded, version),
    )
