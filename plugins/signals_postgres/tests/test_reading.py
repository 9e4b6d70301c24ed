"""What a reading returns, and how."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from parts.postgres import PostgresServer
from signals_core import Request
from signals_postgres.source import Postgres

Read = Callable[..., list[dict[str, Any]]]
Execute = Callable[[str], list[Any]]

MEASURED = """
import resource, sys
from signals_core import Request, Secret
from signals_postgres.source import Postgres

def peak():
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

source = Postgres(Secret(sys.argv[1]))
def count(rows):
    query = Postgres.Query(f"SELECT generate_series(1, {rows}) AS n, repeat('x', 1000) AS a")
    return sum(1 for _ in source.read(Request("test", query)))

count(1000)
before = peak()
print(count(200_000), peak() - before)
source.close()
"""


def test_values_arrive_in_their_own_types(read: Read) -> None:
    """Numbers are exact, whole ones of any size, and NULL is None."""
    [row] = read(
        "SELECT 12345678901234567890.1234567890::numeric AS exact, 9007199254740993::bigint AS big,"
        " 0.1::float8 AS double, NULL::int AS nothing, 7::smallint AS small, true AS yes,"
        " 'é' AS text, '2026-01-01'::date AS day, '2026-01-01 12:00'::timestamp AS naive,"
        " '2026-01-01 12:00+02'::timestamptz AS aware,"
        " '00000000-0000-0000-0000-000000000001'::uuid AS id"
    )
    assert row == {
        "exact": Decimal("12345678901234567890.1234567890"),
        "big": 9007199254740993,
        "double": 0.1,
        "nothing": None,
        "small": 7,
        "yes": True,
        "text": "é",
        "day": date(2026, 1, 1),
        "naive": datetime(2026, 1, 1, 12),
        "aware": datetime(2026, 1, 1, 10, tzinfo=UTC),
        "id": UUID(int=1),
    }
    assert [type(row[key]) for key in ("exact", "big", "double")] == [Decimal, int, float]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("count(*) FILTER (WHERE name LIKE '%a%')", 2),
        ("count(*) FILTER (WHERE name LIKE '%%s')", 0),
        ("'5'::int", 5),
        ("CAST(' 5 ' AS int)", 5),
        ("':window_start'", ":window_start"),
        ("'it''s :window_start'", "it's :window_start"),
        (r"E'it\'s :window_start'", "it's :window_start"),
        ("$$ :window_start $$", " :window_start "),
        ("$a$ $$ :window_start $a$", " $$ :window_start "),
        ("1 -- :window_start it's\n", 1),
        ("1 /* :window_start /* nested */ it's */", 1),
        ("(ARRAY[1,2,3])[1 : 2]", [1, 2]),
        ("(ARRAY[1,2,3])[1:2]", [1, 2]),
        ("make_interval(days := 2)::text", "2 days"),
        ("'a' || 'b' || '$1' || '%s' || '%(x)s'", "ab$1%s%(x)s"),
    ],
)
@pytest.mark.parametrize("bound", ["", " WHERE now() > :window_start"])
def test_sql_means_what_it_means_in_psql(
    expression: str, value: object, bound: str, read: Read
) -> None:
    """Percent signs, casts, quotes, dollar quotes and comments are the server's, not ours."""
    [row] = read(
        f"SELECT {expression} AS value FROM (VALUES ('anna'), ('abba'), ('bob')) AS t (name){bound}"
        + (" LIMIT 1" if "count" not in expression else ""),
        day="2026-01-01",
    )
    assert row == {"value": value}


def test_a_column_may_be_named_with_a_colon(read: Read) -> None:
    """A quoted name is a name, whatever it holds."""
    assert read('SELECT 1 AS ":window_start"') == [{":window_start": 1}]


def test_the_bounds_are_those_of_the_window(read: Read) -> None:
    """Aware bounds are instants, local ones are the wall clock's, however often each is used."""
    [row] = read(
        "SELECT :window_start AS a, :window_end AS b, :window_start_local AS c,"
        " :window_end_local AS d, :window_end - :window_start = interval '24 hours' AS e",
        day="2026-01-01",
        timezone="Europe/Paris",
    )
    assert row == {
        "a": datetime(2025, 12, 31, 23, tzinfo=UTC),
        "b": datetime(2026, 1, 1, 23, tzinfo=UTC),
        "c": datetime(2026, 1, 1),
        "d": datetime(2026, 1, 2),
        "e": True,
    }


def test_a_window_is_needed_where_its_bounds_are_used(read: Read) -> None:
    """A query with bounds and a request without a window is an error that names the bound."""
    with pytest.raises(ValueError, match=r"^the query uses :window_end, but there is no window$"):
        read("SELECT :window_end AS a")


