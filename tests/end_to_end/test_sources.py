"""Sources in use: few connections, reads that end, and what time means."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from parts.command import Signals, begun
from parts.postgres import PostgresServer, name_of, wait_until
from signals_core import Runner

Write = Callable[[str, str], Path]


def test_two_connections_for_two_hundred_collectors(
    write: Write, project: Path, users: str
) -> None:
    """Collectors on one shared source never hold more connections than it allows."""
    write(
        "signals.yaml",
        f"""
        version: 1
        sources:
          shop: {{type: postgres, config: {{uri: "{users}", max_connections: 2}}}}
        """,
    )
    for number in range(200):
        write(
            f"collectors/c{number}.yaml",
            f"""
            name: c{number}
            metric: {{name: users, type: COUNT}}
            schedule: {{interval: 1m}}
            source:
              use: shop
              config: {{sql: "SELECT count(*) AS value FROM users, pg_sleep(0.005)"}}
            sinks: {{console: {{type: console}}}}
            """,
        )
    most, done = 0, threading.Event()

    def watch() -> None:
        nonlocal most
        with psycopg.connect(users, autocommit=True) as connection:
            while not done.is_set():
                row = connection.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'signals%'"
                ).fetchone()
                assert row is not None
                most = max(most, row[0])

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with Runner.load(project) as runner, ThreadPoolExecutor(20) as pool:
            names = [collector.name for collector in runner.collectors]
            readings = list(pool.map(runner.read, names))
    finally:
        done.set()
        watcher.join()
    assert len(readings) == 200
    assert all(reading.metrics[0].value == 5 for reading in readings)
    assert most == 2


SLOW = """
name: slow
metric: {{name: slow, type: GAUGE}}
schedule: {{interval: 1m}}
timeout: {timeout}
source:
  type: postgres
  config: {{uri: "{uri}", sql: "SELECT 1 AS value FROM (SELECT pg_sleep(60)) nap"}}
