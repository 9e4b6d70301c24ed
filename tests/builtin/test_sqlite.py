"""What the source `sqlite` reads, and that it can do nothing else."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signals_core import Cancelled, Grain, Request, Unavailable, Window
from signals_core.builtin.parameters import parameters_of, text_of, without_end
from signals_core.builtin.sqlite import Sqlite

ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)"
ALL = {"window_start", "window_end", "window_start_local", "window_end_local"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Make a database, in a file whose name would be something else in a URI."""
    file = tmp_path / "shop?mode=rwc#%41.db"
    with closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TABLE orders (at TEXT, country TEXT, total)")
        database.executemany(
            "INSERT INTO orders VALUES (?, ?, ?)",
            [
                ("2025-12-31 22:59:59", "fr", 1),
                ("2025-12-31 23:00:00", "fr", 2.5),
                ("2026-01-01 00:00:00", "de", None),
                ("2026-01-01 22:59:59", "fr", 10**15),
                ("2026-01-01 23:00:00", "de", "text"),
            ],
        )
        database.commit()
    return file


@pytest.fixture
def source(path: Path) -> Iterator[Sqlite]:
    """Open the source and close it after the test."""
    opened = Sqlite(path)
    opened.open()
    yield opened
    opened.close()


def rows(source: Sqlite, sql: str, window: Window | None = None, **options: Any) -> list[Any]:
    """Read as the runner would."""
    return list(source.read(Request("c", Sqlite.Query(sql), window, **options)))


def test_rows_come_as_they_are(source: Sqlite) -> None:
    """A row is a mapping of its columns, in order, with SQLite's own values."""
    found = rows(source, "SELECT country, total FROM orders ORDER BY at")
    assert found[0] == {"country": "fr", "total": 1}
    assert [row["total"] for row in found] == [1, 2.5, None, 10**15, "text"]


def test_rows_are_streamed(source: Sqlite) -> None:
    """Rows come while the query runs, so a reader that has had enough leaves the rest unread."""
    endless = source.read(Request("c", Sqlite.Query(f"{ENDLESS} SELECT x FROM c")))
    assert [next(endless)["x"] for _ in range(3)] == [1, 2, 3]
    endless.close()


def test_a_window_is_bound_in_utc_and_on_the_wall_clock(source: Sqlite) -> None:
    """The bounds are text as `datetime()` writes it, of the instant or of the local day."""
    window = Grain.parse("1d", "Europe/Paris").window(datetime(2026, 1, 1, 12, tzinfo=UTC))
    bounds = rows(
        source,
        "SELECT :window_start AS a, :window_end AS b, "
        ":window_start_local AS c, :window_end_local AS d",
        window,
    )
    assert bounds == [
        {
            "a": "2025-12-31 23:00:00",
            "b": "2026-01-01 23:00:00",
            "c": "2026-01-01 00:00:00",
            "d": "2026-01-02 00:00:00",
        }
    ]
    counted = rows(
        source,
        "SELECT country, count(*) AS value FROM orders "
        "WHERE at >= :window_start AND at < :window_end GROUP BY country",
        window,
    )
    assert counted == [{"country": "de", "value": 1}, {"country": "fr", "value": 2}]


@given(st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))
def test_a_bound_is_what_sqlite_writes(moment: datetime) -> None:
    """Whole seconds and milliseconds are written exactly as SQLite's date functions do."""
    for precision, form in [(1_000_000, "%Y-%m-%d %H:%M:%S"), (1000, "%Y-%m-%d %H:%M:%f")]:
        rounded = moment - timedelta(microseconds=moment.microsecond % precision)
        if precision == 1000 and rounded.microsecond == 0:
            continue
        with closing(sqlite3.connect(":memory:")) as database:
            text = text_of(rounded)
            assert database.execute("SELECT strftime(?, ?)", (form, text)).fetchone() == (text,)


