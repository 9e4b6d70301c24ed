"""The source and the sink keep the promises of the plugin API, on a real server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from parts.postgres import PostgresServer
from signals_core import Metric, Secret
from signals_core.testing import PROMISES, SinkSuite, SourceSuite, metric
from signals_postgres.sink import PostgresSink
from signals_postgres.source import Postgres

NOWHERE = "postgresql://reader:never-shown@127.0.0.1:1/shop"
SOON = timedelta(seconds=5)


@pytest.fixture(scope="module")
def server(make_postgres: Callable[..., PostgresServer]) -> PostgresServer:
    """A server of the module's own, which is stopped and started again."""
    return make_postgres()


@contextmanager
def stopped(server: PostgresServer) -> Iterator[None]:
    """Have a server be down for a while."""
    server.stop()
    yield
    server.start()


class TestPostgres(SourceSuite):
    """The source `postgres`."""

    type = "postgres"
    query = Postgres.Query(
        "SELECT kind, count(*) AS value FROM items "
        "WHERE at >= :window_start AND at < :window_end GROUP BY kind"
    )
    endless = Postgres.Query("SELECT generate_series(1, 1000000000) AS value")
    slow = Postgres.Query("SELECT 1 AS value FROM pg_sleep(600)")
    many = Postgres.Query("SELECT id, version FROM items")
    wrong = Postgres.Query("SELECT :window_begin AS value")
    failing = Postgres.Query("SELECT value FROM nowhere")

    @pytest.fixture
    def source(self, server: PostgresServer) -> Postgres:
        """A source on items of the suite's window."""
        server.execute(
            "DROP TABLE IF EXISTS items; CREATE TABLE items AS "
            "SELECT id, 'kind ' || id % 5 AS kind, 1 AS version, "
            "timestamptz '2026-01-01 12:00Z' AS at FROM generate_series(1, 20000) AS id"
        )
        return Postgres(Secret(server.tcp_uri()), connect_timeout=SOON)

    @pytest.fixture
    def change(self, server: PostgresServer) -> Callable[[], Any]:
        """Change all items."""
        return lambda: server.execute("UPDATE items SET version = version + 1")

    @pytest.fixture
    def down(self, server: PostgresServer) -> Callable[[], Any]:
        """Stop the server for a while."""
        return lambda: stopped(server)

    @pytest.fixture
    def unreachable(self) -> Postgres:
        """A source on a port where nobody listens."""
        return Postgres(Secret(NOWHERE), connect_timeout=SOON)


class TestPostgresSnapshots(TestPostgres):
    """The source `postgres` with a query that has no window."""

    query = Postgres.Query("SELECT kind, count(*) AS value FROM items GROUP BY kind")
    left_out = {
        promise.name: "tested with a window"
        for promise in PROMISES["source"]
        if promise.name not in ("configuration", "parameters", "check", "threads")
    }


class TestPostgresSink(SinkSuite):
    """The sink `postgres`."""

    type = "postgres"
    poison = metric(tags={"env": "a \x00 that jsonb does not take"})
    left_out = {
        "order": "a table has no order; the newest version stays whatever the order",
        "retry_after": "PostgreSQL asks for no pause",
    }

    @pytest.fixture
    def sink(self, server: PostgresServer) -> PostgresSink:
        """A sink on an empty database."""
        server.execute("DROP TABLE IF EXISTS metrics CASCADE")
        uri = Secret(server.tcp_uri())
        return PostgresSink(uri, create_table=True, connect_timeout=SOON)

    @pytest.fixture
    def received(self, server: PostgresServer) -> Callable[[], list[Metric]]:
        """Read the table."""

        def received() -> list[Metric]:
            with psycopg.connect(server.uri, row_factory=dict_row) as connection:
                connection.execute("SET TimeZone = 'UTC'")
                found = connection.execute("SELECT to_regclass('metrics') AS found").fetchone()
                if not found or found["found"] is None:
                    return []
                return [Metric(**row) for row in connection.execute("SELECT * FROM metrics")]

        return received

    @pytest.fixture
    def down(self, server: PostgresServer) -> Callable[[], Any]:
        """Stop the server for a while."""
        return lambda: stopped(server)

    @pytest.fixture
    def unreachable(self) -> PostgresSink:
        """A sink on a port where nobody listens."""
        return PostgresSink(Secret(NOWHERE), connect_timeout=SOON)
