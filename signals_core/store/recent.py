"""What was read lately, of many collectors at once: for who looks at all of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from signals_core.store.database import Database
from signals_core.store.payload import COUNT_BITS
from signals_core.store.records import Run, micros, moment
from signals_core.store.runs import SELECT, run_of

_LATEST = f"""
    WITH RECURSIVE chain (run, previous, depth) AS (
        SELECT run.id, run.previous, 1
        FROM json_each(?) AS wanted
        JOIN collector ON collector.id = wanted.value
        JOIN run ON run.id = last_run
        UNION ALL
        SELECT run.id, run.previous, depth + 1
        FROM chain JOIN run ON run.id = chain.previous
        WHERE depth < ?
    )
    {SELECT} WHERE run.id IN (SELECT run FROM chain) ORDER BY run.id
"""  # noqa: S608 - it is put together from constants

_LINES = f"""
    SELECT wanted.value, lines
    FROM json_each(?) AS wanted
    LEFT JOIN chunk ON chunk.id >= wanted.value << {COUNT_BITS}
        AND chunk.id < (wanted.value + 1) << {COUNT_BITS}
    WHERE ifnull((
        SELECT sum(length(lines)) FROM chunk AS part
        WHERE part.id >= wanted.value << {COUNT_BITS}
            AND part.id < (wanted.value + 1) << {COUNT_BITS}
    ), 0) <= ?
    ORDER BY chunk.id
"""  # noqa: S608 - it is put together from constants


class Retained(NamedTuple):
    """What is retained of one bucket, by its start: the number of its latest reading.

    `readings` counts those that were kept of it, for what was read again and had not changed was
    not.
    """

    start: datetime
    readings: int
    reading: int


class Recent:
    """The part of the store that shows what was read lately."""

    _database: Database

    def retained_since(self, since: Mapping[str, datetime]) -> dict[str, list[Retained]]:
        """Return the buckets that begin at or after an instant, by the collector's id, in order."""
        wanted = json.dumps([[id_, micros(start)] for id_, start in since.items()])
        found: dict[str, list[Retained]] = {id_: [] for id_ in since}
        with self._database.snapshot() as connection:
            rows = connection.execute(
                """
                WITH wanted (id, since) AS (
                    SELECT value ->> 0, value ->> 1 FROM json_each(?)
                )
                SELECT wanted.id, window_start, count(*), max(run.id)
                FROM wanted
                CROSS JOIN collector ON collector.id = wanted.id
                CROSS JOIN run INDEXED BY reading_of_bucket
                    ON run.collector = collector.number AND window_start >= since
                        AND run.version IS NOT NULL AND window_start IS NOT NULL
                GROUP BY wanted.id, window_start, window_end
                ORDER BY window_start
                """,
                (wanted,),
            )
            for id_, start, readings, reading in rows:
                found[id_].append(Retained(moment(start), readings, reading))
        return found

    def latest_runs(self, ids: Iterable[str], limit: int) -> dict[str, list[Run]]:
        """Return the latest runs of each of these collectors, without their queries, oldest first.

        Where there are buckets they tell more: this is for what has none.
        """
        wanted = list(ids)
        found: dict[str, list[Run]] = {id_: [] for id_ in wanted}
        with self._database.snapshot() as connection:
            rows = connection.execute(_LATEST, (json.dumps(wanted), limit)).fetchall()
        for run in map(run_of, rows):
            found[run.collector].append(run)
        return found

    def lines_of(self, readings: Iterable[int], most_bytes: int) -> dict[int, bytes]:
        """Return the metrics of readings as JSON lines; of those that are larger, nothing."""
        parts: dict[int, list[bytes]] = {}
        with self._database.snapshot() as connection:
            for number, lines in connection.execute(
                _LINES, (json.dumps(list(readings)), most_bytes)
            ):
                parts.setdefault(number, []).append(lines or b"")
        return {number: b"".join(lines) for number, lines in parts.items()}
