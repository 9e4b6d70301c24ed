"""Queries that would do more than read, each run as a superuser."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from parts.postgres import PostgresServer
from signals_postgres.source import Postgres

SEVERAL = "the query holds several commands (write one SELECT)"
ONLY_READS = "in a read-only transaction (a source only reads: write one SELECT)"

HOSTILE = {
    "several commands": ("SELECT 1 AS a; DELETE FROM users", SEVERAL),
    "several commands with a parameter": ("SELECT :window_end; DROP TABLE users", SEVERAL),
    "commit and drop": ("COMMIT; DROP TABLE users", SEVERAL),
    "begin read write": ("BEGIN READ WRITE; DELETE FROM users; COMMIT", SEVERAL),
    "begin": ("BEGIN READ WRITE", "BEGIN is no query: it returns no columns (write one SELECT)"),
    "commit": ("COMMIT", "COMMIT is no query: it returns no columns (write one SELECT)"),
    "set": (
        "SET transaction_read_only = off",
        "SET is no query: it returns no columns (write one SELECT)",
    ),
    "set session": (
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
        "SET is no query: it returns no columns (write one SELECT)",
    ),
    "do": (
        "DO $$ BEGIN DELETE FROM users; END $$",
        "DO is no query: it returns no columns (write one SELECT)",
    ),
    "lock": (
        "LOCK TABLE users IN ACCESS EXCLUSIVE MODE",
        "LOCK is no query: it returns no columns (write one SELECT)",
    ),
    "copy to program": (
        "COPY (SELECT 1) TO PROGRAM 'cat > {folder}/written'",
        "COPY is no query: it returns no columns (write one SELECT)",
    ),
    "listen": ("LISTEN news", "LISTEN is no query: it returns no columns (write one SELECT)"),
    "prepare": (
        "/* harmless */ PREPARE x AS DELETE FROM users",
        "PREPARE is no query: it returns no columns (write one SELECT)",
    ),
    "create table as": (
        "SELECT * INTO copy_of_users FROM users",
        "SELECT is no query: it returns no columns (write one SELECT)",
    ),
    "delete returning": (
        "DELETE FROM users RETURNING id",
        f"the query writes: cannot execute DELETE {ONLY_READS}",
    ),
    "writing cte": (
        "WITH gone AS (DELETE FROM users RETURNING id) SELECT count(*) AS n FROM gone",
        f"the query writes: cannot execute SELECT {ONLY_READS}",
    ),
    "function that deletes": (
        "SELECT empty_users() AS n",
        f"the query writes: cannot execute DELETE {ONLY_READS}",
    ),
    "setval": (
        "SELECT setval('users_id_seq', 1000) AS n",
        f"the query writes: cannot execute setval() {ONLY_READS}",
    ),
    "select for update": (
        "SELECT id FROM users FOR UPDATE",
        f"the query writes: cannot execute SELECT FOR UPDATE {ONLY_READS}",
    ),
    "set_config": (
        "SELECT set_config('transaction_read_only', 'off', false) AS a",
        "transaction read-write mode must be set before any query",
    ),
    "explain analyze": (
        "EXPLAIN ANALYZE DELETE FROM users",
        f"the query writes: cannot execute DELETE {ONLY_READS}",
    ),
}


@pytest.fixture
def users(execute: Callable[[str], list[Any]]) -> Callable[[], list[Any]]:
    """Make a table, a sequence and a function that deletes; return what shows their state."""
    execute(
        "CREATE TABLE users (id serial, name text);"
        "INSERT INTO users (name) VALUES ('a'), ('b');"
        "CREATE FUNCTION empty_users() RETURNS int LANGUAGE sql AS"
        " 'DELETE FROM users; SELECT 1';"
    )
    state = "SELECT (SELECT array_agg(name ORDER BY id) FROM users), last_value FROM users_id_seq"
    return lambda: execute(state)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_query_changes_nothing(
    name: str,
    source: Postgres,
    read: Callable[..., list[Any]],
    users: Callable[[], list[Any]],
    postgres_server: PostgresServer,
) -> None:
    """A superuser's query that would write is refused with one line, and all is as it was."""
    sql, message = HOSTILE[name]
    before = users()
    with pytest.raises(Exception) as caught:
        read(sql.format(folder=postgres_server.folder), day="2026-01-01")
    assert str(caught.value) == message
    assert users() == before == [(["a", "b"], 2)]
    assert not (postgres_server.folder / "written").exists()
    assert read("SELECT current_setting('transaction_read_only') AS a") == [{"a": "on"}]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_check_executes_nothing(
    name: str, source: Postgres, users: Callable[[], list[Any]], postgres_server: PostgresServer
) -> None:
    """`check` of a query that would write leaves all as it was, whether it sees it or not."""
    sql, _ = HOSTILE[name]
    before = users()
    with suppress(Exception):
        source.check(Postgres.Query(sql.format(folder=postgres_server.folder)))
    assert users() == before
    assert not (postgres_server.folder / "written").exists()


def test_two_columns_of_one_name_are_refused(read: Callable[..., list[Any]]) -> None:
    """A result in which one column would hide another is refused by the column's name."""
    with pytest.raises(Exception, match=r"^two columns are named 'n' \(name them apart with AS\)$"):
        read("SELECT 1 AS n, 2 AS n")


def test_settings_of_a_query_end_with_it(read: Callable[..., list[Any]]) -> None:
    """What a query sets in its session is gone when the connection is used again."""
    assert read("SELECT set_config('search_path', 'nowhere', false) AS a, pg_backend_pid() AS pid")
    [row] = read("SELECT current_setting('search_path') AS a")
    assert row == {"a": '"$user", public'}


def test_a_session_lock_ends_with_its_reading(
    read: Callable[..., list[Any]], execute: Callable[[str], list[Any]]
) -> None:
    """An advisory lock of the session, which outlives a rollback, does not outlive a reading."""
    assert read("SELECT pg_advisory_lock(7)::text AS a")
    assert execute("SELECT pg_try_advisory_lock(7)") == [(True,)]
