"""The SQL that the documentation gives to receivers keeps what the last readings saw."""

from __future__ import annotations

import gzip
import sqlite3
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import duckdb
import psycopg
import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings

from parts.command import Signals
from parts.deliveries import Delivery, deliveries, readings_of
from parts.documents import blocks_of
from parts.receiver import Receiver
from signals_core import Batch, Metric

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to"
few = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def sql_of(document: str, name: str) -> str:
    """Return the SQL that a document gives under a file's name."""
    [block] = [each for each in blocks_of(HOW_TO / document) if each.file_name == name]
    return block.text


def with_batch(name: str) -> str:
    """Return a statement of the page for PostgreSQL, with a parameter for psql's variable."""
    return sql_of("receive-in-postgres.md", name).replace(":'batch'", "%(batch)s")


@pytest.fixture
def postgres(database: str) -> Iterator[psycopg.Connection[Any]]:
    """Return a database with the tables and views of the page."""
    with psycopg.connect(database, autocommit=True) as connection:
        for name in ("table.sql", "log.sql", "buckets.sql"):
            connection.execute(sql_of("receive-in-postgres.md", name))
        yield connection


@pytest.fixture
def duck() -> Iterator[duckdb.DuckDBPyConnection]:
    """Return a database with the tables and views of the page on warehouses."""
    with duckdb.connect() as connection:
        connection.execute(sql_of("receive-in-a-warehouse.md", "table.sql"))
        for name in ("incoming", "metrics_log"):
            connection.execute(f"CREATE TABLE {name} AS SELECT * FROM metrics")
        for name in ("newest.sql", "buckets.sql"):
            connection.execute(sql_of("receive-in-a-warehouse.md", name))
        yield connection


def load(duck: duckdb.DuckDBPyConnection, batch: Batch, file: Path) -> None:
    """Put a batch into `incoming` and `metrics_log`, as `load.py` of the page does."""
    file.write_bytes(batch.json_lines())
    table = duck.table("metrics")
    columns = dict(zip(table.columns, map(str, table.types), strict=True))
    duck.execute("DELETE FROM incoming")
    duck.execute(
        "INSERT INTO incoming SELECT * FROM read_json($file, columns = $columns)",
        {"file": str(file), "columns": columns},
    )
    duck.execute("INSERT INTO metrics_log SELECT * FROM incoming")


def rows_of(connection: Any, view: str) -> dict[str, Decimal]:
    """Return the values by uuid of a view, none of which is there twice."""
    rows = connection.execute(f"SELECT uuid, value FROM {view}").fetchall()
    values = {str(uuid): value for uuid, value in rows}
    assert len(values) == len(rows)
    return values


VIEWS = ["metrics_current", "metrics_newest", "metrics_by_bucket"]


@given(deliveries())
@few
def test_postgres(postgres: psycopg.Connection[Any], delivery: Delivery) -> None:
    """On PostgreSQL each of the page's views shows the last readings, whatever comes when."""
    postgres.execute("TRUNCATE metrics, metrics_log")
    for batch in delivery.batches:
        values = {"batch": batch.json_array().decode()}
        postgres.execute(with_batch("keep.sql"), values)
        postgres.execute(with_batch("append.sql"), values)
    assert {view: rows_of(postgres, view) for view in VIEWS} == dict.fromkeys(VIEWS, delivery.seen)


@given(deliveries())
@few
def test_warehouse(duck: duckdb.DuckDBPyConnection, tmp_path: Path, delivery: Delivery) -> None:
    """On DuckDB each of the page's views shows the last readings, whatever comes when."""
    duck.execute("DELETE FROM metrics; DELETE FROM metrics_log")
    for batch in delivery.batches:
        load(duck, batch, tmp_path / "batch.jsonl")
        duck.execute(sql_of("receive-in-a-warehouse.md", "merge.sql"))
    assert {view: rows_of(duck, view) for view in VIEWS} == dict.fromkeys(VIEWS, delivery.seen)


def keep(postgres: psycopg.Connection[Any], *metrics: Metric, document: str = "") -> None:
    """Have the two tables of the page on PostgreSQL take a batch."""
    batch = document or Batch(each.encode() for each in metrics).json_array().decode()
    postgres.execute(with_batch("keep.sql"), {"batch": batch})
    postgres.execute(with_batch("append.sql"), {"batch": batch})


def values_in(postgres: psycopg.Connection[Any], view: str) -> list[Decimal]:
    """Return the values of a view."""
    return sorted(rows_of(postgres, view).values())


def test_half_of_a_reading(postgres: psycopg.Connection[Any]) -> None:
    """Where half of a newer reading has come, or the rest never does, the two rules differ."""
    old, new = readings_of(
        0, [{"de": Decimal(1), "fr": Decimal(2)}, {"de": Decimal(3), "fr": Decimal(4)}]
    )
    keep(postgres, *old, new[0])
    assert values_in(postgres, "metrics_current") == [2, 3]
    assert values_in(postgres, "metrics_newest") == [2, 3]
    assert values_in(postgres, "metrics_by_bucket") == [3]