sinks: {{console: {{type: console}}}}
"""


def naps(uri: str) -> int:
    """Return how many of the slow queries run at the server."""
    with psycopg.connect(uri, autocommit=True) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'active'"
            " AND query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()"
        ).fetchone()
    assert row is not None
    return int(row[0])


def test_timeout_is_kept_by_the_server(signals: Signals, write: Write, users: str) -> None:
    """A query that runs too long is ended by the server, and told so."""
    write("slow.yaml", SLOW.format(uri=users, timeout="1s"))
    done = signals("config", "invoke", "-c", "slow.yaml")
    assert done.returncode == 1
    assert "slow: the query was ended by the server" in done.stderr
    assert naps(users) == 0


def test_interrupt_cancels_at_the_server(write: Write, project: Path, users: str) -> None:
    """Ctrl-C ends the query at the server within a second, and the command with 130."""
    write("slow.yaml", SLOW.format(uri=users, timeout="60s"))
    with begun(project, "config", "invoke", "-c", "slow.yaml") as process:
        wait_until(lambda: naps(users) == 1)
        process.send_signal(signal.SIGINT)
        wait_until(lambda: naps(users) == 0, seconds=1)
        _, said = process.communicate(timeout=10)
    assert process.returncode == 130
    assert said.strip() == "interrupted"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_check_is_cancelled_at_the_server(
    write: Write, project: Path, users: str, number: signal.Signals
) -> None:
    """A signal ends what `config check` asks the server, and the command with 130."""
    sql = "SELECT count(*) AS value FROM users"
    text = SLOW.format(uri=users, timeout="60s").replace(
        "SELECT 1 AS value FROM (SELECT pg_sleep(60)) nap", sql
    )
    write("locked.yaml", text)
    with psycopg.connect(users) as connection:
        connection.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")

        def waiting() -> int:
            row = connection.execute(
                "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'users'::regclass"
            ).fetchone()
            assert row is not None
            return int(row[0])

        with begun(project, "config", "check", "-c", "locked.yaml") as process:
            wait_until(lambda: waiting() == 1)
            process.send_signal(number)
            wait_until(lambda: waiting() == 0, seconds=1)
            _, said = process.communicate(timeout=10)
    assert process.returncode == 130
    assert said.strip() == "interrupted"


@pytest.mark.parametrize("zone", ["UTC", "Europe/Paris", "America/New_York"])
def test_timestamp_without_zone(
    postgres_server: PostgresServer, write: Write, project: Path, users: str, zone: str
) -> None:
    """A `timestamp` column without zone gives one answer under every time zone of the server."""
    name = name_of(users)
    postgres_server.execute(f"ALTER DATABASE {name} SET timezone = '{zone}'")
    with psycopg.connect(users, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE visits AS SELECT timestamp '2026-01-01' + i * interval '1 minute' AS at"
            " FROM generate_series(0, 2879) i"
        )
    write(
        "visits.yaml",
        f"""
        name: visits
        metric: {{name: visits, type: COUNT}}
        grain: 1d
        window: {{start: 2026-01-01}}
        source:
          type: postgres
          config:
            uri: "{users}"
            sql: SELECT count(*) AS value FROM visits WHERE at >= :window_start AND at < :window_end
        sinks: {{console: {{type: console}}}}
        """,
    )
    with Runner.load(project) as runner:
        reading = runner.read("visits", datetime(2026, 1, 1, 12, tzinfo=UTC))
    assert [metric.value for metric in reading.metrics] == [1440]


def test_date_column_west_of_utc(write: Write, project: Path, users: str) -> None:
    """A `date` column gives the right day west of UTC with the local bounds."""
    with psycopg.connect(users, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE sales AS SELECT date '2026-01-01' + i AS day, i AS amount"
            " FROM generate_series(0, 9) i"
        )
    write(
        "sales.yaml",
        f"""
        name: sales
        metric: {{name: sales, type: SUM}}
        grain: 1d
        timezone: America/Los_Angeles
        window: {{}}
        source:
          type: postgres
          config:
            uri: "{users}"
            sql: |
              SELECT day, sum(amount) AS value FROM sales
              WHERE day >= :window_start_local AND day < :window_end_local GROUP BY day
        sinks: {{console: {{type: console}}}}
        """,
    )
    with Runner.load(project) as runner:
        reading = runner.read("sales", datetime(2026, 1, 5, 12, tzinfo=UTC))
    assert [(metric.tags["day"], metric.value) for metric in reading.metrics] == [("2026-01-05", 4)]


def test_latest_due_window(write: Write, project: Path, users: str) -> None:
    """A windowed collector reads the latest window whose end and grace have passed."""
    write(
        "signups.yaml",
        f"""
        name: signups
        metric: {{name: signups, type: COUNT}}
        grain: 1s
        window: {{grace: 2s}}
        source:
          type: postgres
          config:
            uri: "{users}"
            sql: |
              SELECT count(*) AS value FROM users
              WHERE signup_time >= :window_start AND signup_time < :window_end
        sinks: {{console: {{type: console}}}}
        """,
    )
    with Runner.load(project) as runner:
        before = datetime.now(UTC)
        reading = runner.read("signups")
        after = datetime.now(UTC)
    assert reading.window is not None
    assert (after - reading.window.end).total_seconds() >= 2
    assert (before - reading.window.end).total_seconds() < 4


def test_several_collectors_are_named(signals: Signals, write: Write, users: str) -> None:
    """Without a name, where one is needed, the collectors there are are listed."""
    for name in ("a", "b"):
        write(
            f"{name}.yaml",
            SLOW.format(uri=users, timeout="1s").replace("name: slow", f"name: {name}", 1),
        )
    done = signals("config", "invoke", "-c", ".")
    assert done.returncode == 2
    assert done.stderr.endswith("name one of the 2 collectors, or several as in '*':\n  a\n  b\n")


def test_warnings_of_a_check_name_their_collector(
    signals: Signals, write: Write, users: str
) -> None:
    """What a source warns of stands with the collector that it is about, in JSON too."""
    for name in ("one", "two"):
        write(
            f"{name}.yaml",
            f"""
            name: {name}
            metric: {{name: users, type: COUNT}}
            schedule: {{interval: 1m}}
            source:
              type: postgres
              config: {{uri: "{users}", sql: SELECT count(*) AS value FROM users}}
            sinks: {{console: {{type: console}}}}
            """,
        )
    done = signals("config", "check", ".")
    assert done.returncode == 0
    for line, name in zip(done.stderr.splitlines(), ("one", "two"), strict=True):
        assert line.startswith(f"collector {name}: warning: the role postgres is a superuser")
    one, two, console = json.loads(signals("config", "check", "--json", ".").stdout)
    assert one["warnings"] == two["warnings"] != []
    assert (console["subject"], console["warnings"]) == ("sink console", [])
