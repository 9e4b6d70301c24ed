"""Readings that end early: by the server, by us, by Ctrl-C, or because no more rows are wanted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from parts.postgres import PostgresServer, wait_until
from signals_core import Cancelled, Request, Secret
from signals_postgres.source import Postgres

Execute = Callable[[str], list[Any]]
Ask = Callable[..., Request]

RUNNING = (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND state = 'active'"
    " AND pid <> pg_backend_pid()"
)
CONNECTED = (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
    " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
)
INTERRUPTIBLE = """
import sys
from signals_core import Request, Secret
from signals_postgres.source import Postgres
source = Postgres(Secret(sys.argv[1]))
try:
    list(source.read(Request("c", Postgres.Query("SELECT pg_sleep(60)"))))
except KeyboardInterrupt:
    source.close()
    print("interrupted")
"""


class Watch:
    """A clock that shows the seconds it is told."""

    seconds = 0.0

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return self.seconds

    def wait(self, condition: threading.Condition, seconds: float | None) -> bool:
        return condition.wait(seconds)


@contextmanager
def in_thread(call: Callable[[], Any]) -> Iterator[list[BaseException]]:
    """Run `call` beside the test; the list holds what it raised once the block is left."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001  # the test looks at it
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield raised
    finally:
        thread.join(20)


def test_the_server_ends_a_query_that_runs_too_long(
    source: Postgres, ask: Ask, execute: Execute
) -> None:
    """Past the request's timeout it is the server that ends the query, and the error says so."""
    told = r"^the query was ended by the server after 0\.3\d* s \(timeout\)$"
    with pytest.raises(TimeoutError, match=told):
        list(source.read(ask("SELECT pg_sleep(60)", timeout=0.4)))
    assert not execute(RUNNING)


def test_a_cancel_ends_the_query_at_the_server(
    source: Postgres, ask: Ask, execute: Execute
) -> None:
    """`request.cancel()` from another thread ends a sleeping query within a second."""
    request = ask("SELECT pg_sleep(60)")
    with in_thread(lambda: list(source.read(request))) as raised:
        wait_until(lambda: execute(RUNNING))
        began = time.monotonic()
        request.cancel("enough")
        wait_until(lambda: not execute(RUNNING))
        assert time.monotonic() - began < 1
    assert [(type(error), str(error)) for error in raised] == [(Cancelled, "enough")]
    wait_until(lambda: not execute(CONNECTED))


def test_a_cancel_between_rows_ends_the_reading(
    source: Postgres, ask: Ask, execute: Execute
) -> None:
    """A reading that is told to stop while rows come stops at the next block of rows."""
    request = ask("SELECT generate_series(1, 10000000) AS n")
    rows = source.read(request)
    next(rows)
    request.cancel("enough")
    with pytest.raises(Cancelled, match=r"^enough$"):
        list(rows)
    wait_until(lambda: not execute(CONNECTED))


def test_a_reading_that_is_late_stops_between_rows(source: Postgres, execute: Execute) -> None:
    """Past its time a reading takes no more rows, and ends the query that makes them."""
    clock = Watch()
    query = Postgres.Query(
        "SELECT n, repeat('x', 1000) AS a, CASE WHEN n = 250 THEN pg_sleep(60)::text END AS b"
        " FROM generate_series(1, 2000) AS n"
    )
    rows = source.read(Request("test", query, timeout=30, clock=clock))
    next(rows)
    clock.seconds = 31
    with pytest.raises(Cancelled, match=r"^the read took longer than its timeout of 30 s$"):
        list(rows)
    wait_until(lambda: not execute(RUNNING))


def test_a_late_cancel_does_not_hit_the_next_reading(
    source: Postgres, ask: Ask, execute: Execute
) -> None:
    """An abort kept from a finished reading does nothing to the connection's next user."""
    request = ask("SELECT 1 AS a")
    rows = source.read(request)
    next(rows)
    late = list(request._aborts)
    assert list(rows) == []
    with in_thread(lambda: list(source.read(ask("SELECT pg_sleep(0.5)")))) as raised:
        wait_until(lambda: execute(RUNNING))
        for abort in late:
            abort()
    assert late
    assert raised == []


def test_rows_that_nobody_wants_are_not_read(source: Postgres, ask: Ask, execute: Execute) -> None:
    """Giving up after some rows ends the query at once, and frees its connection."""
    rows = source.read(ask("SELECT generate_series(1, 100000000) AS n"))
    assert [next(rows)["n"] for _ in range(3)] == [1, 2, 3]
    began = time.monotonic()
    rows.close()  # type: ignore[attr-defined]
    assert time.monotonic() - began < 1
    wait_until(lambda: not execute(CONNECTED))
    assert list(source.read(ask("SELECT 1 AS a"))) == [{"a": 1}]


def test_ctrl_c_ends_the_query_at_the_server(database: str, execute: Execute) -> None:
    """A program that is interrupted while it reads leaves no query behind."""
    program = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE, database], stdout=subprocess.PIPE, text=True
    )
    with program:
        wait_until(lambda: execute(RUNNING))
        began = time.monotonic()
        program.send_signal(signal.SIGINT)
        wait_until(lambda: not execute(RUNNING))
        assert time.monotonic() - began < 1
        assert program.communicate() == ("interrupted\n", None)


def test_a_server_that_does_not_answer_is_hung_up_on(
    make_postgres: Callable[[], PostgresServer], ask: Ask
) -> None:
    """Where the cancel itself finds no answer, the reading ends all the same."""
    server = make_postgres()
    source = Postgres(Secret(server.tcp_uri()))
    request = ask("SELECT pg_sleep(60)", timeout=60)
    with in_thread(lambda: list(source.read(request))) as raised:
        wait_until(lambda: server.execute(RUNNING))
        [(backend,)] = server.execute(RUNNING)
        postmaster = int((server.data / "postmaster.pid").read_text().split()[0])
        frozen = [postmaster, backend]
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        try:
            request.cancel("enough")
            wait_until(lambda: raised, 5)
        finally:
            for pid in frozen:
                os.kill(pid, signal.SIGCONT)
    source.close()
    assert [(type(error), str(error)) for error in raised] == [(Cancelled, "enough")]


def test_a_lock_is_not_waited_for_without_end(source: Postgres, ask: Ask, database: str) -> None:
    """A table that another session has locked is given up, and the error says why."""
    import psycopg

    with psycopg.connect(database) as other:
        other.execute("CREATE TABLE t (n int)")
        other.commit()
        other.execute("LOCK TABLE t")
        with pytest.raises(TimeoutError, match=r"^the query was ended by the server after "):
            list(source.read(ask("SELECT n FROM t", timeout=0.3)))
