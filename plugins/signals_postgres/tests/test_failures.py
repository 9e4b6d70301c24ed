"""Every failure is one clear line, and never holds the password."""

from __future__ import annotations

import socket
import time
import traceback
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from parts.postgres import PostgresServer
from signals_core import Unavailable
from signals_postgres.source import Postgres

SECRET = "hunter2-and-more"
FORM = "(write it like postgresql://user:password@host:5432/database)"
Make = Callable[..., Postgres]


def failure_of(source: Postgres) -> Exception:
    """Open the source, which fails, and check what holds for every failure."""
    with pytest.raises(Exception) as caught:
        source.open()
    text = str(caught.value)
    assert "\n" not in text
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    return caught.value


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, 'postgres at {address}/postgres: password authentication failed for user "postgres"'),
        (
            {"user": "nobody"},
            'postgres at {address}/postgres: password authentication failed for user "nobody"',
        ),
        (
            {"query": "?sslmode=require"},
            "postgres at {address}/postgres: server does not support SSL, but SSL was required",
        ),
    ],
)
def test_a_refused_login_says_why(
    change: dict[str, str], message: str, postgres_server: PostgresServer, make_source: Make
) -> None:
    """A wrong password, an unknown user and missing TLS are told apart, with host and database."""
    query = change.pop("query", "")
    source = make_source(postgres_server.tcp_uri(password=SECRET, **change) + query)
    error = failure_of(source)
    assert isinstance(error, Unavailable)
    assert str(error) == message.format(address=f"127.0.0.1:{postgres_server.port}")


def test_an_unknown_database_is_told(postgres_server: PostgresServer, make_source: Make) -> None:
    """A database that does not exist is named."""
    error = failure_of(make_source(postgres_server.tcp_uri("nowhere")))
    assert isinstance(error, Unavailable)
    assert str(error).endswith('/nowhere: database "nowhere" does not exist')


def test_an_unknown_host_is_told(make_source: Make) -> None:
    """A host that no name service knows is named."""
    error = failure_of(make_source(f"postgresql://u:{SECRET}@nowhere.invalid/db"))
    assert isinstance(error, Unavailable)
    assert str(error).startswith("postgres at nowhere.invalid:5432/db: ")


def test_a_closed_port_is_told(make_source: Make) -> None:
    """Nobody listening is one line, without the question whether the server is running."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        error = failure_of(make_source(f"postgresql://u:{SECRET}@127.0.0.1:{port}/db"))
    assert isinstance(error, Unavailable)
    assert str(error) == f"postgres at 127.0.0.1:{port}/db: Connection refused"


def test_a_host_that_does_not_answer_is_given_up(make_source: Make) -> None:
    """Past `connect_timeout` a server that takes the connection and says nothing is unavailable."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"postgresql://u:{SECRET}@127.0.0.1:{silent.getsockname()[1]}/db"
        began = time.monotonic()
        error = failure_of(make_source(uri, connect_timeout=timedelta(seconds=1)))
    assert isinstance(error, Unavailable)
    assert "timeout" in str(error)
    assert time.monotonic() - began < 5


def test_too_many_connections_are_unavailable(
    postgres_server: PostgresServer, make_source: Make
) -> None:
    """A role at its connection limit is worth another try later."""
    postgres_server.execute(
        f"DROP ROLE IF EXISTS narrow; CREATE ROLE narrow LOGIN PASSWORD '{SECRET}'"
        " CONNECTION LIMIT 0"
    )
    uri = postgres_server.tcp_uri(user="narrow", password=SECRET)
    error = failure_of(make_source(uri))
    assert isinstance(error, Unavailable)
    assert str(error).endswith('/postgres: too many connections for role "narrow"')


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        (f"mysql://u:{SECRET}@h/db", f"the uri begins with mysql:// {FORM}"),
        (SECRET, f"the uri is none that PostgreSQL understands {FORM}"),
        (
            f"postgresql://u:%zz{SECRET}@h/db",
            f"the uri is none that PostgreSQL understands {FORM}",
        ),
        (
            f"postgresql://u:{SECRET}@h/db?pool=5",
            "the uri has a parameter that PostgreSQL does not know: pool",
        ),
        (
            f"postgresql://u:{SECRET}@one,two/db",
            (
                "the uri names several servers, one,two, and not which of them to read "
                "(add target_session_attrs=read-write, the primary)"
            ),
        ),
        (
            f"postgresql://u:{SECRET}@one,two/db?target_session_attrs=any",
            (
                "the uri names several servers, one,two, and not which of them to read "
                "(add target_session_attrs=read-write, the primary)"
            ),
        ),
    ],
)
def test_a_uri_that_cannot_be_right_is_told_without_it(
    uri: str, message: str, make_source: Make
) -> None:
    """A mistake in the URI is said before anything connects, and shows no part that is secret."""
    error = failure_of(make_source(uri))
    assert isinstance(error, ValueError)
    assert str(error) == message


def test_several_servers_with_a_primary_are_fine(
    postgres_server: PostgresServer, make_source: Make, read: Callable[..., list[Any]]
) -> None:
    """A URI of several servers that asks for the primary finds it."""
    uri = postgres_server.tcp_uri().replace("@", "@127.0.0.1:1,")
    source = make_source(f"{uri}?target_session_attrs=read-write")
    assert read("SELECT 1 AS a", of=source) == [{"a": 1}]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT 1 / 0 AS a", "division by zero"),
        (
            "SELECT :window_start AS a,\n  missing",
            'column "missing" does not exist (line 2, column 3 of the query)',
        ),
        (
            "SELECT a FROM nowhere",
            'relation "nowhere" does not exist (line 1, column 15 of the query)',
        ),
        ("SELEC 1", 'syntax error at or near "SELEC" (line 1, column 1 of the query)'),
        (
            "SELECT upper(1)",
            (
                "function upper(integer) does not exist (line 1, column 8 of the query; "
                "No function of that name accepts the given argument types. "
                "You might need to add explicit type casts.)"
            ),
        ),
        ("SELECT 'infinity'::timestamptz AS a", "timestamp too large (after year 10K): 'infinity'"),
    ],
)
def test_a_failed_query_says_what_and_where(
    sql: str, message: str, read: Callable[..., list[Any]]
) -> None:
    """The server's own words, the place in the query as written, and its hint, on one line."""
    with pytest.raises(Exception) as caught:
        read(sql, day="2026-01-01")
    if "upper" in sql:
        assert str(caught.value).startswith(message.partition(" (")[0])
    else:
        assert str(caught.value) == message
    assert caught.value.__cause__ is not None


def test_a_failed_query_does_not_make_the_source_unavailable(
    read: Callable[..., list[Any]],
) -> None:
    """What is wrong with one query ends no pass of others."""
    with pytest.raises(Exception) as caught:
        read("SELECT 1 / 0 AS a")
    assert not isinstance(caught.value, Unavailable)


def test_a_connection_ended_by_an_administrator_is_unavailable(
    read: Callable[..., list[Any]],
) -> None:
    """`pg_terminate_backend` during a reading is worth another try."""
    with pytest.raises(Unavailable, match="the connection was lost: terminating connection due to"):
        read("SELECT pg_terminate_backend(pg_backend_pid()) AS a")