def test_a_timestamp_without_zone_means_one_thing(
    make_source: Callable[..., Postgres], read: Read, execute: Execute
) -> None:
    """Whatever zone the server defaults to, the source's own decides: one answer under three."""
    execute(
        "CREATE TABLE logins (t timestamp);"
        "INSERT INTO logins SELECT timestamp '2026-01-01' + make_interval(mins => m)"
        " FROM generate_series(0, 24 * 60 - 1) AS m"
    )
    sql = "SELECT count(*) AS n FROM logins WHERE t >= :window_start AND t < :window_end"
    counts = []
    for zone in ("UTC", "Europe/Paris", "America/New_York"):
        execute(f"ALTER DATABASE DATABASE_NAME SET timezone = '{zone}'")
        for source_zone in ("UTC", "America/New_York"):
            source = make_source(timezone=source_zone)
            counts += [row["n"] for row in read(sql, of=source, day="2026-01-01")]
    assert counts == [24 * 60, 19 * 60] * 3


def test_local_bounds_are_right_for_dates(read: Read, execute: Execute) -> None:
    """West of UTC a `date` column gives its own day with local bounds, and another with UTC's."""
    execute(
        "CREATE TABLE sales (day date, n int);"
        "INSERT INTO sales VALUES ('2025-12-31', 1), ('2026-01-01', 10), ('2026-01-02', 100)"
    )
    total = "SELECT sum(n) AS n FROM sales WHERE day >= :window_start{0} AND day < :window_end{0}"
    west = {"day": "2026-01-01", "timezone": "America/New_York"}
    assert read(total.format("_local"), **west) == [{"n": 10}]
    assert read(total.format(""), **west) == [{"n": 100}]


def test_all_rows_are_of_one_snapshot(
    source: Postgres, ask: Callable[..., Request], execute: Execute
) -> None:
    """What is committed while a reading goes on is not in it."""
    execute("CREATE TABLE t AS SELECT g AS n FROM generate_series(1, 5000) AS g")
    rows = source.read(ask("SELECT n, (SELECT count(*) FROM t) AS all FROM t"))
    next(rows)
    execute("DELETE FROM t WHERE n > 10")
    assert [row["all"] for row in rows] == [5000] * 4999


def test_no_rows_are_no_rows(read: Read) -> None:
    """An empty result is an empty reading, and the connection serves the next."""
    assert read("SELECT 1 AS a WHERE false") == []
    assert read("SELECT 1 AS a") == [{"a": 1}]


def test_memory_does_not_grow_with_the_rows(database: str) -> None:
    """A result of two hundred megabytes passes through in a few."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, database], check=True, capture_output=True, text=True
    )
    rows, grown = map(int, done.stdout.split())
    assert rows == 200_000
    assert grown < 20_000_000


def test_the_server_knows_who_asks(read: Read) -> None:
    """The run's origin is the application name, cut at 63 bytes between two characters."""
    [row] = read("SELECT current_setting('application_name') AS a", origin="signals 7 shop's")
    assert row == {"a": "signals 7 shop's"}
    [row] = read("SELECT current_setting('application_name') AS a", origin="x" * 62 + "é" * 9)
    assert row == {"a": "x" * 62}


def test_the_server_is_told_the_limits(read: Read) -> None:
    """A reading runs read-only, repeatable, under a time limit that ends before its own."""
    [row] = read(
        "SELECT current_setting('transaction_isolation') AS isolation,"
        " current_setting('transaction_read_only') AS read_only,"
        " extract(epoch FROM current_setting('statement_timeout')::interval) AS statement,"
        " extract(epoch FROM current_setting('lock_timeout')::interval) AS lock,"
        " current_setting('idle_in_transaction_session_timeout')::interval > '0' AS idle",
        timeout=60,
    )
    assert (row["isolation"], row["read_only"], row["idle"]) == ("repeatable read", "on", True)
    assert 59 < row["statement"] < 60
    assert row["lock"] == 10


def test_dates_are_read_whatever_their_style(read: Read, execute: Execute) -> None:
    """A database that shows dates in a style of its own is read like any other."""
    execute("ALTER DATABASE DATABASE_NAME SET datestyle = german")
    assert read("SELECT timestamptz '2026-02-01 00:00+00' AS t, date '2026-02-01' AS d") == [
        {"t": datetime(2026, 2, 1, tzinfo=UTC), "d": date(2026, 2, 1)}
    ]


def test_text_is_text_whatever_the_encoding(
    make_source: Callable[..., Postgres], read: Read, postgres_server: PostgresServer
) -> None:
    """A database that declares no encoding gives text, not bytes."""
    postgres_server.execute("DROP DATABASE IF EXISTS plain")
    postgres_server.execute("CREATE DATABASE plain ENCODING SQL_ASCII TEMPLATE template0")
    source = make_source(postgres_server.uri_of("plain"))
    assert read("SELECT 'é' AS a", of=source) == [{"a": "é"}]
    source.close()
    postgres_server.execute("DROP DATABASE plain WITH (FORCE)")


def test_parallel_plans_stay_possible(read: Read, execute: Execute) -> None:
    """The server may use its parallel workers, as it may not for a declared cursor."""
    execute("CREATE TABLE t AS SELECT g AS n FROM generate_series(1, 100000) AS g; ANALYZE t")
    for setting in ("min_parallel_table_scan_size", "parallel_setup_cost"):
        execute(f"ALTER DATABASE DATABASE_NAME SET {setting} = 0")
    plan = "\n".join(row["QUERY PLAN"] for row in read("EXPLAIN ANALYZE SELECT sum(n) AS n FROM t"))
    assert "Workers Launched" in plan
