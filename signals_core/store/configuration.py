"""How the configuration was read last, for those who look."""

from __future__ import annotations

import json

from signals_core.store.database import Database
from signals_core.store.records import TakenUp, micros, moment


class Configuration:
    """The part of the store that keeps how the configuration was read."""

    _database: Database

    def take_up(self, configuration: TakenUp) -> None:
        """Note how the configuration was read: at start, or since."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM configuration")
            connection.execute(
                "INSERT INTO configuration (read_at, taken, kept_back, problems, left_out)"
                " VALUES (?, ?, ?, ?, ?)",
                (
                    micros(configuration.read_at),
                    configuration.is_taken,
                    json.dumps(list(configuration.kept_back)),
                    json.dumps(list(configuration.problems)),
                    json.dumps(list(configuration.left_out)),
                ),
            )

    def taken_up(self) -> TakenUp | None:
        """Return how the configuration was read last; None where nobody said."""
        with self._database.snapshot() as connection:
            row = connection.execute(
                "SELECT read_at, taken, kept_back, problems, left_out FROM configuration"
            ).fetchone()
        if row is None:
            return None
        read_at, taken, kept_back, problems, left_out = row
        return TakenUp(
            read_at=moment(read_at),
            is_taken=bool(taken),
            kept_back=json.loads(kept_back),
            problems=json.loads(problems),
            left_out=json.loads(left_out),
        )
