"""`config check`: columns, rights and advice, without reading data."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from parts.postgres import PostgresServer
from signals_postgres.source import Postgres

Execute = Callable[[str], list[Any]]
Check = Callable[..., tuple[list[str], list[str]]]

SUPERUSER = "the role postgres is a superuser: for this query a role "
WOULD_DO = "of its own would do with no more than "


@pytest.fixture
def check(source: Postgres, caplog: pytest.LogCaptureFixture) -> Check:
    """Return a function that checks a query: its columns, and the warnings it logged."""

    def check(sql: str, of: Postgres = source) -> tuple[list[str], list[str]]:
        caplog.clear()
        with caplog.at_level(logging.WARNING, "signals.postgres"):
            columns = of.check(Postgres.Query(sql))
        return columns, caplog.messages

    return check


@pytest.fixture
def shop(execute: Execute) -> None:
    """Make a schema with tables, a partitioned table and views."""
    execute(
        "CREATE SCHEMA shop;"
        "CREATE TABLE shop.orders (id int, country text, day date, t timestamptz);"
        'CREATE TABLE shop."Odd Name" (id int);'
        "CREATE TABLE shop.parts (day date, n int) PARTITION BY RANGE (day);"
        "CREATE TABLE shop.parts_26 PARTITION OF shop.parts"
        " FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');"
        "CREATE VIEW shop.by_country AS SELECT country, count(*) AS n FROM shop.orders GROUP BY 1;"
        "CREATE VIEW shop.seen WITH (security_invoker = true) AS SELECT * FROM shop.orders"
    )


def test_the_columns_are_told(check: Check, shop: None) -> None:
    """`check` answers with the names of the result's columns, in their order."""
    columns, _ = check("SELECT country AS c, count(*) AS n FROM shop.orders GROUP BY 1")
    assert columns == ["c", "n"]


def test_no_data_is_read(check: Check, execute: Execute) -> None:
    """A query that would fail on its first row passes the check."""
    assert check("SELECT 1 / n AS a FROM generate_series(0, 0) AS n")[0] == ["a"]


@pytest.mark.parametrize(
    ("sql", "grants"),
    [
        ("SELECT count(*) AS n FROM shop.orders", "SCHEMA shop TO role; {} shop.orders"),
        ('SELECT id FROM shop."Odd Name"', 'SCHEMA shop TO role; {} shop."Odd Name"'),
        ("SELECT n FROM shop.by_country", "SCHEMA shop TO role; {} shop.by_country"),
        ("SELECT id FROM shop.seen", "SCHEMA shop TO role; {} shop.orders, shop.seen"),
        ("SELECT sum(n) AS n FROM shop.parts", "SCHEMA shop TO role; {} shop.parts"),
        (
            "SELECT o.id FROM shop.orders o JOIN shop.by_country b USING (country)",
            "SCHEMA shop TO role; {} shop.by_country, shop.orders",
        ),
    ],
)
def test_the_grants_are_the_ones_that_would_do(
    sql: str,
    grants: str,
    check: Check,
    make_source: Callable[..., Postgres],
    postgres_server: PostgresServer,
    execute: Execute,
    shop: None,
    database: str,
) -> None:
    """A superuser is warned with GRANTs, and a role that has them and no more can run the query."""
    expected = "GRANT USAGE ON " + grants.format("GRANT SELECT ON") + " TO role"
    _, warnings = check(sql)
    assert warnings[0] == SUPERUSER + WOULD_DO + expected

    execute("DROP ROLE IF EXISTS narrow_reader; CREATE ROLE narrow_reader LOGIN")
    reader = make_source(database.replace("postgres@", "narrow_reader@"))
    with pytest.raises(Exception, match=r"^permission denied for "):
        check(sql, of=reader)
    execute(expected.replace("TO role", "TO narrow_reader"))
    assert check(sql, of=reader)[1] == []
    execute("DROP OWNED BY narrow_reader; DROP ROLE narrow_reader")


def test_a_role_that_may_write_is_warned_of(
    check: Check,
    make_source: Callable[..., Postgres],
    execute: Execute,
    shop: None,
    database: str,
) -> None:
    """A role with a right to change any table is named."""
    execute(
        "DROP ROLE IF EXISTS writer; CREATE ROLE writer LOGIN;"
        "GRANT USAGE ON SCHEMA shop TO writer;"
        "GRANT SELECT ON shop.orders TO writer; GRANT DELETE ON shop.parts TO writer"
    )
    _, [warning] = check(
        "SELECT count(*) AS n FROM shop.orders",
        of=make_source(database.replace("postgres@", "writer@")),
    )
    assert warning.startswith("the role writer may write: ")
    execute("DROP OWNED BY writer; DROP ROLE writer")


def test_raw_data_is_warned_of(check: Check, execute: Execute) -> None:
    """A plan of more rows than a collector takes is warned of; an aggregate of them is not."""
    execute("CREATE TABLE t AS SELECT g AS n FROM generate_series(1, 150000) AS g")
    execute("ANALYZE t")
    raw = (
        "the server expects about 150000 rows from the query: that is raw data "
        "(aggregate it with GROUP BY)"
    )
    assert raw in check("SELECT n FROM t")[1]
    assert raw not in check("SELECT count(*) AS n FROM t")[1]


@pytest.mark.parametrize(
    ("condition", "warned"),
    [
        ("day >= :window_start AND day < :window_end", True),
        ("o.day >= :window_start::date AND day < :window_end::date", True),
        ("day >= :window_start_local AND day < :window_end_local", False),
        ("t >= :window_start AND t < :window_end", False),
    ],
)
def test_a_bound_in_utc_that_meets_a_date_is_warned_of(
    condition: str, warned: bool, check: Check, shop: None
) -> None:
    """Days that begin at UTC's midnight are warned of where a `date` column is compared."""
    _, warnings = check(f"SELECT count(*) AS n FROM shop.orders AS o WHERE {condition}")
    assert [text for text in warnings if text.startswith("the date column day")] == (
        [
            (
                "the date column day is compared with a bound in UTC: where the grain's zone is "
                "another one, days begin at the wrong hour "
                "(use :window_start_local and :window_end_local)"
            )
        ]
        if warned
        else []
    )


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        (
            "DELETE FROM shop.orders RETURNING id",
            "the query writes: it holds DELETE (a source only reads: write one SELECT)",
        ),
        (
            "WITH gone AS (UPDATE shop.orders SET id = 1 RETURNING id) SELECT * FROM gone",
            "the query writes: it holds UPDATE (a source only reads: write one SELECT)",
        ),
        (
            "SELECT id FROM shop.orders FOR UPDATE",
            "the query locks rows (a source only reads: leave out FOR UPDATE)",
        ),
    ],
)
def test_a_query_that_would_write_fails_the_check(
    sql: str, message: str, check: Check, shop: None
) -> None:
    """What a reading would be refused for is known from the plan."""
    with pytest.raises(Exception) as caught:
        check(sql)
    assert str(caught.value) == message


def test_what_has_no_plan_is_not_advised_on(check: Check) -> None:
    """A query such as SHOW is checked for its columns alone."""
    assert check("SHOW server_version") == (["server_version"], [])