def test_a_bound_finer_than_that_is_exact() -> None:
    """A moment that SQLite's functions would round keeps all its digits."""
    assert text_of(datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC)) == "2026-01-01 00:00:00.000001"


def test_a_reading_is_one_snapshot(source: Sqlite, path: Path) -> None:
    """What is committed while a query runs is not seen by it."""
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        reading = source.read(Request("c", Sqlite.Query("SELECT at FROM orders")))
        next(reading)
        writer.execute("INSERT INTO orders VALUES ('2026-02-01', 'it', 1)")
        writer.commit()
        assert len(list(reading)) == 4
        assert len(rows(source, "SELECT at FROM orders")) == 6


HOSTILE = [
    ("ATTACH 'other.db' AS other", "refused: ATTACH other.db, a query may only read"),
    ("PRAGMA query_only=off", "refused: PRAGMA query_only, a query may only read"),
    ("INSERT INTO orders VALUES (1, 2, 3)", "refused: INSERT orders, a query may only read"),
    (
        "INSERT INTO orders VALUES (1, 2, 3) RETURNING at",
        "refused: INSERT orders, a query may only read",
    ),
    (
        "WITH x AS (SELECT 1) DELETE FROM orders RETURNING at",
        "refused: DELETE orders, a query may only read",
    ),
    ("UPDATE orders SET at = 1", "refused: UPDATE orders, a query may only read"),
    ("DROP TABLE orders", "refused: DELETE sqlite_master, a query may only read"),
    ("CREATE TEMP TABLE t (a)", "refused: INSERT sqlite_temp_master, a query may only read"),
    ("BEGIN IMMEDIATE", "refused: TRANSACTION BEGIN, a query may only read"),
    ("SAVEPOINT s", "refused: SAVEPOINT BEGIN, a query may only read"),
    ("SELECT 1; DROP TABLE orders", "refused: several commands, a query is a single one"),
    ("SELECT 1; SELECT 2", "refused: several commands, a query is a single one"),
]


@pytest.mark.parametrize(("sql", "words"), HOSTILE)
def test_a_hostile_query_changes_nothing(
    source: Sqlite, path: Path, monkeypatch: pytest.MonkeyPatch, sql: str, words: str
) -> None:
    """A query that would do anything but read is refused by name, and not a byte changes."""
    monkeypatch.chdir(path.parent)
    before = hashlib.sha256(path.read_bytes()).digest()
    for act in (lambda: rows(source, sql), lambda: source.check(Sqlite.Query(sql))):
        with pytest.raises(ValueError) as caught:
            act()
        assert str(caught.value) == words
    assert hashlib.sha256(path.read_bytes()).digest() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    "sql",
    [
        "VACUUM",
        "VACUUM INTO 'copy.db'",
        "SELECT load_extension('x.so')",
        "SELECT * FROM pragma_journal_mode('delete')",
        "REINDEX orders",
        "ANALYZE",
        "",
        "-- nothing",
    ],
)
def test_what_is_no_query_changes_nothing(
    source: Sqlite, path: Path, monkeypatch: pytest.MonkeyPatch, sql: str
) -> None:
    """Whatever is not a query fails, and leaves the folder as it was."""
    monkeypatch.chdir(path.parent)
    before = path.read_bytes()
    with pytest.raises((ValueError, sqlite3.Error)):
        rows(source, sql)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_one_command_may_end_in_a_semicolon(source: Sqlite) -> None:
    """A semicolon and a comment behind the query are no second command."""
    sql = "SELECT 'a;b' AS x; -- and; that; is; it\n"
    assert rows(source, sql) == [{"x": "a;b"}]
    assert source.check(Sqlite.Query(sql)) == ["x"]


