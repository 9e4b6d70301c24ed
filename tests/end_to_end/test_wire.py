"""From values in a database and text in YAML to the wire, letter by letter and digit by digit."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from parts.command import Signals

Write = Callable[[str, str], Path]


def lines(signals: Signals) -> list[str]:
    """Invoke the one collector of the folder and return the lines it prints."""
    done = signals("config", "invoke", "-c", ".")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def collector(uri: str, sql: str, rest: str = "schedule: {interval: 1m}") -> str:
    """Return a collector on Postgres."""
    query = "\n".join(f"      {line}" for line in sql.splitlines())
    return f"""
name: c
metric: {{name: m, type: GAUGE}}
{rest}
source:
  type: postgres
  config:
    uri: "{uri}"
    sql: |
{query}
sinks: {{console: {{type: console}}}}
"""


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        ("12345678901234567890.123456789::numeric", "12345678901234567890.123456789"),
        ("1e30::numeric", "1" + "0" * 30),
        ("9007199254740993::bigint", "9007199254740993"),
        ("0.1::float8 + 0.2::float8", "0.30000000000000004"),
        ("'42'::text", "42"),
        ("-0.50::numeric", "-0.50"),
    ],
)
def test_values(signals: Signals, write: Write, database: str, sql: str, text: str) -> None:
    """A number reaches the wire as the database holds it."""
    write("c.yaml", collector(database, f"SELECT {sql} AS value"))
    (line,) = lines(signals)
    assert f'"value":{text},' in line


def test_null(signals: Signals, write: Write, database: str) -> None:
    """NULL gives no metric and is told once, with the word COALESCE."""
    write(
        "c.yaml",
        collector(database, "SELECT NULL::int AS value, g AS tag FROM generate_series(1, 3) g"),
    )
    done = signals("config", "invoke", "-c", ".")
    assert done.returncode == 0
    assert done.stdout == ""
    assert done.stderr.count("COALESCE") == 1


@pytest.mark.parametrize(
    ("sql", "value"),
    [
        ("SELECT count(*) AS value FROM (VALUES ('cat'), ('dog')) v (x) WHERE x LIKE '%a%'", 1),
        ("SELECT '7'::int AS value", 7),
        ("SELECT length(':window_start') AS value", 13),
        ("SELECT length($$:window_end ' $$) AS value", 14),
        ("SELECT length($tag$:a $$ :b$tag$) AS value", 8),
        ("-- :window_start\nSELECT /* :x /* :y */ */ 3 AS value", 3),
        ("SELECT E'it\\'s :x' = 'it''s :x' AS equal, 1 AS value", 1),
        ("SELECT (ARRAY[1,2,3])[2 : 2] = ARRAY[2] AS equal, 1 AS value", 1),
    ],
)
def test_sql_means_what_it_means_in_psql(
    signals: Signals, write: Write, database: str, sql: str, value: int
) -> None:
    """Quotes, casts, dollar quotes, comments and `%` in SQL are left alone."""
    write("c.yaml", collector(database, sql))
    (line,) = lines(signals)
    assert json.loads(line)["value"] == value


def test_tags_of_yaml(signals: Signals, write: Write, database: str) -> None:
    """Tags reach the wire letter by letter; a null is the absence."""
    tags = "tags: {a: 1.10, b: NO, c: 010, d: 1:30, e: 2026-01-01, f: ~, g: , h: 'null', i: 0x1F}"
    write("c.yaml", collector(database, "SELECT 1 AS value", f"schedule: {{interval: 1m}}\n{tags}"))
    (line,) = lines(signals)
    assert json.loads(line)["tags"] == {
        "a": "1.10",
        "b": "NO",
        "c": "010",
        "d": "1:30",
        "e": "2026-01-01",
        "h": "null",
        "i": "0x1F",
    }


def test_windowed_metric_as_documented(signals: Signals, write: Write, users: str) -> None:
    """The documented collector makes the documented line, up to its version."""
    import psycopg

    with psycopg.connect(users, autocommit=True) as connection:
        connection.execute("UPDATE users SET signup_time = '2026-01-01 12:00+01'")
    write(
        "signups.yaml",
        f"""
        name: core.users.signups.1d
        metric: {{name: core.users.signups, type: COUNT}}
        grain: 1d
        timezone: Europe/Paris
        tags: {{env: prod}}
        window: {{start: 2026-01-01}}
        source:
          type: postgres
          config:
            uri: "{users}"
            sql: |
              SELECT account AS customer, count(*) AS value
              FROM users
              WHERE signup_time >= :window_start AND signup_time < :window_end
              GROUP BY account ORDER BY account DESC
        sinks: {{console: {{type: console}}}}
        """,
    )
    before = datetime.now(UTC)
    done = signals("config", "invoke", "core.users.signups.1d", "-c", ".", "--at", "2026-01-01")
    assert done.returncode == 0, done.stderr
    google = json.loads(done.stdout.splitlines()[0])
    version = google.pop("timestamp")
    assert before <= datetime.fromisoformat(version) <= datetime.now(UTC)
    assert len(version) == len("2026-01-01T23:01:00.120000Z")
    assert list(google.items()) == [
        ("uuid", "f8640bb5-3e60-58f1-a7a9-8d0105299d0f"),
        ("name", "core.users.signups"),
        ("value", 3),
        ("type", "COUNT"),
        ("tags", {"customer": "google", "env": "prod"}),
        ("grain_datetime", "2025-12-31T23:00:00Z"),
        ("collector", "core.users.signups.1d"),
        ("grain", "1d"),
        ("timezone", "Europe/Paris"),
        ("window_end", "2026-01-01T23:00:00Z"),
    ]


def test_several_metrics_of_one_query(signals: Signals, write: Write, users: str) -> None:
    """One query makes several metrics, each with its own value column and tags."""
    write(
        "c.yaml",
        f"""
        name: shop
        schedule: {{interval: 1m}}
        source:
          type: postgres
          config:
            uri: "{users}"
            sql: |
              SELECT account, count(*) AS orders, count(*) * 1.5 AS revenue
              FROM users GROUP BY account ORDER BY account
        metrics:
          - {{name: orders, type: COUNT, value: orders}}
          - {{name: revenue, type: SUM, value: revenue, unit: EUR, tags: {{currency: eur}}}}
        sinks: {{console: {{type: console}}}}
        """,
    )
    found: list[tuple[Any, ...]] = []
    for line in lines(signals):
        metric = json.loads(line)
        found.append((metric["name"], metric["value"], metric["tags"]))
    assert found == [
        ("orders", 2, {"account": "amazon"}),
        ("revenue", 3.0, {"account": "amazon", "currency": "eur"}),
        ("orders", 3, {"account": "google"}),
        ("revenue", 4.5, {"account": "google", "currency": "eur"}),
    ]


def test_group_keys_of_mongodb(
    signals: Signals, write: Write, mongo_server: str, mongo_client: Any, mongo_database: str
) -> None:
    """A group key that is null, an int, a date or an ObjectId is a tag; a Decimal128 is exact."""
    from bson import Decimal128, ObjectId

    keys: list[Any] = [None, 7, datetime(2026, 1, 1, 12, tzinfo=UTC), ObjectId("65a" + "0" * 21)]
    price = Decimal128("12345678901234567890.123456789")
    mongo_client[mongo_database].sales.insert_many([{"key": key, "price": price} for key in keys])
    write(
        "c.yaml",
        f"""
        name: sales
        metric: {{name: sales, type: SUM}}
        schedule: {{interval: 1m}}
        source:
          type: mongodb
          config:
            uri: "{mongo_server}"
            database: {mongo_database}
            collection: sales
            agg:
              - $group: {{_id: $key, value: {{$sum: $price}}}}
        sinks: {{console: {{type: console}}}}
        """,
    )
    found = lines(signals)
    assert all('"value":12345678901234567890.123456789,' in line for line in found)
    tags = [json.loads(line)["tags"] for line in found]
    assert sorted(tag.get("_id", "") for tag in tags) == sorted(
        ["", "7", "2026-01-01T12:00:00Z", "65a" + "0" * 21]
    )
