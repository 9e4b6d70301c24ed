"""Against plain psycopg, on a PostgreSQL of the benchmark's own."""

from __future__ import annotations

import json
import logging
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import psycopg
from attrs import define, field

from benchmarks.measure import Figure, Goal, in_turn, peak_megabytes
from signals_core import Batch, Collector, MetricDefinition, Runner, Secret, Sink
from signals_postgres.source import Postgres

if TYPE_CHECKING:
    from parts.postgres import PostgresServer

AGGREGATE = """
    SELECT country, plan, count(*) AS value FROM orders GROUP BY country, plan
"""
ROWS = """
    SELECT 'country-' || id % 40 AS country, 'customer-' || id AS customer, total AS value
    FROM orders WHERE id <= 200000
"""


@define
class Keep(Sink):
    """Takes the lines and keeps nothing."""

    taken: int = field(init=False, default=0)

    def write(self, batch: Batch) -> None:
        """Count the bytes of the lines."""
        self.taken += len(batch.json_lines())


def fill(uri: str) -> None:
    """Make a table of a million orders as shops have them, in 40 countries and 5 plans."""
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE orders AS SELECT id, 'country-' || id % 40 AS country, "
            "'plan-' || id / 40 % 5 AS plan, id % 997 AS total, "
            "timestamptz '2026-01-01' + id * interval '30 seconds' AS placed, "
            "'customer-' || id % 50021 AS customer, "
            "'customer-' || id % 50021 || '@mail.example' AS email, "
            "id % 300 || ' Long Street, ' || id % 9973 || ' Somewhere' AS address, "
            "CASE id % 3 WHEN 0 THEN 'paid' WHEN 1 THEN 'shipped' ELSE 'returned' END AS status "
            "FROM generate_series(1, 1000000) id"
        )
        connection.execute("VACUUM ANALYZE orders")


def runner_for(uri: str, sql: str) -> Runner:
    """Return a runner of one collector, on a warm connection."""
    collector = Collector(
        name="bench.orders",
        metric=MetricDefinition("bench.orders", "COUNT"),
        source=Postgres(Secret(uri)),
        query=Postgres.Query(sql),
        sinks={"keep": Keep()},
        max_rows=1_000_000,
        timeout=timedelta(minutes=5),
    )
    return Runner([collector])


def aggregate(server: PostgresServer) -> Figure:
    """A million rows to 200 metrics, against the same query by psycopg."""
    with (
        runner_for(server.uri, AGGREGATE) as runner,
        psycopg.connect(server.uri, autocommit=True) as plain,
    ):
        pairs = in_turn(
            lambda: runner.invoke("bench.orders"),
            lambda: plain.execute(AGGREGATE).fetchall(),
            runs=15,
        )
    return Figure(
        "1M rows to 200 metrics",
        "psycopg, the same query",
        Goal(1.05),
        "s",
        pairs,
        "What signals adds to a query that you could run yourself.",
    )


def rows(server: PostgresServer) -> Figure:
    """200 000 result rows to metrics as JSON lines, against dicts by orjson."""

    def plainly() -> None:
        with psycopg.connect(server.uri) as connection:
            cursor = connection.execute(ROWS)
            names = [column.name for column in cursor.description or ()]
            lines = [orjson.dumps(dict(zip(names, row, strict=True))) for row in cursor.fetchall()]
            b"\n".join(lines)

    with runner_for(server.uri, ROWS) as runner:
        pairs = in_turn(lambda: runner.invoke("bench.orders"), plainly, runs=7)
    return Figure(
        "200 000 rows to JSON lines",
        "fetch, dict, orjson",
        Goal(1.5),
        "s",
        pairs,
        "Even a result that is far too large costs little more than writing it down.",
    )


def memory(server: PostgresServer) -> Figure:
    """The peak memory of a process that makes 200 000 rows into metrics, over its idle memory."""
    pairs = [peak_megabytes("benchmarks.postgres", server.uri) for _ in range(3)]
    return Figure(
        "peak memory of the 200 000 rows",
        "the same process, idle",
        Goal(60, "MB"),
        "MB",
        pairs,
        "A process with little memory reads them all the same.",
    )


def peak_so_far() -> float:
    """Return the most memory this process has held, in MB (Linux; ru_maxrss knows the parent's)."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def main(uri: str) -> None:
    """Print the peak memory of this process when connected, and after one reading."""
    logging.disable()
    with runner_for(uri, ROWS) as runner:
        next(runner.check())
        idle = peak_so_far()
        runner.invoke("bench.orders")
        peak = peak_so_far()
    sys.stdout.write(json.dumps([idle, peak]))


if __name__ == "__main__":
    main(sys.argv[1])