@pytest.mark.parametrize(
    ("sql", "columns"),
    [
        ("SELECT country, count(*) AS value FROM orders GROUP BY country", ["country", "value"]),
        ("SELECT * FROM orders", ["at", "country", "total"]),
        ("SELECT o.at, max(o.total) FROM orders o GROUP BY 1", ["at", "max(o.total)"]),
        ("SELECT :window_start AS a, :window_end_local AS b", ["a", "b"]),
        ("SELECT 1 AS a, 2 AS 'a:1x' -- c", ["a", "a:1x"]),
        ("VALUES (1, 2)", ["column1", "column2"]),
        (f"{ENDLESS} SELECT count(*) AS value FROM c", ["value"]),
        (f"{ENDLESS} SELECT x FROM c ORDER BY x DESC", ["x"]),
        (f"{ENDLESS} SELECT 1 AS value WHERE EXISTS (SELECT 1 FROM c WHERE x < 0)", ["value"]),
        (
            f"{ENDLESS}, m AS MATERIALIZED (SELECT count(*) AS n FROM c) SELECT 1 FROM m a, m b",
            None,
        ),
    ],
)
def test_the_check_tells_columns_without_reading(
    source: Sqlite, sql: str, columns: list[str] | None
) -> None:
    """`check()` prepares the query: even one that never ends is checked at once."""
    start = time.monotonic()
    assert source.check(Sqlite.Query(sql)) == columns
    assert time.monotonic() - start < 0.5


@pytest.mark.parametrize("sql", ["SELECT nothing FROM orders", "SELECT 1 FROM nowhere", "SELEC 1"])
def test_the_check_finds_what_would_fail(source: Sqlite, sql: str) -> None:
    """A column or table that is not there is told in SQLite's own words."""
    with pytest.raises(sqlite3.OperationalError, match=r"no such|syntax error"):
        source.check(Sqlite.Query(sql))


def test_two_columns_of_one_name_are_refused(source: Sqlite) -> None:
    """A column that another would hide is a mistake, for the check and for the reading."""
    sql = "SELECT at, country, 1 AS at FROM orders"
    for act in (lambda: rows(source, sql), lambda: source.check(Sqlite.Query(sql))):
        with pytest.raises(ValueError) as caught:
            act()
        assert str(caught.value) == "two columns have the name at (give one another with AS)"


def test_a_query_that_takes_too_long_is_ended(source: Sqlite) -> None:
    """The timeout of the request ends the query within SQLite."""
    start = time.monotonic()
    with pytest.raises(Cancelled, match=r"longer than its timeout of 0\.2 s"):
        rows(source, f"{ENDLESS} SELECT count(*) AS value FROM c", timeout=0.2)
    assert time.monotonic() - start < 1


@pytest.mark.parametrize("delay", [0.0, 0.1])
def test_a_query_is_cancelled_from_another_thread(source: Sqlite, delay: float) -> None:
    """A run that is told to stop ends within SQLite at once, whenever it is told."""
    request = Request("c", Sqlite.Query(f"{ENDLESS} SELECT count(*) AS value FROM c"))
    timer = threading.Timer(delay, request.cancel, ["stop it"])
    start = time.monotonic()
    timer.start()
    with pytest.raises(Cancelled, match="stop it"):
        list(source.read(request))
    assert time.monotonic() - start < 1
    timer.join()


def test_readings_run_side_by_side(source: Sqlite) -> None:
    """Several reads at once have a connection each; one that is cancelled disturbs no other."""
    endless = Request("c", Sqlite.Query(f"{ENDLESS} SELECT x FROM c"))
    reading = source.read(endless)
    next(reading)
    assert len(rows(source, "SELECT at FROM orders")) == 5
    endless.cancel()
    with pytest.raises(Cancelled):
        list(reading)
    assert len(rows(source, "SELECT at FROM orders")) == 5


def test_a_writer_is_waited_for(source: Sqlite, path: Path) -> None:
    """A database that a writer holds for a moment costs patience, no failure."""
    with closing(sqlite3.connect(path, check_same_thread=False)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        timer = threading.Timer(0.2, writer.rollback)
        timer.start()
        assert len(rows(source, "SELECT at FROM orders")) == 5
        timer.join()


def test_waiting_for_a_writer_can_be_cancelled(source: Sqlite, path: Path) -> None:
    """A run that waits for a writer stops when it is told to."""
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Cancelled):
            rows(source, "SELECT at FROM orders", timeout=0.2)


