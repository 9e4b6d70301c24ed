"""Sources and sinks on real databases, and one line to read with them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from parts.postgres import PostgresServer, name_of
from signals_core import Grain, Request, Secret, Window
from signals_postgres.sink import PostgresSink
from signals_postgres.source import Postgres

# No index for Python has it, so a machine that lacks it, CI's included, does without its tests.
POOLER = shutil.which("pgbouncer")
collect_ignore = [] if POOLER else ["test_pooler.py"]


def pytest_report_header() -> str:
    """Say whether the tests behind a pooler are there."""
    return f"pgbouncer: {POOLER or 'missing, its tests are left out (apt-get install pgbouncer)'}"


@pytest.fixture
def make_source(database: str) -> Iterator[Callable[..., Postgres]]:
    """Return a function that makes a source on the test's database and closes it afterwards."""
    made: list[Postgres] = []

    def make(uri: str = database, **fields: Any) -> Postgres:
        made.append(Postgres(Secret(uri), **fields))
        return made[-1]

    yield make
    for source in made:
        source.close()


@pytest.fixture
def source(make_source: Callable[..., Postgres]) -> Postgres:
    """Return a source with nothing configured but its URI."""
    return make_source()


@pytest.fixture
def ask() -> Callable[..., Request]:
    """Return a function that makes a collector's request, of a local day where one is given."""

    def ask(
        sql: str,
        *,
        day: str | None = None,
        timezone: str = "UTC",
        timeout: float = 30.0,
        origin: str = "signals test",
    ) -> Request:
        window = _window(day, timezone) if day else None
        return Request("test", Postgres.Query(sql), window, timeout, origin)

    return ask


@pytest.fixture
def read(source: Postgres, ask: Callable[..., Request]) -> Callable[..., list[dict[str, Any]]]:
    """Return a function that reads all rows of a query from `source`, or from another one."""

    def read(sql: str, *, of: Postgres = source, **request: Any) -> list[dict[str, Any]]:
        return [dict(row) for row in of.read(ask(sql, **request))]

    return read


@pytest.fixture
def execute(postgres_server: PostgresServer, database: str) -> Callable[[str], list[Any]]:
    """Return a function that runs statements on the test's database as superuser.

    `DATABASE_NAME` in them stands for its name.
    """
    name = name_of(database)
    return lambda sql: postgres_server.execute(sql.replace("DATABASE_NAME", name), name)


@pytest.fixture
def make_sink(database: str) -> Iterator[Callable[..., PostgresSink]]:
    """Return a function that makes an open sink on the test's database and closes it afterwards."""
    made: list[PostgresSink] = []

    def make(uri: str = database, **fields: Any) -> PostgresSink:
        made.append(PostgresSink(Secret(uri), **fields))
        made[-1].open()
        return made[-1]

    yield make
    for sink in made:
        sink.close()


@pytest.fixture
def sink(make_sink: Callable[..., PostgresSink]) -> PostgresSink:
    """Return an open sink that makes its table."""
    return make_sink(create_table=True)


def _window(day: str, timezone: str) -> Window:
    noon = datetime.fromisoformat(day).replace(hour=12, tzinfo=ZoneInfo(timezone))
    return Grain.parse("1d", timezone).window(noon)
