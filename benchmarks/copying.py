"""Against copying the table out and aggregating it afterwards: dlt into DuckDB.

Each measurement is a process of its own, which prints the seconds from the first line of its work
to the numbers. Imports do not count, but for the driver's, which each program loads to connect.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from benchmarks.measure import Figure, Goal, in_a_process
from benchmarks.traffic import relay_to

if TYPE_CHECKING:
    from parts.postgres import PostgresServer

TABLE = "orders"
BY_GROUP = "SELECT country, plan, count(*) AS value FROM {} GROUP BY country, plan"
#: The environment in which dlt calls nobody and says nothing.
QUIET = {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"}


def copy_arrow(server: PostgresServer) -> Figure:
    """A million rows to 200 metrics in a file, against dlt with its fastest backend."""
    pairs = [(_seconds(server, "signals"), _seconds(server, "pyarrow")) for _ in range(5)]
    return Figure(
        "1M rows to 200 metrics in a file",
        "dlt to DuckDB, pyarrow, GROUP BY",
        Goal(1 / 40),
        "s",
        pairs,
        "The same 200 numbers, from the first line to the last byte: what a copy costs more.",
    )


def copy_default(server: PostgresServer) -> Figure:
    """The same, against dlt as it comes; once, since it takes minutes."""
    pairs = [(_seconds(server, "signals"), _seconds(server, "sqlalchemy"))]
    return Figure(
        "1M rows to 200 metrics in a file",
        "dlt to DuckDB, default backend, GROUP BY",
        "none: shown beside the fastest",
        "s",
        pairs,
        "What a copy costs with the settings that dlt starts with.",
    )


def copy_bytes(server: PostgresServer) -> Figure:
    """The bytes that leave the server for the same 200 numbers."""
    ours, other = (_bytes(server, name) for name in ("signals", "pyarrow"))
    return Figure(
        "bytes out of the source, 200 metrics of 1M rows",
        "dlt to DuckDB, pyarrow",
        Goal(1 / 10_000),
        "bytes",
        [(ours, other)],
        "What crosses the network from the database, its protocol included.",
    )


def _seconds(server: PostgresServer, way: str) -> float:
    seconds: float = in_a_process("benchmarks.copying", way, server.tcp_uri())
    return seconds


def _bytes(server: PostgresServer, way: str) -> float:
    with relay_to(server.port) as relay:
        uri = server.tcp_uri().replace(f":{server.port}/", f":{relay.port}/")
        in_a_process("benchmarks.copying", way, uri)
        return relay.received


def with_signals(uri: str, folder: Path) -> float:
    """Aggregate at the source, and deliver to a file; the seconds."""
    from signals_core import Collector, MetricDefinition, Runner, Secret
    from signals_core.builtin.file import File
    from signals_postgres.source import Postgres

    path = folder / "metrics.jsonl"
    begin = time.perf_counter()
    collector = Collector(
        name="bench.orders",
        metric=MetricDefinition("bench.orders", "COUNT"),
        source=Postgres(Secret(uri)),
        query=Postgres.Query(BY_GROUP.format(TABLE)),
        sinks={"file": File(path)},
        timeout=timedelta(minutes=5),
    )
    with Runner([collector]) as runner:
        runner.invoke("bench.orders")
    seconds = time.perf_counter() - begin
    assert len(path.read_bytes().splitlines()) == 200
    return seconds


def with_dlt(uri: str, folder: Path, backend: str) -> float:
    """Copy the table into DuckDB and aggregate there; the seconds."""
    os.environ.update(QUIET)
    from dlt.sources.sql_database import sql_table

    def table() -> Any:
        return sql_table(
            credentials=uri.replace("postgresql:", "postgresql+psycopg:"),
            table=TABLE,
            backend=backend,
            chunk_size=100_000,
        )

    return copy_and_count(table, TABLE, folder)


def copy_and_count(resource: Callable[[], Any], table: str, folder: Path) -> float:
    """Copy a resource of dlt into a table of DuckDB and aggregate there; the seconds."""
    import dlt
    import duckdb

    database = str(folder / "copy.duckdb")
    begin = time.perf_counter()
    pipeline = dlt.pipeline(
        "bench",
        pipelines_dir=str(folder),
        destination=dlt.destinations.duckdb(database),
        dataset_name="copied",
    )
    pipeline.run(resource())
    with duckdb.connect(database) as connection:
        numbers = connection.execute(BY_GROUP.format(f"copied.{table}")).fetchall()
    seconds = time.perf_counter() - begin
    assert len(numbers) == 200
    return seconds


if __name__ == "__main__":
    with TemporaryDirectory() as made:
        way, address = sys.argv[1:]
        ours = way == "signals"
        taken = with_signals(address, Path(made)) if ours else with_dlt(address, Path(made), way)
    print(json.dumps(taken))