def test_a_database_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    """A missing file, a folder and what is no database are told with the path, and not made."""
    (tmp_path / "junk").write_bytes(b"junk " * 1000)
    (tmp_path / "folder").mkdir()
    for name, words in [
        ("none.db", "no such file"),
        ("junk", "file is not a database"),
        ("folder", "this is no file"),
    ]:
        source = Sqlite(tmp_path / name)
        query = Sqlite.Query("SELECT name FROM sqlite_master")
        for act in (
            source.open,
            lambda s=source, q=query: s.check(q),
            lambda s=source, q=query: rows(s, q.sql),
        ):
            with pytest.raises(Unavailable) as caught:
                act()
            assert str(caught.value) == f"{tmp_path / name}: {words}"
    assert not (tmp_path / "none.db").exists()


QUOTED = st.one_of(
    st.text(max_size=8).map(lambda text: "'" + text.replace("'", "''") + "'"),
    st.text(max_size=8).map(lambda text: '"' + text.replace('"', '""') + '"'),
    st.text(max_size=8).map(lambda text: "`" + text.replace("`", "``") + "`"),
    st.text(max_size=8).map(lambda text: "[" + text.replace("]", "") + "]"),
    st.text(max_size=8).map(lambda text: "--" + text.replace("\n", "") + "\n"),
    st.text(max_size=8).map(lambda text: "/*" + text.replace("*/", "") + " */"),
    st.sampled_from(
        ["'it''s :x'", '":x"', "`?`", "[@a]", "-- :x ?\n", "/* $a ; */", " x ", "été$1", "1.5e3"]
    ),
)
USED = st.sampled_from(sorted(ALL))


@given(st.lists(st.one_of(QUOTED, USED.map(lambda name: f" :{name} "))))
def test_only_parameters_are_parameters(parts: list[str]) -> None:
    """What looks like a parameter within quotes and comments is none; all others are found."""
    used = {part.strip()[1:] for part in parts if part.startswith(" :")}
    assert parameters_of(" ".join(parts)) == used


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT 1\nWHERE a > :from", "line 2: :from is no parameter"),
        ("SELECT ?", "line 1: ? is no parameter"),
        ("SELECT ?12", "line 1: ?12 is no parameter"),
        ("SELECT @window_start", "line 1: @window_start is no parameter"),
        ("SELECT $window_start", "line 1: $window_start is no parameter"),
        ("SELECT :window_starts", "line 1: :window_starts is no parameter"),
        ("SELECT ':x' || :x", "line 1: :x is no parameter"),
    ],
)
def test_another_parameter_is_refused(path: Path, sql: str, words: str) -> None:
    """A parameter to which nothing could be bound is named with its line, offline."""
    with pytest.raises(ValueError) as caught:
        Sqlite(path.with_name("none")).parameters(Sqlite.Query(sql))
    known = ":window_start, :window_end, :window_start_local, :window_end_local"
    assert str(caught.value) == f"{words} (there are {known})"


def test_parameters_are_found_without_a_database(path: Path) -> None:
    """Which parts of the window a query uses is known offline."""
    query = Sqlite.Query("SELECT :window_start, ':window_end', :window_end_local -- :window_end")
    assert Sqlite(path.with_name("none")).parameters(query) == {"window_start", "window_end_local"}


@given(st.lists(QUOTED))
def test_an_end_within_quotes_is_none(parts: list[str]) -> None:
    """Only a semicolon outside of quotes and comments ends a command."""
    sql = " ".join(parts)
    assert without_end(sql) == sql
    assert without_end(f"{sql} ; -- more") == f"{sql} "
