"""Connections: how many there are, whose they are, and what becomes of dead ones."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from parts.postgres import PASSWORD, PostgresServer
from signals_core import Request, Secret, Unavailable
from signals_postgres.source import Postgres

Execute = Callable[[str], list[Any]]

CONNECTED = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
)
PID = "SELECT pg_backend_pid() AS pid"


def test_there_are_never_more_connections_than_allowed(
    make_source: Callable[..., Postgres], ask: Callable[..., Request], database: str
) -> None:
    """Readings, watermarks and checks in many threads share `max_connections` connections."""
    source = make_source(max_connections=2)
    seen: list[int] = []
    finished = threading.Event()

    def watch() -> None:
        import psycopg

        with psycopg.connect(database, autocommit=True) as watching:
            while not finished.is_set():
                seen.extend(count for (count,) in watching.execute(CONNECTED))

    def use(number: int) -> object:
        if number % 3 == 1:
            return source.watermark()
        if number % 3 == 2:
            return source.check(Postgres.Query("SELECT 1 AS a"))
        return list(source.read(ask("SELECT 1 AS a, pg_sleep(0.02)::text AS b")))

    with ThreadPoolExecutor(9) as threads:
        watcher = threads.submit(watch)
        try:
            assert all(threads.map(use, range(120)))
        finally:
            finished.set()
        watcher.result()
    assert max(seen) == 2


def test_a_connection_is_used_again(read: Callable[..., list[Any]], source: Postgres) -> None:
    """Readings that follow each other share one connection, and so does what opens the source."""
    source.open()
    assert read(PID) == read(PID)


def test_a_connection_that_failed_is_not(read: Callable[..., list[Any]]) -> None:
    """After an error the next reading has a connection of its own."""
    before = read(PID)
    with pytest.raises(Exception, match="division by zero"):
        read("SELECT 1/0 AS a")
    assert read(PID) != before


def test_closing_lets_go_of_all_and_may_be_repeated(
    source: Postgres, read: Callable[..., list[Any]], execute: Execute
) -> None:
    """`close()` works before `open()`, twice, and from another thread; `open()` works again."""
    source.close()
    source.open()
    thread = threading.Thread(target=source.close)
    thread.start()
    thread.join()
    source.close()
    assert execute("SELECT pg_sleep(0.05)") and execute(CONNECTED) == [(0,)]
    source.open()
    assert read("SELECT 1 AS a") == [{"a": 1}]


def test_a_restart_of_the_server_does_not_fail_a_reading(
    make_postgres: Callable[[], PostgresServer], ask: Callable[..., Request]
) -> None:
    """A connection that died while it was idle is replaced before anything is read."""
    server = make_postgres()
    source = Postgres(Secret(server.uri), max_connections=2)
    source.open()
    server.restart()
    assert list(source.read(ask("SELECT 1 AS a"))) == [{"a": 1}]
    server.stop()
    with pytest.raises(Unavailable, match=r"^postgres at \S+/postgres: .*No such file"):
        list(source.read(ask("SELECT 1 AS a")))
    server.start()
    assert list(source.read(ask("SELECT 1 AS a"))) == [{"a": 1}]
    source.close()


def test_a_server_that_stops_during_a_reading_is_unavailable(
    make_postgres: Callable[[], PostgresServer], ask: Callable[..., Request]
) -> None:
    """A connection that breaks between rows is said to be lost: the source is unavailable."""
    server = make_postgres()
    source = Postgres(Secret(server.uri))
    rows = source.read(ask("SELECT generate_series(1, 10000000) AS n"))
    next(rows)
    server.stop()
    with pytest.raises(Unavailable, match=r"^postgres at \S+/postgres: the connection was lost: "):
        list(rows)
    source.close()


def test_a_connection_lost_after_the_last_row_fails_nothing(
    source: Postgres, ask: Callable[..., Request], execute: Execute
) -> None:
    """Rows that have all arrived are a reading, though the connection does not live to its end."""
    rows = source.read(ask("SELECT generate_series(1, 3) AS n, pg_backend_pid() AS pid"))
    pid = next(rows)["pid"]
    execute(f"SELECT pg_terminate_backend({pid}, 5000)")
    assert [row["n"] for row in rows] == [2, 3]
    assert list(source.read(ask("SELECT 1 AS a"))) == [{"a": 1}]


def test_a_rotated_password_is_taken_up_at_the_next_connect(
    postgres_server: PostgresServer, ask: Callable[..., Request], tmp_path: Path
) -> None:
    """The URI's secret is resolved at every connect, not when the source is built."""
    password = tmp_path / "password"
    template = (
        f"postgresql://postgres:${{file:{password}}}@127.0.0.1:{postgres_server.port}/postgres"
    )
    password.write_text("not-yet")
    source = Postgres(Secret(template))
    with pytest.raises(Unavailable):
        source.open()
    password.write_text(PASSWORD.replace(" ", "%20"))
    source.open()
    assert list(source.read(ask("SELECT 1 AS a"))) == [{"a": 1}]
    source.close()
