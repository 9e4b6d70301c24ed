"""Pauses: what is not to be read for a while."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from signals_core.store.database import Database
from signals_core.store.records import (
    Paused,
    PauseOf,
    maybe_micros,
    maybe_moment,
    micros,
    moment,
)


class Pauses:
    """The part of the store that keeps what is paused, and until when."""

    _database: Database

    def pause(
        self,
        of: PauseOf,
        names: Iterable[str],
        *,
        at: datetime,
        until: datetime | None,
        reason: str | None,
    ) -> None:
        """Have collectors, by their ids, or sources not read until then; None: until `resume`.

        What is paused already stays so since when it was, with the new end and reason.
        """
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM pause WHERE until <= ?", (micros(at),))
            connection.executemany(
                """
                INSERT INTO pause (kind, name, since, until, reason) VALUES (?, ?, ?, ?, ?)
                ON CONFLICT (kind, name) DO UPDATE
                SET until = excluded.until, reason = excluded.reason
                """,
                [(of, name, micros(at), maybe_micros(until), reason) for name in names],
            )

    def resume(self, of: PauseOf, names: Iterable[str]) -> int:
        """End pauses; return how many there were."""
        with self._database.transaction() as connection:
            before = connection.total_changes
            connection.executemany(
                "DELETE FROM pause WHERE kind = ? AND name = ?", [(of, name) for name in names]
            )
            return connection.total_changes - before

    def pauses(self, now: datetime | None = None) -> list[Paused]:
        """Return the pauses that are not over by `now`, the oldest first."""
        with self._database.snapshot() as connection:
            rows = connection.execute(
                "SELECT kind, name, since, until, reason FROM pause"
                " WHERE until IS NULL OR until > ? ORDER BY since, kind, name",
                (micros(now or datetime.now(UTC)),),
            ).fetchall()
        return [
            Paused(of=of, name=name, since=moment(since), until=maybe_moment(until), reason=reason)
            for of, name, since, until, reason in rows
        ]
