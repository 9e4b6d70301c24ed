"""A year of days, made up one durable window at a time, against one query of the year."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import psycopg

from benchmarks.measure import Figure, Goal, in_turn
from benchmarks.postgres import Keep
from signals_core import Collector, MetricDefinition, Runner, Secret, WindowPolicy
from signals_postgres.source import Postgres

if TYPE_CHECKING:
    from parts.postgres import PostgresServer

START = datetime(2025, 1, 1, tzinfo=UTC)
END = START + timedelta(days=365)
_FILL = f"""
    CREATE TABLE IF NOT EXISTS year AS
    SELECT 'country-' || id % 40 AS country, id % 997 AS total,
      timestamptz '{START}' + id * interval '365 days' / 1000000 AS placed
    FROM generate_series(0, 999999) id;
    CREATE INDEX IF NOT EXISTS year_placed ON year (placed)
"""  # noqa: S608 - our own moment
_DAYS = """
    SELECT date_trunc('day', placed, 'UTC') AS day, country, count(*) AS value FROM year
    WHERE placed >= %s AND placed < %s GROUP BY day, country
"""
_A_DAY = """
    SELECT country, count(*) AS value FROM year
    WHERE placed >= :window_start AND placed < :window_end GROUP BY country
"""


def backfill(server: PostgresServer) -> Figure:
    """365 days of a million rows, against one query that groups by day, written to a file."""
    server.execute(_FILL)
    server.execute("VACUUM ANALYZE year")
    with TemporaryDirectory() as made, psycopg.connect(server.uri, autocommit=True) as plain:
        folders = iter(Path(made, str(number)) for number in range(100))
        pairs = in_turn(
            lambda: _backfill(server.uri, next(folders)),
            lambda: _at_once(plain, Path(made, "days.jsonl")),
            runs=5,
        )
    return Figure(
        "backfill of 365 days over 1M rows",
        "one query by day, written to a file",
        Goal(3),
        "s",
        pairs,
        "What it costs to make up a year with every day read and kept by itself.",
    )


def _backfill(uri: str, folder: Path) -> None:
    sink = Keep()
    collector = Collector(
        name="bench.year",
        metric=MetricDefinition("bench.year", "COUNT"),
        grain="1d",
        window=WindowPolicy(),
        source=Postgres(Secret(uri)),
        query=Postgres.Query(_A_DAY),
        sinks={"keep": sink},
    )
    with Runner([collector], state_dir=folder) as runner:
        done = runner.backfill("bench.year", START, END)
    assert done.done == 365, done


def _at_once(plain: psycopg.Connection, path: Path) -> None:
    rows = plain.execute(_DAYS, (START, END)).fetchall()
    lines = [json.dumps([day.isoformat(), country, value]) for day, country, value in rows]
    path.write_text("\n".join(lines))
    assert len(lines) == 365 * 40
