"""The built-in types keep the promises of the plugin API."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from signals_core import Metric
from signals_core.builtin.console import Console
from signals_core.builtin.file import File
from signals_core.builtin.schedules import Cron, Interval
from signals_core.builtin.sqlite import Sqlite
from signals_core.testing import ScheduleSuite, SinkSuite, SourceSuite

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS value FROM n"


class TestInterval(ScheduleSuite):
    """The schedule `interval`."""

    type = "interval"
    schedule = Interval(timedelta(minutes=7))


class TestCron(ScheduleSuite):
    """The schedule `cron`, in the zone of the moment."""

    type = "cron"
    schedule = Cron("30 2 * * *")


class TestCronOfAZone(ScheduleSuite):
    """The schedule `cron`, in a zone of its own."""

    type = "cron"
    schedule = Cron("*/30 1-3 * * *", "Europe/Paris")


class TestSqlite(SourceSuite):
    """The source `sqlite`."""

    type = "sqlite"
    query = Sqlite.Query(
        "SELECT kind, count(*) AS value FROM items "
        "WHERE at >= :window_start AND at < :window_end GROUP BY kind"
    )
    endless = Sqlite.Query(ENDLESS)
    slow = Sqlite.Query(f"SELECT count(*) AS value FROM ({ENDLESS})")
    many = Sqlite.Query("SELECT id, version FROM items")
    wrong = Sqlite.Query("SELECT 1 AS value WHERE :window_begin")
    failing = Sqlite.Query("SELECT value FROM nowhere")

    @pytest.fixture
    def database(self, tmp_path: Path) -> Path:
        """A file with items of the suite's window."""
        path = tmp_path / "shop.db"
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("CREATE TABLE items (id INTEGER PRIMARY KEY, kind, version, at)")
            connection.executemany(
                "INSERT INTO items (kind, version, at) VALUES (?, 1, '2026-01-01 12:00:00')",
                [(f"kind {number % 5}",) for number in range(5000)],
            )
        connection.close()
        return path

    @pytest.fixture
    def source(self, database: Path) -> Sqlite:
        """A source on it."""
        return Sqlite(database)

    @pytest.fixture
    def unreachable(self, tmp_path: Path) -> Sqlite:
        """A source on a file that is not there."""
        return Sqlite(tmp_path / "nowhere.db")

    @pytest.fixture
    def change(self, database: Path) -> Callable[[], None]:
        """Change all items."""

        def change() -> None:
            with sqlite3.connect(database) as connection:
                connection.execute("UPDATE items SET version = version + 1")
            connection.close()

        return change

    @pytest.fixture
    def down(self, database: Path) -> Any:
        """Take the file away for a while."""

        @contextmanager
        def down():
            aside = database.with_suffix(".aside")
            database.rename(aside)
            yield
            aside.rename(database)

        return down


class TestSqliteSnapshots(TestSqlite):
    """The source `sqlite` with a query that has no window."""

    query = Sqlite.Query("SELECT kind, count(*) AS value FROM items GROUP BY kind")


class TestFile(SinkSuite):
    """The sink `file`."""

    type = "file"
    left_out = {
        "rejects": "a disk takes any metric",
        "retry_after": "a disk asks for no pause",
    }

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """The folder of the file."""
        (tmp_path / "kept").mkdir()
        return tmp_path / "kept"

    @pytest.fixture
    def sink(self, folder: Path) -> File:
        """A sink that appends to a file in it."""
        return File(folder / "metrics.jsonl")

    @pytest.fixture
    def received(self, folder: Path) -> Callable[[], list[Metric]]:
        """Read the file."""
        file = folder / "metrics.jsonl"
        return lambda: (
            [Metric.decode(line) for line in file.read_bytes().splitlines()]
            if file.exists()
            else []
        )

    @pytest.fixture
    def unreachable(self, tmp_path: Path) -> File:
        """A sink in a folder that is not there."""
        return File(tmp_path / "nowhere" / "metrics.jsonl")

    @pytest.fixture
    def down(self, folder: Path) -> Any:
        """Put a folder in the file's place for a while."""

        @contextmanager
        def down():
            (folder / "metrics.jsonl").rename(folder / "aside")
            (folder / "metrics.jsonl").mkdir()
            yield
            (folder / "metrics.jsonl").rmdir()
            (folder / "aside").rename(folder / "metrics.jsonl")

        return down


class TestConsole(SinkSuite):
    """The sink `console`."""

    type = "console"
    sink = Console()
    left_out = {
        "killed": "a pipe keeps what was torn; the next batch begins on a line of its own",
        "rejects": "a pipe takes any metric",
        "retry_after": "a pipe asks for no pause",
        "unavailable": "standard output has no address",
        "recovers": "who closes the pipe does not come back",
    }

    @pytest.fixture
    def received(self, capfd: pytest.CaptureFixture[str]) -> Callable[[], list[Metric]]:
        """Return what was printed so far."""
        printed: list[Metric] = []

        def received() -> list[Metric]:
            lines = capfd.readouterr().out.encode().split(b"\n")
            printed.extend(Metric.decode(line) for line in lines if line)
            return printed.copy()

        return received
