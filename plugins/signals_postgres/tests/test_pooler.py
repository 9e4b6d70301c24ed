"""Behind pgbouncer in transaction mode, where every transaction may meet another server process."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from parts.postgres import PostgresServer, name_of, wait_until
from signals_core import Request
from signals_postgres.source import Postgres


@pytest.fixture
def pooled(postgres_server: PostgresServer, database: str, tmp_path: Path) -> Iterator[str]:
    """Return the URI of the test's database through a pooler with two server connections."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    name = name_of(database)
    server = f"host={postgres_server.folder} port={postgres_server.port} user=postgres"
    settings = tmp_path / "pgbouncer.ini"
    settings.write_text(
        f"[databases]\n{name} = {server}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
        f"listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\n"
        "default_pool_size = 2\n"
    )
    settings.chmod(0o644)
    tmp_path.chmod(0o755)
    user = ["-u", postgres_server.runs_as] if postgres_server.runs_as else []
    pooler = subprocess.Popen(
        ["pgbouncer", "-q", *user, settings], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: is_listening(port))
        yield f"postgresql://postgres@127.0.0.1:{port}/{name}"
    finally:
        pooler.terminate()
        pooler.wait(10)


def is_listening(port: int) -> bool:
    """Whether somebody takes connections on the port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_readings_go_through_a_pooler(
    pooled: str, make_source: Callable[..., Postgres], ask: Callable[..., Request]
) -> None:
    """No startup option and no prepared statement's name stands in a pooler's way."""
    source = make_source(pooled, max_connections=4)
    source.open()
    sql = "SELECT n, :window_end AS t FROM generate_series(1, 3) AS n"

    def read(number: int) -> list[Any]:
        request = ask(f"{sql} WHERE n <> {number % 7}", day="2026-01-01", origin=f"run {number}")
        return [row["n"] for row in source.read(request)]

    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(read, range(70)))
    assert results == [[n for n in (1, 2, 3) if n != number % 7] for number in range(70)]
    assert source.watermark() is not None
    assert source.check(Postgres.Query("SELECT 1 AS a")) == ["a"]


def test_what_a_reading_sets_stays_out_of_the_pooler(
    pooled: str, make_source: Callable[..., Postgres], read: Callable[..., list[Any]]
) -> None:
    """The next user of a server connection finds none of a reading's settings."""
    import psycopg

    source = make_source(pooled, timezone="Asia/Tokyo")
    [row] = read("SELECT current_setting('TimeZone') AS zone", of=source)
    assert row == {"zone": "Asia/Tokyo"}
    with psycopg.connect(pooled, autocommit=True) as other:
        found = other.execute(
            "SELECT current_setting('statement_timeout'),"
            " current_setting('TimeZone') = 'Asia/Tokyo'"
        ).fetchone()
    assert found == ("0", False)
