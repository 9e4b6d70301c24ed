"""Requests: what other processes ask of the one that has the state directory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from signals_core.store.database import Database
from signals_core.store.records import Requested, maybe_moment, micros, moment


class Requests:
    """The part of the store in which work is asked for and answered."""

    _database: Database

    def request(
        self, kind: str, arguments: Mapping[str, Any], *, at: datetime | None = None
    ) -> int:
        """Leave a request; return its id. Works beside a live runner, without the lock."""
        beside = Database.add(self._database.path)
        try:
            with beside.transaction() as connection:
                cursor = connection.execute(
                    "INSERT INTO request (kind, arguments, made) VALUES (?, ?, ?)",
                    (kind, json.dumps(arguments), micros(at or datetime.now(UTC))),
                )
        finally:
            beside.close()
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def requests(self, *, open_only: bool = True) -> list[Requested]:
        """Return requests in the order in which they were made: those not finished, or all."""
        with self._database.snapshot() as connection:
            rows = connection.execute(
                """
                SELECT id, kind, arguments, made, outcome, progress, finished FROM request
                WHERE finished IS NULL OR NOT ? ORDER BY id
                """,
                (open_only,),
            ).fetchall()
        return [
            Requested(
                id=number,
                kind=kind,
                arguments=json.loads(arguments),
                made=moment(made),
                outcome=outcome,
                progress=progress and json.loads(progress),
                finished=maybe_moment(finished),
            )
            for number, kind, arguments, made, outcome, progress, finished in rows
        ]

    def progress_request(self, request_id: int, progress: Mapping[str, Any]) -> None:
        """Say how far a request is; what is not known to be done is done again."""
        with self._database.transaction(repeatable=True) as connection:
            connection.execute(
                "UPDATE request SET progress = ? WHERE id = ?", (json.dumps(progress), request_id)
            )

    def finish_request(
        self,
        request_id: int,
        outcome: str,
        progress: Mapping[str, Any] | None = None,
        *,
        at: datetime | None = None,
    ) -> None:
        """Say what became of a request; without `progress` the last one stands."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE request SET outcome = ?, progress = ifnull(?, progress), finished = ?"
                " WHERE id = ?",
                (
                    outcome,
                    None if progress is None else json.dumps(progress),
                    micros(at or datetime.now(UTC)),
                    request_id,
                ),
            )
