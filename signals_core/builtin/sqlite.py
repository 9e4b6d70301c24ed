"""The source `sqlite`."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from attrs import define

from signals_core import Cancelled, Request, Row, Source, Unavailable

_TOKEN = re.compile(
    r"""
      '(?:[^']|'')*'  |  "(?:[^"]|"")*"  |  `(?:[^`]|``)*`  |  \[[^\]]*\]
    | --[^\n]*  |  /\*.*?(?:\*/|\Z)
    | (?P<unclosed>['"`\[])
    | :(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<other>[?][0-9]*|[@$:][A-Za-z0-9_]+)
    | [A-Za-z0-9_]+
    """,
    re.VERBOSE | re.DOTALL,
)
_ALLOWED = frozenset(
    (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE)
)
_ACTIONS = {
    getattr(sqlite3, f"SQLITE_{name}"): name
    for name in (
        "ALTER_TABLE ANALYZE ATTACH CREATE_INDEX CREATE_TABLE CREATE_TEMP_TABLE CREATE_TRIGGER "
        "CREATE_VIEW CREATE_VTABLE DELETE DETACH DROP_INDEX DROP_TABLE DROP_TRIGGER DROP_VIEW "
        "INSERT PRAGMA REINDEX SAVEPOINT TRANSACTION UPDATE"
    ).split()
}
_STEPS_BETWEEN_CHECKS = 20_000
_BUSY_SECONDS = 5.0


class QueryError(Exception):
    """A query that SQLite refuses, or that we do."""


@define
class SQLite(Source):
    """Rows of an SQL query on a SQLite file, which is opened for reading only.

    A reading is one statement: SQLite shows it one state of the file. Times are text in UTC as
    SQLite's own date functions write it, `2026-01-31 23:00:00`; wrap a column that is written
    otherwise, as in `datetime(at) >= :window_start`.
    """

    path: Path
    """The database file, relative to the file that names it."""

    @define
    class Query:
        """What to ask the database."""

        sql: str
        """One query. It may use `:window_start` and `:window_end` (UTC), or both with `_local`."""

    def open(self) -> None:
        """See that the file is there and is a database."""
        with closing(self._connect()) as connection:
            try:
                connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            except sqlite3.DatabaseError as error:
                raise self._unavailable(error) from error

    def parameters(self, query: Query) -> set[str]:
        """Return the window names that the SQL uses."""
        return _parameters(query.sql)

    def check(self, query: Query) -> list[str]:
        """Have SQLite compile the query, and return its columns."""
        bounds = dict.fromkeys(_parameters(query.sql), "")
        # LIMIT 0 comes before the first row is looked for: nothing is read.
        sql = f"SELECT * FROM (\n{query.sql.strip().rstrip(';')}\n) LIMIT 0"  # noqa: S608 - guarded
        with closing(self._connect()) as connection:
            cursor = self._execute(connection, sql, bounds, lambda: None)
            return _columns(cursor)

    def read(self, request: Request) -> Iterator[Row]:
        """Yield the rows of one statement, which sees one state of the file."""
        bounds = {} if request.window is None else request.window.parameters
        texts = {name: _text(bound) for name, bound in bounds.items()}
        with (
            closing(self._connect()) as connection,
            request.on_cancel(connection.interrupt),
        ):
            cursor = self._execute(connection, request.query.sql, texts, request.check)
            names = _columns(cursor)
            try:
                for row in cursor:
                    yield dict(zip(names, row, strict=True))
            except sqlite3.Error as error:
                request.check()
                raise _query_error(error) from error

    def _connect(self) -> sqlite3.Connection:
        try:
            return sqlite3.connect(
                f"file:{quote(str(self.path))}?mode=ro",
                uri=True,
                timeout=_BUSY_SECONDS,
                isolation_level=None,
                check_same_thread=False,
            )
        except sqlite3.Error as error:
            raise self._unavailable(error) from error

    def _execute(
        self,
        connection: sqlite3.Connection,
        sql: str,
        bounds: dict[str, str],
        check: Callable[[], None],
    ) -> sqlite3.Cursor:
        guard = _Guard(check)
        connection.set_authorizer(guard.authorize)
        connection.set_progress_handler(guard.progress, _STEPS_BETWEEN_CHECKS)
        try:
            return connection.execute(sql, bounds)
        except sqlite3.OperationalError as error:
            check()
            if error.sqlite_errorname in ("SQLITE_BUSY", "SQLITE_CANTOPEN", "SQLITE_IOERR"):
                raise self._unavailable(error) from error
            raise guard.explained(error) from error
        except (sqlite3.Error, sqlite3.Warning) as error:
            raise guard.explained(error) from error

    def _unavailable(self, error: Exception) -> Unavailable:
        return Unavailable(f"sqlite at {self.path}: {error}")


class _Guard:
    """Lets SQLite do nothing but read, and stops it when the run is over."""

    def __init__(self, check: Callable[[], None]) -> None:
        self._check = check
        self._refused = ""

    def authorize(self, action: int, first: str | None, second: str | None, *_: Any) -> int:
        """Allow what reads; remember what was refused."""
        loads_code = action == sqlite3.SQLITE_FUNCTION and second == "load_extension"
        if action in _ALLOWED and not loads_code:
            return sqlite3.SQLITE_OK
        name = "load_extension" if loads_code else _ACTIONS.get(action, f"action {action}")
        self._refused = self._refused or " ".join(part for part in (name, first) if part)
        return sqlite3.SQLITE_DENY

    def progress(self) -> int:
        """Return 1, which ends the statement, when the run is to stop or is late."""
        try:
            self._check()
        except Cancelled:
            return 1
        return 0

    def explained(self, error: Exception) -> QueryError:
        """Return what went wrong, in one line."""
        if self._refused:
            return QueryError(f"refused: {self._refused} (a query may only read)")
        return _query_error(error)


def _query_error(error: Exception) -> QueryError:
    if "one statement at a time" in str(error):
        return QueryError("there are several commands (a collector has one query)")
    return QueryError(str(error))


def _columns(cursor: sqlite3.Cursor) -> list[str]:
    if cursor.description is None:
        raise QueryError("it returns no columns (a collector's query is a SELECT)")
    names = [column[0] for column in cursor.description]
    for name in names:
        if names.count(name) > 1:
            raise QueryError(f"two columns are called {name!r} (rename one with AS)")
    return names


def _parameters(sql: str) -> set[str]:
    names = set()
    for match in _TOKEN.finditer(sql):
        line = sql.count("\n", 0, match.start()) + 1
        if match["unclosed"]:
            raise ValueError(f"a {match['unclosed']} in line {line} is not closed")
        if match["other"]:
            raise ValueError(
                f"{match['other']} in line {line} is no parameter (write :window_start, …)"
            )
        if match["name"]:
            names.add(match["name"])
    if not sql.strip():
        raise ValueError("the query is empty")
    return names


def _text(moment: datetime) -> str:
    """Write a bound as SQLite's date functions do, with a fraction only when there is one."""
    if not moment.microsecond:
        precision = "seconds"
    else:
        precision = "microseconds" if moment.microsecond % 1000 else "milliseconds"
    return moment.replace(tzinfo=None).isoformat(sep=" ", timespec=precision)
