"""What a window costs as the table grows: nothing, where an index leads to the window."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg

from benchmarks.measure import Figure, Goal
from benchmarks.postgres import Keep
from benchmarks.traffic import relay_to
from signals_core import Collector, MetricDefinition, Runner, Secret, WindowPolicy
from signals_postgres.source import Postgres

if TYPE_CHECKING:
    from parts.postgres import PostgresServer

A_DAY = 1000
"""The rows of a day, however many days there are."""

SIZES = (100_000, 1_000_000, 10_000_000)
_LAST = datetime(2026, 1, 1, tzinfo=UTC)
_WINDOWS = 25

_SQL = """
    SELECT country, count(*) AS value FROM {table}
    WHERE placed >= :window_start AND placed < :window_end GROUP BY country
"""


def growing_time(server: PostgresServer) -> Figure:
    """Seconds a window of a table of ten million rows, against one of a hundred thousand."""
    with _tables(server), _runner(server.uri) as runner:
        times = {size: [_seconds(runner, size, day) for day in range(_WINDOWS)] for size in SIZES}
    small, _, large = (times[size] for size in SIZES)
    return Figure(
        "a day's window, table of 10M rows",
        "the same window, table of 0.1M rows",
        Goal(1.25),
        "s",
        list(zip(large, small, strict=True)),
        "A collector costs what its window costs, however old the table grows.",
    )


def growing_bytes(server: PostgresServer) -> Figure:
    """Bytes a window out of the same tables."""
    received = []
    with _tables(server):
        for size in (SIZES[-1], SIZES[0]):
            with relay_to(server.port) as relay:
                uri = server.tcp_uri().replace(f":{server.port}/", f":{relay.port}/")
                with _runner(uri) as runner:
                    _seconds(runner, size, 0)
                    before = relay.received
                    _seconds(runner, size, 1)
                    received.append(relay.received - before)
    return Figure(
        "bytes of a day's window, table of 10M rows",
        "the same window, table of 0.1M rows",
        Goal(1.05),
        "bytes",
        [(received[0], received[1])],
        "What leaves the database is the result, not the table.",
    )


def _seconds(runner: Runner, size: int, day: int) -> float:
    begin = time.perf_counter()
    runner.invoke(f"bench.{size}", at=_LAST - timedelta(days=10 + day))
    return time.perf_counter() - begin


@contextmanager
def _runner(uri: str) -> Iterator[Runner]:
    collectors = [
        Collector(
            name=f"bench.{size}",
            metric=MetricDefinition("bench.orders", "COUNT"),
            grain="1d",
            window=WindowPolicy(),
            source=Postgres(Secret(uri)),
            query=Postgres.Query(_SQL.format(table=f"orders_{size}")),
            sinks={"keep": Keep()},
        )
        for size in SIZES
    ]
    with Runner(collectors) as runner:
        for size in SIZES:
            _seconds(runner, size, 0)
        yield runner


@contextmanager
def _tables(server: PostgresServer) -> Iterator[None]:
    """Make the tables, unless they are there."""
    with psycopg.connect(server.uri, autocommit=True) as connection:
        for size in SIZES:
            found = connection.execute("SELECT to_regclass(%s)", [f"orders_{size}"]).fetchone()
            if found != (None,):
                continue
            connection.execute(
                f"CREATE TABLE orders_{size} AS SELECT 'country-' || id % 40 AS country, "  # noqa: S608 - our own names
                f"timestamptz '{_LAST}' - id * interval '1 day' / {A_DAY} AS placed "
                f"FROM generate_series(1, {size}) id"
            )
            connection.execute(f"CREATE INDEX ON orders_{size} (placed)")
            connection.execute(f"VACUUM ANALYZE orders_{size}")
    yield
