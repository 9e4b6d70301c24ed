"""Collectors by number, and the high-water mark of their versions."""

from __future__ import annotations

from datetime import datetime

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


def number_of(connection: Connection, collector_id: str) -> int:
    """Return the number of a collector, giving it one at first sight."""
    row = connection.execute(
        "SELECT number FROM collector WHERE id = ?", (collector_id,)
    ).fetchone()
    if row is not None:
        return int(row[0])
    cursor = connection.execute("INSERT INTO collector (id) VALUES (?)", (collector_id,))
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def raise_mark(connection: Connection, number: int, version: int) -> None:
    """Let the high-water mark be at least `version`."""
    connection.execute(
        "UPDATE collector SET version = max(ifnull(version, ?1), ?1) WHERE number = ?2",
        (version, number),
    )