def test_what_is_not_retracted(postgres: psycopg.Connection[Any]) -> None:
    """Where nothing is retracted, only the rule by bucket lets go of what vanished."""
    old, [gone, stays] = readings_of(0, [{"de": Decimal(1)}, {"fr": Decimal(2)}])
    assert (gone.value, stays.value) in {(2, None), (None, 2)}
    keep(postgres, *old, gone if stays.value is None else stays)
    assert values_in(postgres, "metrics_current") == [1, 2]
    assert values_in(postgres, "metrics_by_bucket") == [2]


def test_without_a_grain(postgres: psycopg.Connection[Any]) -> None:
    """Readings of a collector without a grain are all kept by both rules."""
    [[first]] = readings_of(0, [{"de": Decimal(1)}])
    readings = [
        evolve(
            first,
            uuid=UUID(int=second),
            grain=None,
            timezone=None,
            window_end=None,
            timestamp=moment,
            grain_datetime=moment,
        )
        for second, moment in enumerate([first.timestamp, first.timestamp + timedelta(seconds=1)])
    ]
    keep(postgres, *readings)
    for view in VIEWS:
        assert values_in(postgres, view) == [1, 1]


def test_keys_of_a_later_version(postgres: psycopg.Connection[Any]) -> None:
    """A key that the wire may get one day is passed over."""
    [[first]] = readings_of(0, [{"de": Decimal("0.1")}])
    line = first.encode().decode().removesuffix("}")
    keep(postgres, document=f'[{line},"later":{{"a":[1]}}}}]')
    assert values_in(postgres, "metrics_current") == [Decimal("0.1")]


def test_tidying(postgres: psycopg.Connection[Any]) -> None:
    """Rows without value are deleted when they are old, and no others."""
    old, gone = readings_of(0, [{"de": Decimal(1), "fr": Decimal(2)}, {"fr": Decimal(2)}])
    [retracted] = [each for each in gone if each.value is None]
    recent = evolve(retracted, uuid=UUID(int=1), timestamp=datetime.now(UTC))
    keep(postgres, *old, *gone, recent)
    postgres.execute(sql_of("receive-in-postgres.md", "tidy.sql"))
    kept = dict(postgres.execute("SELECT uuid, value FROM metrics").fetchall())
    [stays] = [each for each in gone if each.value is not None]
    assert kept == {stays.uuid: 2, recent.uuid: None}


def test_local_days(postgres: psycopg.Connection[Any]) -> None:
    """The day of the page on PostgreSQL is that of the metric, whatever the session's zone is."""
    [[first]] = readings_of(0, [{"de": Decimal(3)}])
    keep(postgres, first)
    for zone in ("UTC", "America/New_York", "Pacific/Auckland"):
        postgres.execute(f"SET timezone = '{zone}'")
        rows = postgres.execute(sql_of("receive-in-postgres.md", "days.sql")).fetchall()
        assert rows == [(date(2026, 1, 31), 3)]
    postgres.execute("SET timezone = 'UTC'")
    [[naive]] = postgres.execute("SELECT grain_datetime::date FROM metrics").fetchall()
    assert naive == date(2026, 1, 30)


def test_panel(postgres: psycopg.Connection[Any]) -> None:
    """The query of Grafana's panel runs, with what Grafana makes of its macro."""
    [text] = [b.text for b in blocks_of(HOW_TO / "grafana.md") if "$__timeFilter" in b.text]
    [[first]] = readings_of(0, [{"de": Decimal(3)}])
    keep(postgres, evolve(first, name="shop.orders.revenue"))
    between = "grain_datetime BETWEEN '2026-01-30T00:00:00Z' AND '2026-02-01T00:00:00Z'"
    rows = postgres.execute(text.replace("$__timeFilter(grain_datetime)", between)).fetchall()
    assert rows == [(first.grain_datetime, "de", 3)]


ORDERS = """
name: shop.orders
metric: {name: shop.orders, type: COUNT}
schedule: {interval: 1m}
source: {type: sqlite, config: {path: shop.db, sql: "SELECT country, 1 AS value FROM orders"}}
"""


def test_posts_to_clickhouse(signals: Signals, project: Path, receiver: Receiver) -> None:
    """The sink of the page on ClickHouse posts one object a line to the query in its address."""
    [sinks] = [b for b in blocks_of(HOW_TO / "receive-in-clickhouse.md") if b.language == "yaml"]
    with sqlite3.connect(project / "shop.db") as shop:
        shop.execute("CREATE TABLE orders AS SELECT 'de' AS country UNION SELECT 'fr'")
    shop.close()
    (project / "orders.yaml").write_text(
        ORDERS + sinks.text.replace("http://127.0.0.1:8123", receiver.origin)
    )
    receiver.answer(200)
    done = signals("config", "invoke", "-c", "orders.yaml")
    assert done.returncode == 0, done.stderr
    [request] = receiver.requests()
    query = parse_qs(urlsplit(request.path).query)
    assert query["query"] == ["INSERT INTO metrics FORMAT JSONEachRow"]
    assert query["date_time_input_format"] == ["best_effort"]
    lines = gzip.decompress(request.body).splitlines()
    assert [Metric.decode(line).tags for line in lines] == [{"country": "de"}, {"country": "fr"}]
